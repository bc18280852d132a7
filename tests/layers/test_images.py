"""Transposed and causal convolutions, pools by size, resizing, and AlexNet's norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import OptionError, ShapeError
from purebp.compat import jit_once
from purebp.layers import (
    adaptive_avg_pool,
    avg_pool,
    causal_conv1d,
    conv1d,
    conv2d,
    conv_transpose2d,
    drop_path,
    global_avg_pool,
    local_response_norm,
    patches,
    pixel_shuffle,
    upsample,
)

KEYS = jax.random.split(jax.random.key(0), 3)
X = jax.random.normal(KEYS[0], (2, 4, 6, 6))
W = jax.random.normal(KEYS[1], (4, 3, 3, 2))


def both(op, *args, **options):
    def run(*args):
        y, res = op.fwd(*args, **options)
        return y, *op.bwd(res, jnp.cos(y))

    return jit_once(run)(*args)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_transposed_convolution_is_the_backward_pass_of_a_convolution(stride):
    options = {"stride": stride, "padding": 1, "dilation": (1, 2)}
    y, *_ = both(conv_transpose2d, X, W, **options)
    _, res = conv2d.fwd(jnp.zeros_like(y), W, **options)
    np.testing.assert_allclose(y, conv2d.bwd(res, X)[0], rtol=1e-5, atol=1e-5)
    y_bar = jnp.cos(y)
    x_bar = both(conv_transpose2d, X, W, **options)[1]
    np.testing.assert_allclose(x_bar, conv2d(y_bar, W, **options), rtol=1e-5, atol=1e-5)


def test_a_transposed_convolution_doubles_an_image_like_upsampling_to_the_nearest():
    w = jnp.eye(4)[:, :, None, None] * jnp.ones((2, 2))
    y = conv_transpose2d(X, w, stride=2)
    np.testing.assert_array_equal(y, upsample(X))


def test_no_entry_of_a_causal_convolution_sees_a_later_one():
    x, w = X[:, :, 0], W[:, 0, :, 0]
    y, res = causal_conv1d.fwd(x, w)
    late = x.at[:, :, 3:].add(100.0)
    np.testing.assert_array_equal(causal_conv1d(late, w)[:, :, :3], y[:, :, :3])
    x_bar = causal_conv1d.bwd(res, jnp.zeros_like(y).at[:, :, 2].set(1.0))[0]
    assert not x_bar[:, :, 3:].any()
    assert x_bar[:, :, :3].all()


def test_a_causal_convolution_is_a_depthwise_one_with_its_padding_before():
    x, w, b = X[:, :, 0], W[:, 0, :, 0], W[:, 0, 0, 0]
    wanted = both(conv1d, x, w[:, None], b, groups=4, padding=((w.shape[1] - 1, 0),))
    for a, c in zip(both(causal_conv1d, x, w, b), wanted, strict=True):
        np.testing.assert_allclose(a.reshape(c.shape), c, rtol=1e-5, atol=1e-5)


def test_pools_by_size_agree_where_the_size_divides():
    pairs = [
        (both(adaptive_avg_pool, X, size=(3, 2)), both(avg_pool, X, window=(2, 3))),
        (both(adaptive_avg_pool, X, size=6), (X, jnp.cos(X))),
    ]
    for came, wanted in pairs:
        for a, b in zip(came, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    one = adaptive_avg_pool(X)[:, :, 0, 0]
    np.testing.assert_allclose(one, global_avg_pool(X), rtol=1e-5, atol=1e-6)


def test_an_infinity_stays_under_its_own_window():
    y = adaptive_avg_pool(X.at[0, 0, 0, 0].set(jnp.inf), size=4)
    assert np.isinf(y[0, 0, 0, 0])
    assert np.isfinite(np.asarray(y).ravel()[1:]).all()
    wide = upsample(X.at[0, 0, 0, 0].set(jnp.inf), scale=3, method="bilinear")
    assert np.isinf(wide[0, 0, 0, 0])
    assert np.isfinite(wide[0, 0, 4:, 4:]).all()


def test_pixel_shuffle_undoes_a_strided_cut():
    y = pixel_shuffle(X)
    for a in range(2):
        for b in range(2):
            np.testing.assert_array_equal(y[:, 0, a::2, b::2], X[:, 2 * a + b])


def test_patches_and_a_product_are_a_convolution():
    w = jax.random.normal(KEYS[2], (5, 4, 2, 3))
    product = patches(X, size=(2, 3)) @ w.reshape(5, -1).T
    whole = conv2d(X, w, stride=(2, 3))
    np.testing.assert_allclose(product, whole.reshape(2, 5, 6).swapaxes(1, 2), atol=1e-5)


def test_a_response_norm_of_size_one_is_elementwise():
    options = {"size": 1, "alpha": 0.5, "beta": 0.5, "k": 1.0}
    y, x_bar = both(local_response_norm, X, **options)
    np.testing.assert_allclose(y, X / jnp.sqrt(1 + X * X / 2), rtol=1e-5)
    np.testing.assert_allclose(x_bar, jnp.cos(y) * (1 + X * X / 2) ** -1.5, rtol=1e-4, atol=1e-6)


def test_drop_path_keeps_or_drops_whole_examples():
    x = jnp.ones((400, 3))
    y, res = drop_path.fwd(x, KEYS[2], rate=0.25)
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert (y[:, :1] == y).all()
    assert 0.65 < float(jnp.mean(y[:, 0] > 0)) < 0.85
    x_bar, key_bar = drop_path.bwd(res, jnp.ones_like(y))
    np.testing.assert_array_equal(x_bar, y)
    assert key_bar is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv_transpose2d(X, W, output_padding=1), OptionError, "less than the stride"),
        (lambda: conv_transpose2d(X, W, padding="SAME"), OptionError, "padding is 'SAME'"),
        (lambda: conv_transpose2d(X[:, :, :1, :1], W, padding=2), ShapeError, "lower padding"),
        (lambda: conv_transpose2d(X, W, groups=3), OptionError, "groups is 3, expected a divisor"),
        (lambda: conv_transpose2d(X, W, jnp.ones(2)), ShapeError, r"b has shape \(2,\), expected"),
        (
            lambda: causal_conv1d(X[:, :, 0, :0], W[:, 0, :, 0]),
            ShapeError,
            "expected entries in each",
        ),
        (lambda: adaptive_avg_pool(X, size=0), OptionError, "size is 0, expected"),
        (lambda: upsample(X, method="cubic"), OptionError, "method is 'cubic', expected 'near"),
        (lambda: upsample(X, scale=0), OptionError, "scale is 0, expected"),
        (lambda: pixel_shuffle(X, factor=3), OptionError, "square divides the 4 channels"),
        (lambda: patches(X), OptionError, "size is 4, expected one that divides the 6 rows"),
        (lambda: local_response_norm(X, size=4), OptionError, "size is 4, expected an odd"),
        (lambda: local_response_norm(X, k=0.0), OptionError, "k is 0.0 and alpha"),
        (lambda: drop_path(X, KEYS[0], rate=1.0), OptionError, "rate is 1.0, expected"),
        (lambda: global_avg_pool(X[..., :0]), ShapeError, "expected entries in each channel"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
