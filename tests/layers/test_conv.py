"""Convolutions: groups, dilation and rank, against separate convolutions, lax and flax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from purebp import OptionError, ShapeError
from purebp.compat import jit_once
from purebp.layers import conv1d, conv2d, conv3d

KEYS = jax.random.split(jax.random.key(0), 3)
X = jax.random.normal(KEYS[0], (2, 4, 7, 6))
W = jax.random.normal(KEYS[1], (6, 2, 3, 2))
B = jnp.linspace(-1, 1, 6)


def both(op, *args, **options):
    def run(*args):
        y, res = op.fwd(*args, **options)
        return y, *op.bwd(res, jnp.cos(y))

    return jit_once(run)(*args)


def plain(op, *args, **options):
    def run(*args):
        y, pull = jax.vjp(lambda *args: op.define(*args, **options), *args)
        return y, *pull(jnp.cos(y))

    return jit_once(run)(*args)


def assert_close(came, expected):
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_groups_are_convolutions_side_by_side():
    options = {"stride": (1, 2), "padding": 1, "dilation": (2, 1)}
    came = both(conv2d, X, W, B, groups=2, **options)
    first = both(conv2d, X[:, :2], W[:3], B[:3], **options)
    second = both(conv2d, X[:, 2:], W[3:], B[3:], **options)
    for part, (a, b) in enumerate(zip(first, second, strict=True)):
        np.testing.assert_allclose(
            came[part], np.concatenate([a, b], axis=1 if part < 2 else 0), rtol=2e-5, atol=2e-5
        )


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": 1},
        {"stride": (3, 2), "padding": "SAME", "dilation": 2},
        {"padding": ((3, 0), (2, 4))},
        {"padding": ((9, 1), (0, 5)), "stride": (2, 1)},
    ],
    ids=str,
)
def test_depthwise_is_a_convolution_with_a_group_for_each_channel(options):
    w = jax.random.normal(KEYS[2], (8, 1, 3, 2))
    assert_close(both(conv2d, X, w, groups=4, **options), plain(conv2d, X, w, groups=4, **options))


def test_a_large_depthwise_kernel_goes_group_by_group():
    x, w = X[:, :2], jax.random.normal(KEYS[2], (2, 1, 9, 8))
    assert_close(both(conv2d, x, w, groups=2, padding=3), plain(conv2d, x, w, groups=2, padding=3))


def test_it_is_the_convolution_of_flax():
    module = linen.Conv(
        6, (3, 2), strides=(2, 1), padding=((1, 1), (0, 1)), kernel_dilation=(1, 2),
        feature_group_count=2,
    )  # fmt: skip

    def run(x, w, b):
        params = {"params": {"kernel": w.transpose(2, 3, 1, 0), "bias": b}}
        return jnp.moveaxis(module.apply(params, jnp.moveaxis(x, 1, -1)), -1, 1)

    def derive(*args):
        y, pull = jax.vjp(run, *args)
        return y, *pull(jnp.cos(y))

    options = {"stride": (2, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 2), "groups": 2}
    assert_close(both(conv2d, X, W, B, **options), jit_once(derive)(X, W, B))


def test_an_axis_of_size_one_leads_from_one_rank_to_the_next():
    options = {"stride": 2, "padding": 1, "dilation": 2}
    x, w = X[:, :2, 0], W[:, :, 0]
    one = both(conv1d, x, w, B, **options)
    flat = {"stride": (1, 2), "padding": (0, 1), "dilation": (1, 2)}
    two = both(conv2d, x[:, :, None], w[:, :, None], B, **flat)
    three = both(
        conv3d, x[:, :, None, None], w[:, :, None, None], B,
        stride=(1, 1, 2), padding=(0, 0, 1), dilation=(1, 1, 2),
    )  # fmt: skip
    for a, b, c in zip(one, two, three, strict=True):
        assert_close((b.reshape(a.shape), c.reshape(a.shape)), (a, a))


@pytest.mark.parametrize(("low", "high"), [(4, 0), (4, 4), (2, 0)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dilated_strided_kernels_that_xla_aborts_on(groups, low, high):
    """The axis of y_bar is spread out but not padded: see `_is_bare`."""
    x, w = X[:, :2, :5], W[:2, : 2 // groups]
    options = {"stride": 2, "dilation": 2, "padding": ((low, high), (2, 0)), "groups": groups}
    assert_close(both(conv2d, x, w, **options), plain(conv2d, x, w, **options))


@pytest.mark.parametrize(
    ("op", "args", "options", "error", "message"),
    [
        (conv2d, (X, W), {"groups": 3}, OptionError, "groups is 3, expected a divisor of the 4"),
        (conv2d, (X, W), {"groups": 0}, OptionError, "groups is 0, expected a divisor"),
        (conv2d, (X, W), {}, ShapeError, r"\(6, 4, 3, 2\) from axis 1 of x"),
        (conv2d, (X, W), {"groups": 2, "dilation": 0}, OptionError, "dilation is 0, expected"),
        (conv2d, (X, W), {"groups": 2, "dilation": 4}, ShapeError, r"spans \(9, 5\), expected"),
        (conv2d, (X, W), {"groups": 2, "stride": -1}, OptionError, "stride is -1"),
        (
            conv1d,
            (X[0], W[0]),
            {"padding": (1, 2)},
            OptionError,
            r"\(length,\), \(\(low, high\),\)",
        ),
        (conv1d, (X, W), {}, ShapeError, "expected rank 3"),
        (conv3d, (X[None], W[None]), {"stride": (1, 2)}, OptionError, "or three of them"),
    ],
)
def test_what_is_refused(op, args, options, error, message):
    with pytest.raises(error, match=message):
        op.fwd(*args, **options)


def test_an_empty_batch_passes():
    for groups, w in ((1, W[:, :, :, :1]), (2, W[:, :1])):
        y, x_bar, w_bar, _ = both(conv2d, X[:0, :2], w, groups=groups)
        assert (y.shape[0], x_bar.shape) == (0, (0, 2, 7, 6))
        assert not w_bar.any()
