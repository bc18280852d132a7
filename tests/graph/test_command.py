"""`purebp graph`."""

import pytest

from purebp.cli import main

FILE = """
import jax.numpy as jnp

def loss(x, y):
    return (x + y) * jnp.log(x)

def two(x):
    return x * 2, x * 3

one = jnp.float32(1.0)
EXAMPLES = {"two": (one,)}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "loss.py"
    path.write_text(FILE)
    return path


def test_a_table_by_default(file, capsys):
    assert main(["graph", f"{file}:loss", "--args", "one, 3.0"]) == 0
    out = capsys.readouterr().out
    assert "distributor" in out
    assert "loss.py:5:" in out


def test_arguments_from_the_file_and_several_outputs(file, capsys):
    assert main(["graph", f"{file}:two"]) == 0
    assert "output 1" in capsys.readouterr().out


def test_lists_of_numbers_are_arrays(tmp_path, capsys):
    path = tmp_path / "net.py"
    path.write_text("def score(w, pair):\n    return (w @ pair[0]).sum() * pair[1]\n")
    words = ["graph", f"{path}:score", "--args", "[[1, 2.0], [3, 4]], [jnp.ones(2), 2.0]"]
    assert main(words) == 0
    assert "20" in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["svg", "html"])
def test_a_picture(file, ending, capsys):
    target = file.parent / f"f.{ending}"
    assert main(["graph", f"{file}:loss", "--args", "2., 3.", "-o", str(target)]) == 0
    assert "3 gates" in capsys.readouterr().out
    assert "switcher" in target.read_text()


def test_the_summary(file, capsys):
    assert main(["graph", f"{file}:loss", "--args", "0., 3.", "--summary"]) == 0
    assert "the first value that is not finite: log at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["loss.py"], 3, "expected FILE:FUNCTION"),
        (["{}:nothing"], 2, "has no function 'nothing'"),
        (["missing.py:f"], 2, "no such file"),
        (["{}:loss"], 3, "loss needs arguments: --args"),
        (["{}:loss", "--args", "[[1.0], 2.0], 3."], 3, "--args '[[1.0], 2.0], 3.': ValueError"),
        (["{}:loss", "--args", "1."], 3, "missing a required argument: 'y'"),
        (["{}:loss", "--args", "1., z"], 3, "name 'z' is not defined"),
        (["{}:loss", "--args", "1., 2.", "-o", "f.gif"], 3, "ends in .svg, .png or .html"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_wrong_usage(file, words, status, message, capsys):
    assert main(["graph", *(word.format(file) for word in words)]) == status
    assert message in capsys.readouterr().err
