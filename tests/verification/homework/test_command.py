"""`purebp verify layers.py`: the table of marks, its exit status, and bad input."""

import json

import pytest

from purebp.cli import main

FILE = """
import os
import numpy as np

print("chatter")

def relu_forward(x):
    print("chatter")
    return np.maximum(x, 0), x

def relu_backward(dout, cache):
    return dout * (cache > 0)

def linear_forward(x, w, b):
    return x @ w + b, (x, w)

def linear_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout / len(x), dout.sum(axis=0)

def crash_forward(x):
    return x, x

def crash_backward(dout, cache):
    os.abort()

def swirl_forward(x):
    return x, x

def swirl_backward(dout, cache):
    return dout

def norm_backward(dout, cache):
    return dout

EXAMPLES = {"crash": np.ones((2, 3))}
"""
QUICK = ("--budget", "quick", "--max-examples", "1", "--jobs", "2")


def run(capsys, *args):
    try:
        status = main(["verify", *map(str, args)])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def homework(tmp_path_factory):
    path = tmp_path_factory.mktemp("homework") / "layers.py"
    path.write_text(FILE)
    return path


def test_the_table_of_marks(capsys, homework, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status, out, _ = run(capsys, homework, *QUICK)
    assert status == 1
    table = [line for line in out.splitlines() if line[:1] == " " and line[1:2].isalpha()]
    rows = {line.split()[0]: line for line in table}
    assert rows["relu"].split() == ["relu", "relu", "right", "dx", "right", "pass"]
    assert rows["linear"].split()[:3] == ["linear", "affine", "right"]
    assert all(rows[name].endswith("not run ") for name in ("crash", "swirl", "norm"))
    assert max(map(len, table)) <= 80
    for text in (
        "linear (layers.py:17): dw is 4 times too small; 4 is the size of axis 0 of x",
        "crash (layers.py:24): not run: the interpreter crashed: signal 6, SIGABRT",
        "swirl (layers.py:30): not run: the shapes of its arguments are not known",
        "norm (layers.py:33): not run: no forward found for norm_backward",
        "1 of 5 layers are right.",
    ):
        assert text in out
    assert "chatter" not in out


def test_marks_as_json(capsys, tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(FILE.split("def linear_forward", maxsplit=1)[0])
    status, out, _ = run(capsys, path, "--json", *QUICK)
    (mark,) = json.loads(out)
    assert status == 0
    assert mark["gradients"] == {"dx": "right"}
    assert mark["checks"]["contract"]["verdict"] == "pass"


@pytest.mark.parametrize(
    ("text", "status", "message"),
    [
        ("def f(:", 2, "does not import: SyntaxError"),
        ("", 2, "found nothing to verify; expected pairs named as x_forward and x_backward"),
        ("def relu_forward(x):\n    return x, x\n", 2, "no backward found for relu_forward"),
    ],
    ids=["syntax error", "empty", "half"],
)
def test_files_that_have_nothing_to_verify(capsys, tmp_path, text, status, message):
    path = tmp_path / "layers.py"
    path.write_text(text)
    for target in (path, tmp_path):
        got, out, err = run(capsys, target, *QUICK)
        assert message in " ".join((out + err).split())
        assert got == status


def test_a_folder_without_files(capsys, tmp_path):
    status, _, err = run(capsys, tmp_path)
    assert status == 2
    assert "there is no Python file in this folder" in err


def test_where_numbers_lie(capsys, tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(
        "import numpy as np\n"
        "EXAMPLES = {'entropy': (np.full((2, 3), 0.4), np.ones((2, 3)))}\n"
        "def entropy_forward(p, x):\n"
        "    return np.where(p < 1, -p * np.log(p) * x, 7.0), (p, x)\n"
        "def entropy_backward(dout, cache):\n"
        "    p, x = cache\n"
        "    return -dout * x * (np.log(p) + 1), -dout * p * np.log(p)\n"
    )
    assert run(capsys, path, *QUICK)[0] == 1  # where p is above 1 its gradient is wrong
    assert run(capsys, path, "--domain", "p=0:1", *QUICK)[0] == 0
    for where, message in (("p=0:b", "--domain is 'p=0:b'"), ("q=0:1", "domain names 'q'")):
        status, out, err = run(capsys, path, "--domain", where, *QUICK)
        assert status != 0
        assert message in " ".join((out + err).split())


@pytest.mark.parametrize("option", ["--time-limit", "--memory-limit"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "long"])
def test_limits_are_numbers_above_0(capsys, option, value):
    status, _, err = run(capsys, "layers.py", option, value)
    assert status == 3
    assert f"{value!r} is not a number above 0" in err
