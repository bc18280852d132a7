"""Group and instance norm, and the norms with a residual connection: against flax, one another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from purebp import OptionError, ShapeError
from purebp.layers import (
    add_layer_norm,
    add_rms_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)

KEYS = jax.random.split(jax.random.key(0), 4)
X = jax.random.normal(KEYS[0], (3, 4, 2, 5))
Y_BAR = jax.random.normal(KEYS[1], X.shape)
GAMMA, BETA = jnp.linspace(0.5, 2, 4), jnp.linspace(-1, 1, 4)


def both(op, *args, y_bar=Y_BAR, **options):
    y, res = op.fwd(*args, **options)
    return y, *op.bwd(res, y_bar)


def assert_close(came, expected, *, rtol=2e-5):
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def test_group_norm_is_that_of_flax():
    module = linen.GroupNorm(num_groups=2, epsilon=1e-5)

    def run(x, gamma, beta):
        params = {"params": {"scale": gamma, "bias": beta}}
        return jnp.moveaxis(module.apply(params, jnp.moveaxis(x, 1, -1)), -1, 1)

    def derive(*args):
        y, pull = jax.vjp(run, *args)
        return y, *pull(Y_BAR)

    expected = jax.jit(derive)(X, GAMMA, BETA)
    assert_close(jax.jit(lambda *a: both(group_norm, *a, groups=2))(X, GAMMA, BETA), expected)


def test_one_group_is_layer_norm_and_a_group_for_each_channel_is_instance_norm():
    ones, zeros = jnp.ones(4), jnp.zeros(4)
    y, x_bar, *_ = both(group_norm, X, ones, zeros, groups=1)
    flat = (X.reshape(3, -1), jnp.ones(40), jnp.zeros(40))
    expected = both(layer_norm, *flat, y_bar=Y_BAR.reshape(3, -1))
    assert_close((y.reshape(3, -1), x_bar.reshape(3, -1)), expected[:2])
    by_group = both(group_norm, X, GAMMA, BETA, groups=4)
    assert_close(both(instance_norm, X, GAMMA, BETA), by_group, rtol=0)


@pytest.mark.parametrize("mean", [0.0, 1e2, 1e4])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_cotangents_of_a_group_add_up_to_zero(groups, mean):
    _, x_bar, *_ = both(group_norm, X + mean, jnp.ones(4), jnp.zeros(4), groups=groups)
    parts = np.asarray(x_bar, np.float64).reshape(3, groups, -1)
    allowed = 16 * np.finfo(np.float32).eps * np.abs(parts).sum(-1)
    assert (np.abs(parts.sum(-1)) <= allowed).all()


def test_a_constant_channel_keeps_instance_norm_finite():
    y, x_bar, gamma_bar, _ = both(instance_norm, jnp.full_like(X, 3.7), GAMMA, BETA)
    assert_close(y, jnp.broadcast_to(BETA[:, None, None], X.shape))
    assert np.isfinite(x_bar).all()
    assert not gamma_bar.any()


@pytest.mark.parametrize(
    ("fused", "norm", "weights"),
    [(add_rms_norm, rms_norm, (jnp.ones(5),)), (add_layer_norm, layer_norm, (jnp.ones(5),) * 2)],
)
def test_a_norm_with_a_residual_is_an_add_and_a_norm(fused, norm, weights):
    x, residual = X[0, 0], X[1, 1]
    bars = (Y_BAR[0, 0], Y_BAR[1, 1])

    def separate(x, residual, *weights):
        s = x + residual
        return norm(s, *weights), s

    y, pull = jax.vjp(separate, x, residual, *weights)
    assert_close(both(fused, x, residual, *weights, y_bar=bars), (y, *pull(bars)), rtol=1e-6)
    assert_close(fused.bwd(fused.fwd(x, residual, *weights)[1], (0 * bars[0], bars[1]))[0], bars[1])


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((X, GAMMA, BETA), {"groups": 3}, OptionError, "groups is 3, expected a divisor of the 4"),
        ((X, GAMMA, BETA), {"groups": 0}, OptionError, "groups is 0, expected a divisor of the 4"),
        ((X, GAMMA, BETA), {"groups": 2, "eps": -1.0}, OptionError, "eps is -1.0"),
        ((X[:, :, :0], GAMMA, BETA), {"groups": 2}, ShapeError, "expected entries in every"),
        ((X, GAMMA[:2], BETA), {"groups": 2}, ShapeError, r"gamma has shape \(2,\)"),
    ],
)
def test_what_group_norm_refuses(args, options, error, message):
    with pytest.raises(error, match=message):
        group_norm.fwd(*args, **options)


def test_an_empty_batch_passes():
    y, x_bar, gamma_bar, beta_bar = both(group_norm, X[:0], GAMMA, BETA, y_bar=X[:0], groups=2)
    assert (y.shape, x_bar.shape) == (X[:0].shape, X[:0].shape)
    assert (gamma_bar.tolist(), beta_bar.tolist()) == ([0.0] * 4, [0.0] * 4)
