"""Samples with a gradient, and norms of weights, against the distributions and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import OptionError, ShapeError
from purebp.activations import gumbel_softmax
from purebp.compat import jit_once
from purebp.layers import gaussian_sample, power_iteration, spectral_norm, weight_norm
from purebp.losses import gaussian_kl

KEYS = jax.random.split(jax.random.key(0), 4)
LOGITS = jnp.array([1.0, 0.0, -1.0, 0.5])
W = jax.random.normal(KEYS[0], (5, 3))


def bars(op, y_bar, *args, **options):
    def run(y_bar):
        y, res = op.fwd(*args, **options)
        return y, *op.bwd(res, y_bar)

    return jit_once(run)(y_bar)


def test_samples_have_the_mean_and_the_variance():
    log_var = jnp.full(20_000, np.log(4.0))
    z = gaussian_sample(jnp.full(20_000, 3.0), log_var, KEYS[1])
    assert abs(z.mean() - 3) < 0.05
    assert abs(z.std() - 2) < 0.05
    assert np.any(z != gaussian_sample(jnp.full(20_000, 3.0), log_var, KEYS[2]))
    _, mean_bar, log_var_bar, key_bar = bars(gaussian_sample, jnp.ones(20_000), z, log_var, KEYS[1])
    assert (mean_bar == 1).all()
    np.testing.assert_allclose(log_var_bar, (z - 3) / 2, rtol=1e-4, atol=1e-5)
    assert key_bar is None


def test_hard_choices_are_drawn_with_the_softmax():
    rows = jnp.broadcast_to(LOGITS, (20_000, 4))
    y = gumbel_softmax(rows, KEYS[1], hard=True)
    assert set(np.unique(y)) == {0.0, 1.0}
    assert (y.sum(-1) == 1).all()
    np.testing.assert_allclose(y.mean(0), jax.nn.softmax(LOGITS), atol=0.02)
    soft = gumbel_softmax(rows, KEYS[1], temperature=0.01)
    assert jnp.mean(jnp.abs(soft - y) < 0.05) > 0.97


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_hard_choices_have_the_gradient_of_soft_ones(temperature):
    y_bar = jnp.array([1.0, -2.0, 0.5, 3.0])
    options = {"temperature": temperature}
    hard, straight, _ = bars(gumbel_softmax, y_bar, LOGITS, KEYS[3], hard=True, **options)
    soft, through, _ = bars(gumbel_softmax, y_bar, LOGITS, KEYS[3], **options)
    assert int(jnp.argmax(soft)) == int(jnp.argmax(hard))
    np.testing.assert_array_equal(straight, through)

    def define(logits):
        return gumbel_softmax.define(logits, KEYS[3], hard=True, **options)

    y, pull = jax.vjp(define, LOGITS)
    np.testing.assert_array_equal(y, hard)
    np.testing.assert_allclose(pull(y_bar)[0], straight, rtol=1e-5)


def test_the_divergence_of_the_standard_normal_is_zero():
    zero = jnp.zeros((2, 3))
    loss, mean_bar, log_var_bar = bars(gaussian_kl, 1.0, zero, zero)
    assert loss == 0
    assert not mean_bar.any()
    assert not log_var_bar.any()
    small = jnp.full((1, 1), 1e-6)
    assert bars(gaussian_kl, 1.0, 0 * small, small)[2] == pytest.approx(5e-7, rel=1e-5)


def test_weights_have_the_length_g_and_keep_their_direction():
    g = jnp.array([1.0, 2.0, 3.0])
    w, v_bar, _ = bars(weight_norm, W, W, g)
    np.testing.assert_allclose(jnp.linalg.norm(w, axis=0), g, rtol=1e-6)
    np.testing.assert_allclose(jnp.sum(v_bar * W, axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(weight_norm(10 * W, g), w, rtol=1e-6)
    zeros = bars(weight_norm, jnp.ones((5, 3)), W.at[:, 1].set(0), g)
    assert not zeros[0][:, 1].any()
    assert not zeros[1][:, 1].any()
    assert zeros[2][1] == 0


def test_power_iteration_finds_the_largest_singular_value():
    left, right = jax.random.normal(KEYS[1], 5), jax.random.normal(KEYS[2], 3)
    vectors = jit_once(lambda: power_iteration(W, left, right, iterations=60))()
    y, w_bar, *_ = bars(spectral_norm, jnp.cos(W), W, *vectors)
    assert jnp.linalg.norm(y, 2) == pytest.approx(1, rel=1e-5)

    def exact(w):
        return jnp.vdot(jnp.cos(W), w / jnp.linalg.svd(w, compute_uv=False)[0])

    np.testing.assert_allclose(w_bar, jax.grad(exact)(W), rtol=1e-3, atol=1e-5)
    assert power_iteration(W, left, right, iterations=0) == (left, right)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: weight_norm(W, jnp.ones(5)), ShapeError, r"g has shape \(5,\), expected \(3,\)"),
        (lambda: weight_norm(W, jnp.ones(3), axis=2), OptionError, "axis is 2, expected"),
        (lambda: gumbel_softmax(LOGITS, KEYS[0], temperature=0.0), OptionError, "temperature is 0"),
        (lambda: gumbel_softmax(LOGITS[:0], KEYS[0]), ShapeError, "expected at least one class"),
        (lambda: power_iteration(W, W[:, 0], W[0], iterations=-1), OptionError, "iterations is -1"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
