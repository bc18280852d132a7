"""Windows and convolutions with every option, against JAX and the loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.compat import enable_x64
from purebp.errors import OptionError, ShapeError
from purebp.gates import (
    conv_general_dilated,
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
)
from reference import windows as loops
from tests.gates.test_moving import agree

X = jnp.asarray(np.random.default_rng(0).integers(-2, 3, (4, 5, 3)), jnp.float32)
STRIDES = {"window_strides": (2, 1, 1), "padding": ((1, 0), (2, 2), (0, 0))}
WINDOWS = [
    {"window_dimensions": (2, 3, 1), **STRIDES},
    {"window_dimensions": 2, "window_dilation": (1, 2, 2), "padding": 1},
    {"window_dimensions": (3, 2, 2), "window_strides": 2, "padding": 1, "base_dilation": (2, 1, 3)},
]
NAMES = ("window_dimensions", "window_strides", "base_dilation", "window_dilation")
REDUCTIONS = {
    reduce_window_sum: (0.0, lax.add),
    reduce_window_max: (-jnp.inf, lax.max),
    reduce_window_min: (jnp.inf, lax.min),
}


@pytest.mark.parametrize("options", WINDOWS, ids=["strides", "dilation", "base dilation"])
@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.name)
def test_windows_with_every_option(op, options) -> None:
    """JAX has no gradient of an extreme with a dilation; the ties go to the first in both."""
    empty, combine = REDUCTIONS[op]

    def by_lax(x):
        given = [options.get(name, 1) for name in NAMES]
        each = [v if isinstance(v, tuple) else (v,) * 3 for v in given]
        sides = options["padding"]
        sides = ((sides, sides),) * 3 if isinstance(sides, int) else sides
        return lax.reduce_window(x, empty, combine, each[0], each[1], sides, *each[2:])

    y, res = op.fwd(X, **options)
    np.testing.assert_array_equal(y, by_lax(X))
    y_bar = jnp.cos(jnp.arange(y.size)).reshape(y.shape)
    (want,) = loops.BACKWARD[op.name]((X,), np.asarray(y_bar), **options)
    np.testing.assert_allclose(op.bwd(res, y_bar)[0], want, rtol=1e-5, atol=1e-6)
    if op is reduce_window_sum or set(options) == {"window_dimensions", *STRIDES}:
        agree(op.with_options(**options), by_lax, X)


def test_nan_is_an_extreme_and_receives_the_gradient() -> None:
    x = jnp.array([1.0, jnp.nan, 3.0, 2.0])
    for op in (reduce_window_max, reduce_window_min):
        y, res = op.fwd(x)
        assert np.isnan(y).tolist() == [True, True, False]
        assert op.bwd(res, jnp.array([1.0, 10, 0]))[0].tolist() == [0, 11, 0, 0]


def test_a_window_of_padding_alone_has_no_gradient() -> None:
    y, res = reduce_window_max.fwd(jnp.ones(2), window_dimensions=1, padding=1)
    assert y.tolist() == [-np.inf, 1, 1, -np.inf]
    assert reduce_window_max.bwd(res, jnp.ones(4))[0].tolist() == [1, 1]


CONVOLUTIONS = [
    ((4, 4, 5, 6), (6, 2, 2, 3), {"feature_group_count": 2, "window_strides": (2, 3)}),
    ((4, 2, 5, 6), (6, 2, 3, 2), {"batch_group_count": 2, "padding": ((2, 1), (0, 2))}),
    ((2, 3, 4, 5), (2, 3, 2, 2), {"lhs_dilation": (2, 3), "rhs_dilation": (2, 1), "padding": 1}),
    ((6, 2, 5), (3, 2, 2), {"batch_group_count": 3, "lhs_dilation": 2, "window_strides": 3}),
    ((2, 2, 5), (2, 2, 3), {"lhs_dilation": 2, "padding": ((-1, 3),)}),
]


@pytest.mark.parametrize(("x", "w", "options"), CONVOLUTIONS, ids=str)
def test_convolutions_with_every_option(x, w, options) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=x), rng.normal(size=w)
    with enable_x64(True):
        y, res = conv_general_dilated.fwd(x, w, **options)
        np.testing.assert_allclose(y, loops.conv_general_dilated(x, w, **options), atol=1e-12)
        y_bar = rng.normal(size=y.shape)
        wanted = loops.conv_backward((x, w), y_bar, **options)
        for came, want in zip(conv_general_dilated.bwd(res, y_bar), wanted, strict=True):
            np.testing.assert_allclose(came, want, atol=1e-12)


def test_another_order_of_the_axes() -> None:
    rng = np.random.default_rng(2)
    x = jnp.asarray(rng.normal(size=(2, 5, 4, 4)), jnp.float32)
    w = jnp.asarray(rng.normal(size=(2, 3, 2, 4)), jnp.float32)
    names = ("NHWC", "HWIO", "NHWC")
    op = conv_general_dilated.with_options(dimension_numbers=names, feature_group_count=2)

    def by_lax(x, w):
        sides = ((0, 0), (0, 0))
        return lax.conv_general_dilated(
            x, w, (1, 1), sides, dimension_numbers=names, feature_group_count=2
        )

    came, want = (jax.grad(lambda x, w, f=f: jnp.sum(f(x, w) ** 2), (0, 1)) for f in (op, by_lax))
    for a, b in zip(came(x, w), want(x, w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (
            lambda: reduce_window_sum(X, window_dimensions=(2, 2)),
            OptionError,
            r"window_dimensions is \(2, 2\)",
        ),
        (lambda: reduce_window_max(X, padding=-1), OptionError, "padding is -1"),
        (lambda: reduce_window_min(X, window_strides=0), OptionError, "window_strides is 0"),
        (lambda: reduce_window_max(X, window_dimensions=4), ShapeError, "raise padding"),
        (lambda: conv_general_dilated(X, X[0]), ShapeError, "expected as many axes"),
        (lambda: conv_general_dilated(X, X, lhs_dilation=0), OptionError, "lhs_dilation is 0"),
        (lambda: conv_general_dilated(X, X[:, :2]), ShapeError, "^conv_general_dilated: "),
    ],
)
def test_wrong_input_is_refused(run, error, message) -> None:
    with pytest.raises(error, match=message):
        run()
