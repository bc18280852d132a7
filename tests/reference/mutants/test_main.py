"""The mutation score: what is run, what is kept, what is printed."""

import json
from functools import cache

import pytest

from purebp.catalog import OPS
from reference.mutants import __main__ as mutants
from reference.mutants.__main__ import known, main, plan, results_of
from reference.mutants.equivalent import EQUIVALENT
from reference.mutants.reach import functions

NAME = "gates.arithmetic.neg_x_bar"


def line(key, by, kind="another sign"):
    where = {"name": NAME, "line": 1, "before": "-z_bar", "after": "z_bar"}
    return {"key": key, "kind": kind, "op": "neg", "by": by, **where}


def test_results_are_kept_and_a_broken_line_is_not_one(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(line("a#0", "jacobian")) + '\n{"key": "b')
    assert set(known(path)) == {"a#0"}
    assert known(tmp_path / "none") == {}


def test_the_score_counts_what_lives(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mutants, "RESULTS", tmp_path)
    lines = [line(f"a#{k}", "jacobian" if k else "") for k in range(4)]
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main(["--table"]) == 0
    printed = capsys.readouterr().out
    assert "75.0%" in printed
    assert f"{NAME}, line 1 (neg): another sign: -z_bar  ->  z_bar" in printed


@cache
def names_of_functions():
    return set(functions())


@pytest.mark.parametrize("equivalent", EQUIVALENT, ids=lambda e: f"{e.name}: {e.before}")
def test_what_is_called_equivalent_is_there(equivalent):
    assert equivalent.name in names_of_functions()
    assert equivalent.reason


def test_a_process_runs_the_mutants_that_are_not_known_yet():
    functions = {NAME: {"neg": [0]}}
    lines = list(results_of(functions, set(), float("inf")))
    assert lines
    assert all(found["by"] and found["op"] == "neg" for found in lines)
    assert list(results_of(functions, {found["key"] for found in lines}, float("inf"))) == []


def test_each_function_is_tried_on_few_ops(monkeypatch):
    monkeypatch.setattr("purebp.catalog.OPS", {"mul": OPS["mul"], "neg": OPS["neg"]})
    jobs = plan(["gates.arithmetic.neg"])
    assert list(jobs) == ["neg"]
    assert list(jobs["neg"]) == [NAME]
