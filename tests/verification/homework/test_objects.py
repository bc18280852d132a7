"""Classes of layers in a file: how they are made, what they are handed, their marks."""

import functools
import subprocess
import sys

import pytest

from purebp.load import import_file
from purebp.verification.homework.find import find_all
from purebp.verification.homework.grade import grade
from purebp.verification.homework.plan import Settings

FILE = """
import numpy as np

class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask

class Sigmoid:
    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, dout):
        return dout * self.y

class Affine:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T

class Dense(Affine):
    def __init__(self, fan_in, fan_out, name=None):
        super().__init__(np.random.randn(fan_in, fan_out), np.zeros(fan_out))

    def backward(self, dout):
        dx = super().backward(dout)
        self.dW /= len(dout)
        return dx

class Tanh:
    def forward(self, x):
        self.y = np.tanh(2 * x)
        return self.y

    def backward(self, dout):
        return 2 * dout * (1 - self.y**2)

class CrossEntropy:
    def forward(self, x, t):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        self.y, self.t = e / e.sum(axis=-1, keepdims=True), t
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dout * dx / len(dx)

class Scale:
    def __init__(self, factor, kind, more):
        self.factor = factor

    def forward(self, x):
        return self.factor * x

    def backward(self, dout):
        return dout

class Odd:
    def __init__(self, one, two, three):
        pass

    def forward(self, x):
        return x

    def backward(self, dout):
        return dout

EXAMPLES = {
    "CrossEntropy": (np.ones((3, 4)) * np.arange(4), np.array([0, 3, 2])),
    "Scale": (Scale(3.0, "", None), np.ones((2, 3))),
}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("classes") / "classes_to_mark.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def mark_of(file):
    module = import_file(file)
    rows = {row.name: row for row in find_all(module, file)}
    settings = Settings("quick", max_examples=1)
    return functools.cache(lambda name: grade(module, rows[name], settings))


@pytest.mark.parametrize(
    ("name", "verdict", "forward", "gradients"),
    [
        ("ReLU", "pass", "right", {"dx": "right"}),
        ("Sigmoid", "fail", "right", {"dx": "wrong"}),
        ("Affine", "pass", "right", {"dx": "right", "dW": "right", "db": "right"}),
        ("Tanh", "fail", "wrong", {"dx": "right"}),
        ("CrossEntropy", "pass", "not known", {"dx": "right"}),
    ],
)
def test_a_class_is_marked(mark_of, name, verdict, forward, gradients):
    mark = mark_of(name)
    assert (mark.verdict, mark.forward.verdict) == (verdict, forward), mark.summary
    assert mark.gradients == gradients


def test_a_layer_made_from_two_sizes_says_what_is_wrong(mark_of):
    mark = mark_of("Dense")
    assert "dW is 5 times too small; 5 is the size of axis 0 of x" in mark.summary
    assert mark.gradients["dx"] == "right"


def test_a_layer_of_the_file_itself_is_taken_first(mark_of):
    assert "dx is 3 times too small" in mark_of("Scale").summary


def test_what_nobody_can_make_is_not_run_and_says_how_to_give_it(mark_of):
    mark = mark_of("Odd")
    assert mark.verdict == "not run"
    assert 'EXAMPLES = {"Odd": (Odd(...), x)}' in mark.summary


def test_the_script_makes_a_layer_that_needs_nothing(mark_of):
    script = mark_of("Sigmoid").report.reproduction
    assert "layer = Sigmoid()" in script
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "x_bar[" in run.stdout, run.stderr
    assert "AssertionError" in run.stderr
