"""The derivative of the backward pass is checked, and said to be missing where it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.verification.cases import variants
from purebp.verification.probe import Probe
from purebp.verification.second_order import check_second_order
from purebp.verification.target import make_target


def outcome_of(fwd, bwd, shapes="n", reference=None):
    made = make_target((fwd, bwd), shapes=shapes, reference=reference)
    probe = Probe(made, variants(made)[0])
    return check_second_order(probe, probe.first)


def sine(x):
    return jnp.sin(x), x


def right(x, g):
    return (g * jnp.cos(x),)


def with_a_constant_cosine(x, g):
    return (g * jnp.cos(lax.stop_gradient(x)),)


def cosine_with_slope(factor):
    @jax.custom_jvp
    def cosine(x):
        return jnp.cos(x)

    cosine.defjvp(lambda x, dx: (jnp.cos(x[0]), -factor * jnp.sin(x[0]) * dx[0]))
    return lambda x, g: (g * cosine(x),)


def test_a_right_pass_is_right_twice():
    assert outcome_of(sine, right).failure is None


@pytest.mark.parametrize(
    "bwd",
    [with_a_constant_cosine, cosine_with_slope(2.0), cosine_with_slope(1 + 1e-6)],
    ids=["none", "twice", "almost"],
)
def test_a_wrong_second_derivative_is_caught(bwd):
    failure = outcome_of(sine, bwd).failure
    assert failure is not None
    assert failure.check == "second order"
    assert failure.argument == "x"


def test_the_own_rule_of_a_cosine_is_no_failure():
    assert outcome_of(sine, cosine_with_slope(1.0)).failure is None


def product(x, w):
    return x * w, (x, w)


def test_the_wrong_argument_is_named():
    def stops_w(res, g):
        x, w = res
        return g * lax.stop_gradient(w), g * x

    assert outcome_of(product, lambda res, g: (g * res[1], g * res[0]), "n, n").failure is None
    failure = outcome_of(product, stops_w, "n, n").failure
    assert failure is not None
    assert failure.argument == "w"  # the slope of x_bar in w is gone


def squared_relu(at_zero):
    """max(0, x)^2, whose second derivative at 0 is a convention."""

    @jax.custom_jvp
    def slope(x):
        return 2 * jnp.maximum(x, 0)

    def jvp(x, dx):
        second = jnp.where(x[0] > 0, 2.0, jnp.where(x[0] == 0, at_zero, 0.0))
        return slope(x[0]), second.astype(dx[0].dtype) * dx[0]

    slope.defjvp(jvp)
    return (lambda x: (jnp.maximum(x, 0) ** 2, x)), (lambda x, g: (g * slope(x),))


@pytest.mark.parametrize(
    ("at_zero", "allowed"), [(0.0, True), (1.0, True), (2.0, True), (3.0, False)]
)
def test_where_the_second_derivative_jumps_all_between_are_conventions(at_zero, allowed):
    assert (outcome_of(*squared_relu(at_zero)).failure is None) == allowed


def through_a_callback(x, g):
    def pull(x, g):
        return np.asarray(g) * np.cos(x)

    return (jax.pure_callback(pull, jax.ShapeDtypeStruct(x.shape, x.dtype), x, g),)


def test_a_pass_that_cannot_be_differentiated_is_no_failure():
    assert outcome_of(sine, through_a_callback).failure is None


def test_a_pass_that_cannot_be_differentiated_says_so():
    assert "not differentiable twice" in outcome_of(sine, through_a_callback).inconclusive


def test_a_linear_layer_has_second_derivatives_of_zero():
    outcome = outcome_of(lambda x: (3 * x, None), lambda _, g: (3 * g,))
    assert outcome.failure is None
    assert outcome.worst == 0
