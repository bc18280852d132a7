"""The command line: what it prints, its exit status, and bad input without a traceback."""

import json
import subprocess
import sys

import pytest

from purebp.cli import main

LAYERS = """
import jax
import jax.numpy as jnp

@jax.custom_vjp
def right(x, w):
    return x @ w

def right_fwd(x, w):
    return x @ w, (x, w)

def right_bwd(res, g):
    x, w = res
    return g @ w.T, x.T @ g

right.defvjp(right_fwd, right_bwd)

def wrong_bwd(res, g):
    x, w = res
    return g @ w.T, x.T @ g / x.shape[0]

def single_bwd(res, g):
    return g @ res[1].T

def raising_bwd(res, g):
    raise RuntimeError("not today")

def raising_fwd(x, w):
    raise RuntimeError("never")

plain = jnp.sin
"""


@pytest.fixture
def layers(tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(LAYERS)
    return str(path)


def run(capsys, *args):
    try:
        status = main([*args])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_verify_some_ops_prints_a_line_for_each(capsys):
    status, out, _ = run(capsys, "verify", "neg", "identity", "--max-examples", "1")
    assert status == 0
    assert "2 of 2 ops are right" in out
    assert all(name in out for name in ("neg", "identity", "11/11", "pass"))


def test_verify_in_two_processes_gives_the_same_reports(capsys):
    args = ("verify", "neg", "identity", "square", "--max-examples", "1", "--json", "--jobs")
    reports = []
    for jobs in ("1", "2"):
        status, out, _ = run(capsys, *args, jobs)
        assert status == 0
        reports.append({r["target"]: r["checks"] for r in json.loads(out)})
    assert reports[0] == reports[1]


def test_a_right_layer_in_a_file(capsys, layers):
    status, out, _ = run(capsys, "verify", f"{layers}:right", "--shapes", "b d, d k")
    assert status == 0
    assert "right: pass, 12 of 12 checks passed" in out


def test_a_whole_file(capsys, layers):
    args = ("--shapes", "b d, d k", "--budget", "quick", "--max-examples", "1")
    status, out, _ = run(capsys, "verify", layers, *args)
    assert status == 2
    assert "1 of 4 layers are right" in out
    assert "no forward found for wrong_bwd" in out


def test_a_wrong_pair_in_a_file_as_json(capsys, layers):
    status, out, _ = run(
        capsys, "verify", f"{layers}:right_fwd,wrong_bwd", "--shapes", "b d, d k", "--json"
    )
    assert status == 1
    (report,) = json.loads(out)
    assert report["verdict"] == "fail"
    assert {failure["argument"] for failure in report["failures"]} == {"w"}


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        ("right_fwd,single_bwd", "expected a tuple of 2, one cotangent for each argument"),
        ("right_fwd,raising_bwd", "bwd raised RuntimeError: not today"),
    ],
)
def test_a_backward_pass_that_breaks_is_a_failure(capsys, layers, pair, text):
    status, out, err = run(capsys, "verify", f"{layers}:{pair}", "--shapes", "b d, d k")
    assert status == 1
    assert text in out
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("args", "status", "text"),
    [
        (("verify", "gelo"), 3, "unknown op 'gelo'; did you mean 'gelu'?"),
        (("verify", "neg", "--shapes", "a"), 3, "--shapes is for layers in a file"),
        (("verify", "nowhere.py:f"), 2, "nowhere.py: there is no such file"),
        (("verify", "{layers}:nothing"), 2, "has no 'nothing'; what it has to verify: right"),
        (("verify", "{layers}:right"), 2, "the shapes of its arguments are not known"),
        (("verify", "{layers}:plain"), 2, "the shapes of its arguments are not known"),
        (("verify", "{layers}:right", "--shapes", "b d, e k"), 0, "right: pass"),
        (("verify", "{layers}:right", "--shapes", "b"), 2, "shapes has 1 groups"),
        (("verify", "{layers}:raising_fwd,right_bwd", "--shapes", "b d, d k"), 2, "never"),
        (
            ("verify", "{layers}:right", "--shapes", "b d, d k", "--static", "stride=2"),
            2,
            "stride",
        ),
        (("verify", "{layers}:right", "--static", "stride"), 3, "expected NAME=VALUE"),
        (("verify", "--max-examples", "0"), 3, "not a number of 1 or more"),
        (("verfy",), 3, "invalid choice: 'verfy'"),
        (("train", "letters"), 3, "letters"),
        (("train", "digits", "--model", "transformer"), 3, "transformer"),
        (("train", "digits", "--batch", "0"), 3, "batch"),
    ],
)
def test_bad_input_gets_one_clear_line_and_its_status(capsys, layers, args, status, text):
    got, out, err = run(capsys, *(arg.format(layers=layers) for arg in args))
    assert text in out + err
    assert got == status
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import no_such_module_at_all", "does not import: ModuleNotFoundError"),
        ("x = 1\n\n1 / 0", "does not import: ZeroDivisionError: division by zero (line 3)"),
        ("def f(:", "does not import: SyntaxError"),
        ("raise SystemExit(0)", "does not import: SystemExit"),
        ("x = 1", "found nothing to verify"),
    ],
)
def test_a_file_that_cannot_be_used(capsys, tmp_path, source, text):
    path = tmp_path / "mine.py"
    path.write_text(source)
    status, out, err = run(capsys, "verify", str(path))
    assert status == 2
    assert text in err
    assert out == ""


def test_ops_lists_every_op(capsys):
    status, out, _ = run(capsys, "ops")
    assert status == 0
    assert "the distributor" in out
    assert "lenet5" in out


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "purebp", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("purebp ")
