"""The rules in their order, on views and on small layers."""

from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest

from purebp.verification.cases import Case, variants
from purebp.verification.diagnosis import diagnose
from purebp.verification.diagnosis.find import RULES, views
from purebp.verification.probe import Probe
from purebp.verification.target import make_target
from tests.verification.diagnosis.made import DENSE, RNG, SQUARE, X4, kind, view

X = jnp.asarray(RNG.standard_normal((3, 2)), jnp.float32)
W = jnp.asarray(RNG.standard_normal((2, 2)), jnp.float32)
B = jnp.asarray(RNG.standard_normal(2), jnp.float32)


def first(seen):
    return next((said for rule in RULES if (said := kind(rule, seen)) != "quiet"), "quiet")


def without_columns(jacobian, *columns):
    jacobian = jacobian.copy()
    jacobian[:, columns] = 0
    return jacobian


TAKEN = {
    "0": (view(DENSE, 0 * DENSE), "no gradient"),
    "-J": (view(DENSE, -DENSE), "sign"),
    "-2 J": (view(DENSE, -2 * DENSE), "factor"),
    "nan": (view(DENSE, np.nan * DENSE), "not finite"),
    "J.T": (view(SQUARE, SQUARE.T), "transposed"),
    "J diag(x)": (view(DENSE, DENSE * X4, x=X4), "scale missing"),
    "J.T of another": (view(SQUARE, SQUARE.T, others={"w": SQUARE.T}), "swapped"),
    "tail": (view(np.diag(X4), without_columns(np.diag(X4), 2, 3), x=X4), "overwritten"),
    "mask": (view(np.tril(SQUARE), SQUARE), "mask missing"),
    "eps": (view(DENSE, DENSE + 1e-3 * np.cos(DENSE)), "eps"),
    "mean": (view(np.eye(6) - 1 / 6, np.eye(6)), "term missing"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_the_rule_that_says_most_comes_first(name):
    seen, wanted = TAKEN[name]
    assert first(seen) == wanted


@pytest.mark.parametrize("right", [DENSE, np.tril(np.ones((4, 4)))], ids=["dense", "sum"])
def test_a_tail_that_is_dropped_is_told_whatever_the_jacobian(right):
    assert first(view(right, without_columns(right, 3), x=X4)) == "overwritten"


def affine_fwd(x, w, b):
    return x @ w + b, (x, w)


def affine_bwd(res, g):
    x, w = res
    return g @ w.T, x.T @ g, g.sum(0)


def probe_of(bwd, fwd=affine_fwd, examples=(X, W, B)):
    made = make_target((fwd, bwd), examples=examples)
    probe = Probe(made, variants(made)[0], quick=True)
    return probe, Case(probe.variant, "normal", "normal", 1)


@cache
def affine_probe(bwd):
    return probe_of(bwd)


def mean_for_sum(res, g):
    x_bar, w_bar, _ = affine_bwd(res, g)
    return x_bar, w_bar, g.mean(0)


def without_y_bar(res, g):
    return affine_bwd(res, jnp.ones_like(g))


@pytest.mark.parametrize(
    ("bwd", "told"),
    [
        (affine_bwd, "right"),
        (mean_for_sum, "b_bar is 3 times too small; 3 is the size of axis 0 of x"),
        (without_y_bar, "x_bar does not depend on y_bar"),
    ],
)
def test_a_layer_is_diagnosed_on_its_example(bwd, told):
    found = diagnose(*affine_probe(bwd))
    assert told in (found.text if found is not None else "right")


def test_what_fits_no_rule_is_a_wrong_formula_with_its_arguments():
    other = RNG.standard_normal(DENSE.shape)

    def product_fwd(x):
        return jnp.asarray(DENSE, x.dtype) @ x, None

    def other_bwd(res, g):
        return (g @ jnp.asarray(other, g.dtype),)

    found = diagnose(*probe_of(other_bwd, product_fwd, (jnp.asarray(X4, jnp.float32),)))
    assert found == ("wrong formula", "x_bar: no simple relation to the right numbers")


def test_a_view_holds_the_numbers_of_its_argument():
    seen = {each.name: each for each in views(*affine_probe(mean_for_sum))}
    assert list(seen) == ["x", "w", "b"]
    bias = seen["b"]
    assert (bias.shape, bias.output, list(bias.others)) == ((2,), ((3, 2),), ["x", "w"])
    np.testing.assert_allclose(bias.right, np.tile(np.eye(2), (3, 1)), atol=1e-12)
    np.testing.assert_allclose(bias.wrong, bias.right / 3, atol=1e-12)
    y_bar = RNG.standard_normal(6)
    np.testing.assert_allclose(bias.pull(y_bar), y_bar @ bias.wrong, atol=1e-12)
    np.testing.assert_allclose(seen["x"].pull(y_bar), y_bar @ seen["x"].right, atol=1e-12)


def test_a_jacobian_that_is_too_large_is_not_diagnosed():
    def double_fwd(x):
        return 2 * x, None

    def triple_bwd(res, g):
        return (3 * g,)

    probe, case = probe_of(triple_bwd, double_fwd, (jnp.ones(200),))
    assert not probe.has_jacobian
    assert list(views(probe, case)) == []
    assert diagnose(probe, case) is None


def test_an_argument_without_a_gradient_does_not_hide_the_one_that_is_wrong():
    def centred_fwd(x, b):
        z = x + b
        return z - z.mean(0), None

    def wrong_sign(res, g):
        centred = g - g.mean(0)
        return -centred, centred.sum(0)

    found = diagnose(*probe_of(wrong_sign, centred_fwd, (jnp.ones((7, 2)).at[0].set(-2.0), B)))
    assert found is not None
    assert found.kind == "sign"
