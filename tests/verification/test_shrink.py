"""Smaller inputs on which a layer fails for the same reason."""

import jax.numpy as jnp
import numpy as np

from purebp.verification.budget import NORMAL
from purebp.verification.cases import variants
from purebp.verification.diagnosis import diagnose
from purebp.verification.probe import Probe
from purebp.verification.shrink import shrink
from purebp.verification.target import make_target

X = jnp.asarray(np.random.default_rng(0).standard_normal((5, 7)), jnp.float32)


def mean_fwd(x, w):
    return jnp.mean(x * w, axis=0), (x, w)


def mean_bwd(residuals, y_bar):
    x, w = residuals
    return jnp.broadcast_to(y_bar * w, x.shape), jnp.mean(x * y_bar, axis=0)


def tail_bwd(residuals, y_bar):
    x, w = residuals
    short = x.shape[0] < 4
    x_bar = jnp.broadcast_to(y_bar * w / x.shape[0], x.shape)
    return (x_bar if short else x_bar.at[4:].set(0.0)), jnp.mean(x * y_bar, axis=0)


def shape_of(case):
    shapes = case.variant.shapes
    assert shapes is not None
    assert shapes[0] is not None
    return shapes[0]


def first(target):
    probe = Probe(target, variants(target)[0])
    return probe, probe.first


def test_shapes_become_smaller_while_the_diagnosis_stays_the_same():
    target = make_target((mean_fwd, mean_bwd), examples=(X, X[0]))
    found = shrink("jacobian", *first(target), NORMAL)
    assert found is not None
    shape = shape_of(found[1])
    assert shape[0] > 1
    assert shape[0] * shape[1] < 10
    diagnosis = diagnose(*found)
    assert diagnosis is not None
    assert f"{shape[0]} is the size of axis 0 of x" in diagnosis.text


def test_shapes_on_which_it_does_not_fail_are_passed_over():
    target = make_target((mean_fwd, tail_bwd), examples=(X, X[0]))
    found = shrink("jacobian", *first(target), NORMAL)
    assert found is not None
    assert shape_of(found[1])[0] > 4


def test_a_case_that_does_not_fail_has_no_smaller_one():
    def right_bwd(residuals, y_bar):
        x, w = residuals
        spread = jnp.broadcast_to(y_bar * w / x.shape[0], x.shape)
        return spread, jnp.mean(x * y_bar, axis=0)

    target = make_target((mean_fwd, right_bwd), examples=(X, X[0]))
    assert shrink("jacobian", *first(target), NORMAL) is None


def test_a_smaller_shape_on_which_the_backward_pass_raises_is_passed_over():
    def square_bwd(residuals, y_bar):
        x, w = residuals
        if min(x.shape) < 3:
            return x[:, :, None], w
        return jnp.broadcast_to(y_bar * w, x.shape), jnp.mean(x * y_bar, axis=0)

    target = make_target((mean_fwd, square_bwd), examples=(X, X[0]))
    found = shrink("jacobian", *first(target), NORMAL)
    assert found is not None
    assert min(shape_of(found[1])) >= 3
