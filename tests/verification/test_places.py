"""Where it goes wrong: a nan is followed to the node that makes it, a gradient to the call."""

import json

import jax
import jax.numpy as jnp
import numpy as np

import purebp
from purebp.verification.cases import Case, variants
from purebp.verification.places import birth_in_backward, parting_in_function
from purebp.verification.probe import Probe
from purebp.verification.target import make_target


def length(x):
    sums = jnp.sum(x**2, axis=-1)
    return jnp.where(sums == 0, 0.0, jnp.sqrt(jnp.where(sums == 0, 1.0, sums)))


def length_fwd(x):
    y = length(x)
    return y, (x, y)


def length_bwd(res, y_bar):
    x, y = res
    return ((y_bar / y)[..., None] * x,)


def guarded_bwd(res, y_bar):
    x, y = res
    return ((y_bar / jnp.where(y == 0, 1.0, y))[..., None] * x,)


def test_the_report_names_the_line_and_the_cure():
    report = purebp.verify(
        (length_fwd, length_bwd), np.ones((3, 4), np.float32), reference=length, budget="quick"
    )
    assert report.diagnosis is not None
    assert report.diagnosis.kind == "not finite"
    assert "div at " in report.born
    assert "test_places.py" in report.born
    assert "length_bwd" in report.born
    assert "guard the operand before" in report.born
    assert report.born in str(report)
    assert report.born.splitlines()[0] in report._repr_html_()
    assert json.loads(report.to_json())["born"] == report.born


def test_a_right_layer_has_none():
    example = (np.ones((3, 4), np.float32),)
    probe = Probe(
        made := make_target((length_fwd, guarded_bwd), length, examples=example), variants(made)[0]
    )
    assert not birth_in_backward(probe, Case(probe.variant, "zero rows", "normal", 0))
    report = purebp.verify((length_fwd, guarded_bwd), *example, reference=length, budget="quick")
    assert report.ok
    assert not report.born


def test_code_that_is_not_traced_tells_nothing():
    def layer_forward(x):
        return np.sqrt(x), x

    def layer_backward(dout, cache):
        return dout * np.inf

    report = purebp.verify((layer_forward, layer_backward), np.ones(3), budget="quick")
    assert not report.ok
    assert not report.born


@jax.custom_vjp
def halved(x):
    return x / 2


halved.defvjp(lambda x: (x / 2, None), lambda _, y_bar: (y_bar / 2,))


@jax.custom_vjp
def squared(x):
    return x * x


squared.defvjp(lambda x: (x * x, x), lambda x, y_bar: (y_bar * x,))


def net(x, w):
    for _ in range(2):
        x = halved(jnp.tanh(x @ w))
    return halved(squared(x))


def test_the_call_that_parts_is_told_with_its_line():
    x = np.linspace(-1, 2, 12, dtype=np.float32).reshape(4, 3)
    report = purebp.verify(net, x, np.eye(3, dtype=np.float32) + 0.1, budget="quick", seed=0)
    assert report.verdict == "fail"
    assert report.parted.startswith("squared, called at ")
    assert "test_places.py" in report.parted
    assert "(net)" in report.parted
    assert "gives operand 0" in report.parted
    assert report.parted in str(report)
    assert json.loads(report.to_json())["parted"] == report.parted


def test_what_contains_no_rules_parts_nowhere():
    made = make_target((length_fwd, length_bwd), length, examples=(np.ones((3, 4), np.float32),))
    probe = Probe(made, variants(made)[0])
    assert not parting_in_function(probe, Case(probe.variant, "normal", "normal", 0))
