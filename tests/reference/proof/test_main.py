"""The proof: jobs, results that are kept, and what its tables say."""

import json
import sys

import pytest

from reference.proof import __main__ as proof
from reference.proof import judge
from reference.proof.__main__ import Job, all_jobs, known, main, result_of

NAME = "linear_activation"


def test_every_judge_sees_every_layer_wrong_and_right():
    jobs = list(all_jobs([NAME], ["float64"]))
    assert {(job.judge, job.which) for job in jobs} == {
        (name, which) for name in proof.JUDGES for which in ("wrong", "right")
    }
    assert len(list(all_jobs([], proof.DTYPES))) > 2 * 7 * 100


def test_what_is_known_is_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(proof, "RESULTS", tmp_path)
    lines = [
        {"key": job.key, "seconds": 1.0, "verdict": "fail" if job.which == "wrong" else "pass"}
        for job in all_jobs([NAME], ["float32"])
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"key": "broken o'
    (tmp_path / "results.jsonl").write_text(text)
    monkeypatch.setattr(proof, "result_of", lambda *_: pytest.fail("it ran again"))
    assert main([NAME, "--dtypes", "float32"]) == 0
    printed = capsys.readouterr().out
    assert "1/1 (100%)" in printed
    assert f"purebp/{NAME}/wrong/float32: fail" in printed  # found, not named


def test_a_layer_that_crashes_or_hangs_is_a_result(monkeypatch):
    job = Job("purebp", "no_such_layer", "wrong", "float32")
    result = result_of(job, 1, float("inf"))
    assert result is not None
    assert result["verdict"] == "crashed"

    monkeypatch.setattr(proof, "LIMIT", 0)
    job = job._replace(layer=NAME)
    result = result_of(job, 1, float("inf"))
    assert result is not None
    assert result["verdict"] == "timed out"
    assert result_of(job, 1, 0.0) is None


def test_check_grads_says_no_to_a_wrong_layer_and_yes_to_a_right_one():
    assert judge.main("check_grads", NAME, "wrong", "float32", 1)["verdict"] == "fail"
    assert judge.main("check_grads", NAME, "right", "float32", 1)["verdict"] == "pass"


def test_a_judge_that_is_not_installed_is_reported_as_not_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    answer = judge.main("gradcheck", NAME, "right", "float32", 1)
    assert answer["verdict"] == "not run"


def test_a_right_twin_is_tried_with_several_seeds():
    answer = judge.main("purebp", NAME, "right", "bfloat16", 2)
    assert answer == {"verdict": "pass", "seeds": 2}
    assert known(proof.RESULTS / "nothing") == {}
