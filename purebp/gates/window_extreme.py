"""The largest and the smallest entry of windows of any rank, stride, padding and dilation."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from purebp.compat import zeros_varying_as
from purebp.gate import Gate
from purebp.gates.windows import (
    STRIDES,
    Each,
    Sides,
    Windows,
    reduce_over,
    rules,
    windows_over,
)
from purebp.numerics import widen


def _first_extreme(x: Array, sign: int, windows: Windows) -> Array:
    """y, with the derivative of the first entry of each window that is equal to it."""
    spread = lax.pad(
        x,
        jnp.asarray(-sign * np.inf, x.dtype),
        [(lo, hi, k - 1) for (lo, hi), k in zip(windows.padding, windows.base, strict=True)],
    )
    numbers = np.arange(spread.size).reshape(spread.shape)
    starts = [
        range(0, n - (w - 1) * d, s)
        for n, w, s, d in zip(
            spread.shape, windows.window, windows.strides, windows.dilation, strict=True
        )
    ]
    inside = [range(0, w * d, d) for w, d in zip(windows.window, windows.dilation, strict=True)]
    first, offset = numbers[np.ix_(*starts)], numbers[np.ix_(*inside)].ravel()
    entries = spread.ravel()[first[..., None] + offset]
    number = jnp.argmax(sign * lax.stop_gradient(entries), axis=-1, keepdims=True)
    return jnp.take_along_axis(entries, number, axis=-1)[..., 0]


def reduce_window_max_definition(
    x: Float[Array, "*s"],
    *,
    window_dimensions: Each = 2,
    window_strides: Each = 1,
    padding: Sides = 0,
    base_dilation: Each = 1,
    window_dilation: Each = 1,
) -> Float[Array, "..."]:
    """y_i = the largest entry of window i.

    Maths: x_bar_t = sum of y_bar_i over the windows in which t is the largest.
    Shapes: as for reduce_window_sum.
    Residuals: x. The places of the largest entries are found again, by a reduction of pairs.
    Kinks: of equal entries the first in row-major order receives all, as in JAX. The padding is
        -inf and receives nothing. (JAX has no gradient with a dilation of the window.)
    Raises: OptionError unless there is a number for each axis, ShapeError where no window fits,
        DtypeError for integers.
    Source: the max gate; CS231n, lecture 5, pooling.

    Example:
        >>> y, res = reduce_window_max.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*reduce_window_max.bwd(res, y))
        [[1. 0. 2.]
         [0. 0. 0.]]
    """
    options = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return _first_extreme(x, 1, windows_over(x.ndim, *options))


def reduce_window_max_forward(x: Array, **options: Any) -> Array:
    return _extreme(x, 1, windows_over(x.ndim, **options))


def _extreme(x: Array, sign: int, windows: Windows) -> Array:
    """Read at the places; without dilation JAX has a reduction of its own."""
    if {*windows.base, *windows.dilation} <= {1}:
        return reduce_over(x, -sign * np.inf, lax.max if sign > 0 else lax.min, windows)
    number = _places(x, sign, windows)
    outside = number >= x.size
    read = x.ravel()[jnp.where(outside, 0, number)]
    return jnp.where(outside, jnp.asarray(-sign * np.inf, x.dtype), read)


def reduce_window_min_definition(
    x: Float[Array, "*s"],
    *,
    window_dimensions: Each = 2,
    window_strides: Each = 1,
    padding: Sides = 0,
    base_dilation: Each = 1,
    window_dilation: Each = 1,
) -> Float[Array, "..."]:
    """y_i = the smallest entry of window i.

    Maths: x_bar_t = sum of y_bar_i over the windows in which t is the smallest.
    Shapes: as for reduce_window_sum.
    Residuals: x. The places of the smallest entries are found again, by a reduction of pairs.
    Kinks: of equal entries the first in row-major order receives all, as in JAX. The padding is
        inf and receives nothing.
    Raises: OptionError unless there is a number for each axis, ShapeError where no window fits,
        DtypeError for integers.
    Source: the min gate.

    Example:
        >>> y, res = reduce_window_min.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*reduce_window_min.bwd(res, y))
        [[ 0.  0.  0.]
         [ 0. -3.  0.]]
    """
    options = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return _first_extreme(x, -1, windows_over(x.ndim, *options))


def reduce_window_min_forward(x: Array, **options: Any) -> Array:
    return _extreme(x, -1, windows_over(x.ndim, **options))


Pair = tuple[Array, Array]


def _better(one: Pair, other: Pair) -> Pair:
    """The larger of two numbers with its place; the first of equal ones; nan before all."""
    (a, i), (b, j) = one, other
    earlier = i < j
    wins = (a > b) | ((a == b) & earlier) | (jnp.isnan(a) & (~jnp.isnan(b) | earlier))
    return jnp.where(wins, a, b), jnp.where(wins, i, j)


def _places(x: Array, sign: int, windows: Windows) -> Array:
    """The place of the extreme entry of each window, counted in row-major order."""
    value = sign * lax.stop_gradient(x)
    number = lax.iota(np.int32, x.size).reshape(x.shape)
    last = np.int32(math.prod(x.shape))
    empty = (np.asarray(-np.inf, x.dtype), last)
    _, place = lax.reduce_window((value, number), empty, _better, *windows)
    return place


def extreme_x_bar(y_bar: Array, x: Array, sign: int, *options: Any) -> Array:
    place = _places(x, sign, windows_over(x.ndim, *options))
    wide = widen(y_bar)
    zeros = zeros_varying_as(wide, (x.size,))
    return zeros.at[place.ravel()].add(wide.ravel(), mode="drop").reshape(x.shape)


def reduce_window_max_x_bar(
    y_bar: Array,
    x: Array,
    window_dimensions: Each,
    window_strides: Each,
    padding: Sides,
    base_dilation: Each,
    window_dilation: Each,
) -> Array:
    options = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return extreme_x_bar(y_bar, x, 1, *options)


def reduce_window_min_x_bar(
    y_bar: Array,
    x: Array,
    window_dimensions: Each,
    window_strides: Each,
    padding: Sides,
    base_dilation: Each,
    window_dilation: Each,
) -> Array:
    options = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return extreme_x_bar(y_bar, x, -1, *options)


reduce_window_max = Gate(
    reduce_window_max_definition,
    reduce_window_max_x_bar,
    forward=reduce_window_max_forward,
    kinks="of equal entries the first receives all",
    **rules("reduce_window_max", STRIDES),
)
reduce_window_min = Gate(
    reduce_window_min_definition,
    reduce_window_min_x_bar,
    forward=reduce_window_min_forward,
    kinks="of equal entries the first receives all",
    **rules("reduce_window_min", STRIDES),
)

OPS = (reduce_window_max, reduce_window_min)
