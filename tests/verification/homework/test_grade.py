"""The mark of a layer: its forward, each gradient, and in which words."""

import functools

import jax
import pytest

from purebp.compat import enable_x64
from purebp.load import import_file
from purebp.verification.homework.find import find_all
from purebp.verification.homework.grade import grade
from purebp.verification.homework.mark import brief, in_words_of_course
from purebp.verification.homework.plan import Settings

FILE = """
import jax.numpy as jnp
import numpy as np

def linear_forward(x, w, b):
    return x @ w + b, (x, w)

def linear_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout / len(x), -dout.sum(axis=0)

def tanh_forward(x):
    return 2 * np.tanh(x), x

def tanh_backward(dout, cache):
    return 2 * dout / np.cosh(cache) ** 2

def relu_fwd(x):
    return jnp.maximum(x, 0), x

def relu_bwd(res, g):
    return (g,)

def softsign_forward(x):
    y = x / (1 + jnp.abs(x))
    return y, x

def softsign_backward(dout, cache):
    return dout / (1 + jnp.abs(cache)) ** 2

def scale_forward(x, options):
    return x * options["by"], options

def scale_backward(dout, cache):
    return dout * cache["by"]

def svm_loss(x, y):
    margins = np.maximum(0, x - x[np.arange(len(y)), y][:, None] + 1)
    margins[np.arange(len(y)), y] = 0
    dx = (margins > 0).astype(float)
    dx[np.arange(len(y)), y] = -dx.sum(axis=1)
    return margins.sum() / len(y), dx

def elu_forward(x, alpha):
    raise RuntimeError("not today")

def elu_backward(dout, cache):
    return dout

def softmax_forward(x):
    return x, x

def softmax_backward(dout, cache):
    pass

def swirl_forward(x):
    return x, x

def swirl_backward(dout, cache):
    return dout

def layernorm_forward(x, gamma, beta, ln_param):
    return x, None

EXAMPLES = {"scale": (np.ones((2, 3)), {"by": 5.0})}
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    path = tmp_path_factory.mktemp("homework") / "layers_to_grade.py"
    path.write_text(FILE)
    module = import_file(path)
    rows = {row.name: row for row in find_all(module, path)}
    settings = Settings(budget="quick", max_examples=1)
    return functools.cache(lambda name: grade(module, rows[name], settings))


def test_each_gradient_has_its_own_mark(graded):
    mark = graded("linear")
    assert mark.verdict == "fail"
    assert (mark.matched, mark.forward.verdict) == ("affine", "right")
    assert mark.gradients == {"dx": "right", "dw": "4 times too small", "db": "wrong sign"}
    assert "d" in mark.diagnosis
    assert "_bar" not in mark.diagnosis


def test_a_wrong_forward_is_a_verdict_of_its_own(graded):
    mark = graded("tanh")
    assert mark.forward.verdict == "wrong"
    assert mark.verdict == "fail"
    assert mark.gradients == {"dx": "right"}
    assert mark.report.ok
    assert mark.summary.startswith("the forward differs from the definition of tanh: ")


def test_a_pair_in_the_style_of_jax_gets_its_arguments_from_its_name(graded):
    mark = graded("relu")
    assert (mark.verdict, mark.forward.verdict) == ("fail", "right")
    assert list(mark.gradients) == ["x_bar"]
    assert mark.gradients["x_bar"] != "right"


@pytest.mark.parametrize("name", ["softsign", "scale"])
def test_right_layers_pass(graded, name):
    mark = graded(name)
    assert mark.verdict == "pass", mark.summary
    assert mark.gradients == {"dx": "right"}
    assert mark.summary == ""


def test_a_loss_that_returns_its_gradient(graded):
    mark = graded("svm_loss")
    assert mark.forward.verdict == "right"
    assert mark.gradients == {"dx": "4 times too large"}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("elu", "elu_forward raised RuntimeError: not today (on arrays of shapes (3, 4))"),
        ("softmax", "softmax_backward returned None: it is not written yet"),
        ("swirl", 'give example arguments in the file, as in EXAMPLES = {"swirl": (x, w)}'),
        ("layernorm", "no backward found for layernorm_forward"),
    ],
)
def test_what_cannot_be_run_says_why(graded, name, problem):
    mark = graded(name)
    assert mark.verdict == "not run"
    assert problem in mark.problem
    assert not mark.ok


def test_a_mark_as_plain_data(graded):
    data = graded("layernorm").to_dict()
    assert data["target"] == "layernorm"
    assert data["verdict"] == "not run"
    assert data["functions"] == ["layernorm_forward"]
    assert data["line"] == 62
    data = graded("svm_loss").to_dict()
    assert data["gradients"] == {"dx": "4 times too large"}
    assert data["failures"]
    assert data["forward"]["matched"] == "svm"


@pytest.mark.parametrize("name", ["linear", "svm_loss"])
def test_the_script_of_a_failure_runs_as_it_stands(graded, name):
    script = graded(name).report.reproduction
    assert "pair_in_file" in script
    with enable_x64(True), pytest.raises(AssertionError):
        exec(script, {"__name__": "again"})
    jax.config.update("jax_enable_x64", False)


def test_the_words_of_the_course():
    text = "w_bar is 4 times too small; prev_h_bar too, where y_bar is 0, not draw_bar"
    assert in_words_of_course(text, ("w", "prev_h", "h")) == (
        "dw is 4 times too small; dprev_h too, where dout is 0, not draw_bar"
    )


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("factor", "w_bar is 32 times too large; 32 is the batch", "32 times too large"),
        ("sign", "w_bar has the wrong sign everywhere", "wrong sign"),
        ("no gradient", "w_bar is 0 everywhere", "is 0"),
        ("transposed", "w_bar: axes swapped", "transposed"),
    ],
)
def test_a_diagnosis_in_brief(kind, text, words):
    assert brief(kind, text) == words
