"""Small mistakes in a function's source."""

import jax.numpy as jnp
import numpy as np
import pytest

from reference.mutants.edits import mutants_of
from reference.mutants.judge import changed


def first_bwd(res, y_bar):
    x, w = res
    return y_bar @ w.T, -2.0 * x.T @ y_bar


def second_bwd(res, y_bar):
    centred = y_bar - jnp.mean(y_bar, axis=-1, keepdims=True)
    if res.r.ndim > 9:
        raise ValueError(f"too many: {res.r.ndim + 1}")
    return jnp.where(res.r > 0, centred * res.r, res.x)


def found(function, kind):
    return {(m.before, m.after) for m in mutants_of(function) if m.kind == kind}


@pytest.mark.parametrize(
    ("function", "kind", "wanted"),
    [
        (first_bwd, "another sign", set()),
        (second_bwd, "another sign", {True}),
        (first_bwd, "another factor", {("-2.0 * x.T", "-2.0 / x.T")}),
        (first_bwd, "transposed", {("w.T", "w"), ("y_bar @ w.T", "w.T @ y_bar")}),
        (first_bwd, "another residual", {("(x, w)", "(w, x)")}),
        (second_bwd, "another residual", {("res.r", "res.x"), ("res.x", "res.r")}),
        (second_bwd, "dropped term", {("centred * res.r", "res.r")}),
        (second_bwd, "another axis", {True}),
        (second_bwd, "without keepdims", {True}),
        (second_bwd, "ignored cotangent", {True}),
        (second_bwd, "other branch", {True}),
    ],
)
def test_each_rule_proposes_its_mistakes(function, kind, wanted):
    mutants = found(function, kind)
    assert bool(mutants) == bool(wanted)
    assert mutants >= wanted - {True}


def test_what_is_raised_and_the_shape_of_an_array_are_left_alone():
    assert not any("too many" in m.before or ".ndim" in m.before for m in mutants_of(second_bwd))


def test_a_mutant_takes_the_place_of_the_function_and_leaves_it():
    (mutant,) = [m for m in mutants_of(first_bwd) if m.after == "w.T @ y_bar"]
    res, y_bar = (np.ones((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]])), np.array([[0.0, 1.0]] * 2)
    right = first_bwd(res, y_bar)[0]
    with changed(first_bwd, mutant.code):
        assert not np.array_equal(first_bwd(res, y_bar)[0], right)
    assert np.array_equal(first_bwd(res, y_bar)[0], right)
