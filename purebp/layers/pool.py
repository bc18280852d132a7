"""The pooling layers. A window of rows and columns is pooled along its columns, then its rows.

Strided slices take the place of XLA's reduce_window and select_and_scatter: slice a holds entry a
of every window, so that pooling is elementwise, and its backward pass puts the slices back.
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.layers.window import Padding, Pair, Steps, pair, steps_over
from purebp.numerics import widen
from purebp.op import Op
from purebp.residuals import Spec, spec_of

ROWS, COLUMNS = 2, 3


def max_pool_definition(
    x: Float[Array, "n c h w"],
    *,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> Float[Array, "n c h2 w2"]:
    """The largest entry under each window, which alone receives the gradient.

    Maths: y_ncij = max_pq x_nc(i s + p - lo)(j s + q - lo); x_bar adds y_bar at the argmax of
        every window, so that overlapping windows add up.
    Shapes: x (n, c, h, w); y (n, c, h2, w2) with h2 = (h - window + lo + hi) // s + 1. window and
        stride: an integer or (rows, columns), stride None is the window; padding as in conv2d,
        with entries of -inf.
    Residuals: the argmax, in bytes: the column for each row of x and column of y, the row for each
        entry of y. x and y need not be kept, and the backward pass reads a fraction of their bytes.
    Kinks: of equal entries the first one, row by row, receives all of the gradient.
    Raises: ShapeError if the window is larger than the padded image, OptionError for a window or
        stride below 1 or an unknown padding, DtypeError for integers.
    Source: the lecture notes' max pooling by the remembered argmax; CS231n, assignment 2.
    """
    rows, columns = _steps("max_pool", x, window, stride, padding)
    return lax.reduce_window(x, -math.inf, lax.max, *_reduce_window(rows, columns))


class MaxPoolResiduals(NamedTuple):
    row: Array
    column: Array
    x: Spec


def max_pool_fwd(
    x: Array, *, window: Pair = 2, stride: Pair | None = None, padding: Padding = 0
) -> tuple[Array, MaxPoolResiduals]:
    rows, columns = _steps("max_pool", x, window, stride, padding)
    along, column = _first_largest(_slices(x, COLUMNS, columns, -math.inf), columns)
    y, row = _first_largest(_slices(along, ROWS, rows, -math.inf), rows)
    return y, MaxPoolResiduals(row, column, spec_of(x))


def max_pool_bwd(
    res: MaxPoolResiduals,
    y_bar: Array,
    *,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> tuple[Array]:
    rows, columns = _steps("max_pool", res.x, window, stride, padding)
    along_bar = _route(widen(y_bar), res.row, ROWS, rows)
    x_bar = _route(along_bar, res.column, COLUMNS, columns)
    return (x_bar.astype(res.x.dtype),)


def _first_largest(slices: Sequence[Array], steps: Steps) -> tuple[Array, Array]:
    """The largest of the slices, and the number of the first one that is; NaN counts as largest.

    The comparisons give the numbers too. But where there are several windows, XLA would compare
    again inside of the backward pass, for every entry; a reduction it does not repeat.
    """
    dtype = jnp.uint8 if len(slices) <= 256 else jnp.int32
    best = slices[0]
    number = jnp.zeros(best.shape, dtype)
    for a, entry in enumerate(slices[1:], start=1):
        larger = (entry > best) | jnp.isnan(entry)
        best = jnp.where(larger, entry, best)
        number = jnp.where(larger, jnp.asarray(a, dtype), number)
    if steps.outputs > 1:
        number = lax.argmax(jnp.stack(slices), 0, dtype)
    return best, number


def _route(y_bar: Array, index: Array, axis: int, steps: Steps) -> Array:
    """Each entry of y_bar goes to the entry of its window that `index` says."""
    if steps.stride == steps.window:
        y_bar, index = jnp.expand_dims(y_bar, axis + 1), jnp.expand_dims(index, axis + 1)
        shape = (*y_bar.shape[: axis + 1], steps.window, *y_bar.shape[axis + 2 :])
        place = lax.broadcasted_iota(index.dtype, shape, axis + 1)
        return _join(jnp.where(index == place, y_bar, 0), axis, steps)
    entries = [jnp.where(index == a, y_bar, 0) for a in range(steps.window)]
    return _put_back(entries, axis, steps)


def avg_pool_definition(
    x: Float[Array, "n c h w"],
    *,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> Float[Array, "n c h2 w2"]:
    """The mean under each window; the zeros of the padding count.

    Maths: y_ncij = 1 / area sum_pq x_nc(i s + p - lo)(j s + q - lo); every entry under a window
        receives y_bar / area of it, so that overlapping windows add up.
    Shapes: as max_pool; the area is that of the window, with padding or without.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: ShapeError if the window is larger than the padded image, OptionError for a window or
        stride below 1 or an unknown padding, DtypeError for integers.
    Source: LeCun et al. 1998, "Gradient-based learning applied to document recognition", the
        subsampling layer without its weights.
    """
    rows, columns = _steps("avg_pool", x, window, stride, padding)
    total = lax.reduce_window(widen(x), 0.0, lax.add, *_reduce_window(rows, columns))
    return (total / (rows.window * columns.window)).astype(x.dtype)


def avg_pool_fwd(
    x: Array, *, window: Pair = 2, stride: Pair | None = None, padding: Padding = 0
) -> tuple[Array, Spec]:
    rows, columns = _steps("avg_pool", x, window, stride, padding)
    along = reduce(jnp.add, _slices(widen(x), COLUMNS, columns, 0.0))
    total = reduce(jnp.add, _slices(along, ROWS, rows, 0.0))
    return (total / (rows.window * columns.window)).astype(x.dtype), spec_of(x)


def avg_pool_bwd(
    res: Spec,
    y_bar: Array,
    *,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> tuple[Array]:
    rows, columns = _steps("avg_pool", res, window, stride, padding)
    share = widen(y_bar) / (rows.window * columns.window)
    along_bar = _copy(share, ROWS, rows)
    x_bar = _copy(along_bar, COLUMNS, columns)
    return (x_bar.astype(res.dtype),)


def _copy(y_bar: Array, axis: int, steps: Steps) -> Array:
    """Each entry of y_bar goes to every entry of its window."""
    if steps.stride == steps.window:
        shape = (*y_bar.shape[: axis + 1], steps.window, *y_bar.shape[axis + 1 :])
        return _join(jnp.broadcast_to(jnp.expand_dims(y_bar, axis + 1), shape), axis, steps)
    return _put_back([y_bar] * steps.window, axis, steps)


def _slices(x: Array, axis: int, steps: Steps, fill: float) -> list[Array]:
    """Slice a holds entry a of every window along the axis: entry i stride + a of the padded x."""
    needed = steps.reach + steps.window - 1
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (steps.low, needed - steps.low - steps.size, 0)
    padded = lax.pad(x, jnp.asarray(fill, x.dtype), edges)
    starts = range(steps.window)
    return [lax.slice_in_dim(padded, a, a + steps.reach, steps.stride, axis) for a in starts]


def _put_back(slices: Sequence[Array], axis: int, steps: Steps) -> Array:
    """The transpose of `_slices`: each slice goes back to where it came from; overlaps add."""
    edges = [(0, 0, 0)] * slices[0].ndim
    placed: list[Array] = []
    for a, entry in enumerate(slices):
        edges[axis] = (a - steps.low, steps.size + steps.low - a - steps.reach, steps.stride - 1)
        placed.append(lax.pad(entry, jnp.zeros((), entry.dtype), edges))
    return reduce(jnp.add, placed)


def _join(windows: Array, axis: int, steps: Steps) -> Array:
    """Windows that do not overlap, their entries on axis + 1, one after the other."""
    covered = steps.outputs * steps.window
    x = windows.reshape(*windows.shape[:axis], covered, *windows.shape[axis + 2 :])
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (-steps.low, steps.size + steps.low - covered, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _reduce_window(
    rows: Steps, columns: Steps
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[tuple[int, int], ...]]:
    return (
        (1, 1, rows.window, columns.window),
        (1, 1, rows.stride, columns.stride),
        ((0, 0), (0, 0), (rows.low, rows.high), (columns.low, columns.high)),
    )


def check_max_pool(x: Array, *, window: Pair, stride: Pair | None, padding: Padding) -> None:
    """Raise for a window, stride or padding that is not one, or does not fit the image."""
    _steps("max_pool", x, window, stride, padding)


def check_avg_pool(x: Array, *, window: Pair, stride: Pair | None, padding: Padding) -> None:
    """Raise for a window, stride or padding that is not one, or does not fit the image."""
    _steps("avg_pool", x, window, stride, padding)


def _steps(
    op: str, x: Array | Spec, window: Pair, stride: Pair | None, padding: Padding
) -> tuple[Steps, Steps]:
    size = pair(op, "window", window, least=1)
    sizes = (x.shape[2], x.shape[3])
    return steps_over(op, sizes, size, size if stride is None else stride, padding)


TRIED = {
    "window": (2, 3, (2, 3)),
    "stride": (None, 1, 2, (3, 2)),
    "padding": (0, 1, ((1, 0), (0, 1)), "SAME"),
}
SIZES = {"h": (6, 5, 7), "w": (7, 6, 4)}

max_pool = Op(
    max_pool_fwd,
    max_pool_bwd,
    definition=max_pool_definition,
    options=TRIED,
    sizes=SIZES,
    check=check_max_pool,
    kinks="ties go to the first entry, row by row",
)
avg_pool = Op(
    avg_pool_fwd,
    avg_pool_bwd,
    definition=avg_pool_definition,
    options=TRIED,
    sizes=SIZES,
    check=check_avg_pool,
)

OPS = (max_pool, avg_pool)
