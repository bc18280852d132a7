"""What a file has to verify: its own pairs, rules and losses, each once, nothing imported."""

import pytest

from purebp.errors import TargetError
from purebp.load import import_file, package_of
from purebp.verification.homework.find import find_all, find_named

FILE = """
import jax
import numpy as np
from purebp.layers import affine
from purebp import Op
from helpers import far_forward, far_backward

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, cache):
    return dout * (cache > 0)

def conv_forward_naive(x, w, b, conv_param):
    return None, None

conv_forward_fast = conv_forward_naive

def pool_backward(dout, cache):
    return dout

def model_forward(x):
    return x

@jax.custom_vjp
def scale(x):
    return 2 * x

def scale_fwd(x):
    return 2 * x, None

def scale_bwd(res, g):
    return (2 * g,)

scale.defvjp(scale_fwd, scale_bwd)

def twice_fwd(x):
    return 2 * x, None

def twice_bwd(res, g):
    return (2 * g,)

twice = Op(twice_fwd, twice_bwd)

def svm_loss(x, y):
    return x.sum(), np.ones_like(x)

def mse_loss(x, y):
    return ((x - y) ** 2).mean()

class Double:
    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        return 2 * dout

class Module:
    def forward(self, x):
        return x
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "helpers.py").write_text("def far_forward(x): ...\ndef far_backward(d, c): ...\n")
    path = tmp_path / "layers_to_find.py"
    path.write_text(FILE)
    return path


def test_everything_is_found_once_in_the_order_of_the_file(file):
    found = find_all(import_file(file), file)
    assert [(row.kind, row.name, row.functions) for row in found] == [
        ("pair", "relu", ("relu_forward", "relu_backward")),
        ("half", "conv_naive", ("conv_forward_naive",)),
        ("half", "pool", ("pool_backward",)),
        ("rule", "scale", ("scale",)),
        ("op", "twice", ("twice",)),
        ("loss", "svm_loss", ("svm_loss",)),
        ("class", "Double", ("Double",)),
    ]
    assert found[-1].line == FILE.split("\n").index("    def backward(self, dout):") + 1
    assert [row.line for row in found][:2] == [11, 14]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("scale",), "rule"),
        (("twice",), "op"),
        (("svm_loss",), "loss"),
        (("twice_fwd", "scale_bwd"), "pair"),
        (("model_forward",), "rule"),
        (("Double",), "class"),
    ],
)
def test_what_is_named_is_found(file, names, kind):
    assert find_named(import_file(file), file, names).kind == kind


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("nothing",), "has no 'nothing'; what it has to verify: relu, conv_naive, pool"),
        (("scale", "scale_fwd", "scale_bwd"), "3 names, expected one or a pair"),
    ],
)
def test_other_names_are_refused(file, names, message):
    with pytest.raises(TargetError, match=message):
        find_named(import_file(file), file, names)


def test_a_file_of_a_package_may_import_its_neighbours(tmp_path):
    package = tmp_path / "course_of_test" / "inner"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("")
    (package / "base.py").write_text("def relu_forward(x):\n    return x, x\n")
    text = "from .base import *\ndef relu_backward(dout, cache):\n    return dout\n"
    (package / "layers.py").write_text(text)
    assert package_of(package / "layers.py") == (tmp_path, "course_of_test.inner.layers")
    module = import_file(package / "layers.py")
    (row,) = find_all(module, package / "layers.py")
    assert row.functions == ("relu_backward",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", "does not import: SyntaxError"),
        ("x = 1\ny = 1 / 0", r"does not import: ZeroDivisionError: .*\(line 2\)"),
        ("import sys; sys.exit(0)", "does not import: SystemExit"),
    ],
)
def test_a_file_that_does_not_import_is_told_with_its_line(tmp_path, text, message):
    path = tmp_path / "broken_layers.py"
    path.write_text(text)
    with pytest.raises(TargetError, match=message):
        import_file(path)


def test_a_file_that_is_no_python_file_is_refused(tmp_path):
    path = tmp_path / "layers.txt"
    path.write_text("")
    with pytest.raises(TargetError, match="not a Python file"):
        import_file(path)
