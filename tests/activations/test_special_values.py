"""Activations at infinities and NaN, against jax.nn, and with options that make no sense."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import activations
from purebp.activations import (
    celu,
    hard_swish,
    log_softmax,
    softmax,
    softplus,
    sparsemax,
    squareplus,
    standardize,
)
from purebp.compat import enable_x64
from purebp.errors import OptionError, ShapeError

IN_JAX = {
    "relu6": jax.nn.relu6,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "hard_tanh": jax.nn.hard_tanh,
    "hard_swish": jax.nn.hard_swish,
    "softplus": jax.nn.softplus,
    "log_sigmoid": jax.nn.log_sigmoid,
    "mish": jax.nn.mish,
    "softsign": jax.nn.soft_sign,
    "squareplus": jax.nn.squareplus,
    "selu": jax.nn.selu,
    "celu": jax.nn.celu,
    "log_softmax": jax.nn.log_softmax,
    "standardize": jax.nn.standardize,
}
# Values and slopes at -inf and inf.
LIMITS = {
    "relu6": ((0, 6), (0, 0)),
    "hard_sigmoid": ((0, 1), (0, 0)),
    "hard_tanh": ((-1, 1), (0, 0)),
    "hard_swish": ((0, np.inf), (0, 1)),
    "relu_squared": ((0, np.inf), (0, np.inf)),
    "softplus": ((0, np.inf), (0, 1)),
    "log_sigmoid": ((-np.inf, 0), (1, 0)),
    "softsign": ((-1, 1), (0, 0)),
    "squareplus": ((0, np.inf), (0, 1)),
    "selu": ((-1.7580993, np.inf), (0, 1.0507010)),
    "celu": ((-1, np.inf), (0, 1)),
}


@pytest.mark.parametrize("name", IN_JAX)
def test_values_are_those_of_jax_nn(name: str) -> None:
    x = jnp.linspace(-5, 5, 42).reshape(6, 7)
    op = getattr(activations, name)
    np.testing.assert_allclose(op(x), IN_JAX[name](x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", LIMITS)
def test_infinities_have_their_limits_and_nan_stays(name: str) -> None:
    op = getattr(activations, name)
    y, res = op.fwd(jnp.array([-np.inf, np.inf, np.nan]))
    (x_bar,) = op.bwd(res, jnp.ones(3))
    values, slopes = LIMITS[name]
    np.testing.assert_allclose(y[:2], values, rtol=1e-6)
    np.testing.assert_allclose(x_bar[:2], slopes, rtol=1e-6)
    assert np.isnan(y[2])


@pytest.mark.parametrize("op", [sparsemax, log_softmax, standardize], ids=lambda op: op.name)
def test_nan_is_never_hidden_in_a_line(op) -> None:
    y = op(jnp.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]))
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1]).all()


def test_sparsemax_is_a_distribution_with_zeros() -> None:
    x = jnp.array([[0.1, 1.1, 0.2, 0.8], [9.0, 0.0, 0.0, -np.inf], [2.0, 2.0, 2.0, 2.0]])
    y, res = sparsemax.fwd(x)
    expected = [[0, 0.65, 0, 0.35], [1, 0, 0, 0], [0.25] * 4]
    np.testing.assert_allclose(y, expected, atol=1e-6)
    (x_bar,) = sparsemax.bwd(res, jnp.arange(12.0).reshape(3, 4))
    np.testing.assert_allclose(x_bar, [[0, -1, 0, 1], [0] * 4, [-1.5, -0.5, 0.5, 1.5]])


def test_the_relations_between_activations() -> None:
    x = jnp.linspace(-4, 4, 30).reshape(5, 6)
    np.testing.assert_allclose(jnp.exp(log_softmax(x)), softmax(x), rtol=1e-5)
    np.testing.assert_allclose(-softplus(-x), activations.log_sigmoid(x), rtol=1e-6)
    y = standardize(1e4 + x, axis=0)  # the mean is far from 0: <x^2> - mean^2 would be noise
    np.testing.assert_allclose(jnp.mean(y**2, axis=0), 1, rtol=1e-3)


def test_options_that_make_no_sense_are_refused() -> None:
    x = jnp.ones(3)
    with pytest.raises(OptionError, match="b is 0, expected a number above 0"):
        squareplus(x, b=0)
    with pytest.raises(OptionError, match="alpha is -1"):
        celu(x, alpha=-1)
    with pytest.raises(OptionError, match="eps is 0"):
        standardize(x, eps=0)
    for op in (log_softmax, sparsemax, standardize):
        with pytest.raises(OptionError, match="expected an axis of x"):
            op(x, axis=1)
        with pytest.raises(ShapeError, match="at least one axis"):
            op(jnp.float32(1))


def test_the_definition_of_hard_swish_has_an_exact_slope_around_its_zero() -> None:
    with enable_x64(True):
        x = jnp.float64(-1.5148096096515656)
        (x_bar,) = hard_swish.bwd(hard_swish.fwd(x)[1], 1.0)
        for slope in (jax.grad(hard_swish.definition)(x), x_bar):
            np.testing.assert_allclose(slope, (2 * x + 3) / 6, rtol=4e-16)
