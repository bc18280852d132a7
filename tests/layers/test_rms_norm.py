"""Norms without a mean: against flax, at zero, with 16 bits, and with a planted bug."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from purebp import OptionError
from purebp.layers import l2_normalize, rms_norm
from purebp.verification import verify

X = jax.random.normal(jax.random.key(0), (6, 5))
GAMMA = jnp.linspace(0.5, 2, 5)


def test_rms_norm_is_that_of_flax():
    module = linen.RMSNorm(epsilon=1e-5)

    def loss(x, gamma):
        return jnp.sum(jnp.sin(module.apply({"params": {"scale": gamma}}, x)))

    expected = jax.jit(jax.grad(loss, (0, 1)))(X, GAMMA)
    op = rms_norm.with_options(eps=1e-5)
    came = jax.jit(jax.grad(lambda x, g: jnp.sum(jnp.sin(op(x, g))), (0, 1)))(X, GAMMA)
    for a, b in zip(came, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_gradient_has_no_part_along_the_vector_that_is_normalised():
    y, res = l2_normalize.fwd(X)
    (x_bar,) = l2_normalize.bwd(res, jnp.cos(X))
    np.testing.assert_allclose(jnp.linalg.norm(y, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(jnp.vecdot(X, x_bar), 0, atol=1e-6)


def test_l2_normalize_is_defined_at_zero():
    zero, y_bar = jnp.zeros((2, 3)), jnp.arange(6.0).reshape(2, 3)
    y, res = l2_normalize.fwd(zero, eps=1e-3)
    assert not y.any()
    np.testing.assert_allclose(l2_normalize.bwd(res, y_bar)[0], 1e3 * y_bar, rtol=1e-6)
    by_jax = jax.grad(lambda x: jnp.sum(x / jnp.linalg.norm(x)))(zero[0])
    assert np.isnan(by_jax).all()


def test_a_row_of_zeros_keeps_rms_norm_finite():
    y, res = rms_norm.fwd(jnp.zeros((1, 5)), GAMMA)
    x_bar, gamma_bar = rms_norm.bwd(res, jnp.ones((1, 5)))
    assert not y.any()
    np.testing.assert_allclose(x_bar[0], 1e3 * GAMMA, rtol=1e-6)
    assert not gamma_bar.any()


def test_nan_is_seen_and_empty_batches_pass():
    y, _ = rms_norm.fwd(X.at[1, 2].set(jnp.nan), GAMMA)
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[0]).all()
    _, res = rms_norm.fwd(X[:0], GAMMA)
    x_bar, gamma_bar = rms_norm.bwd(res, X[:0])
    assert (x_bar.shape, gamma_bar.tolist()) == ((0, 5), [0.0] * 5)


def test_sums_are_taken_in_float32_where_x_has_16_bits():
    x = jnp.full((1, 4096), 100, jnp.float16)  # the squares alone are more than float16 holds
    assert l2_normalize(x)[0, 0] == jnp.float16(1 / 64)
    assert rms_norm(x, jnp.ones(4096, jnp.float16))[0, 0] == 1


@pytest.mark.parametrize(
    ("op", "args", "options", "message"),
    [
        (rms_norm, (X, GAMMA), {"eps": 0.0}, "eps is 0.0, expected a number above 0"),
        (l2_normalize, (X,), {"eps": 1e-30}, "eps is 1e-30, expected a number from 1e-18 on"),
        (l2_normalize, (X,), {"axis": 2}, "axis is 2, expected an axis of x of shape"),
    ],
)
def test_options_that_are_refused(op, args, options, message):
    with pytest.raises(OptionError, match=message):
        op.fwd(*args, **options)


def rms_norm_without_the_slope_of_r(res, y_bar):
    x, r, gamma = res
    return y_bar * gamma * r[..., None], jnp.sum(y_bar * x * r[..., None], 0)


def test_a_forgotten_slope_of_r_is_found():
    def forward(x, gamma):
        y, res = rms_norm.fwd(x, gamma)
        return y, res.values

    report = verify((forward, rms_norm_without_the_slope_of_r), X, GAMMA)
    assert report.verdict == "fail"
