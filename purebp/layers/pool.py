"""The pooling layers: elementwise work on strided slices.

Slice a holds entry a of every window, in place of XLA's reduce_window and select_and_scatter; the
backward pass puts the slices back. Windows that overlap are pooled along their columns, then along
their rows; those that lie apart at once.
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
    Residuals: the argmax, in bytes: its place in the window for each entry of y; where windows
        overlap the column for each row of x and column of y, and the row for each entry of y. x
        and y need not be kept, and the backward pass reads a fraction of their bytes.
    Kinks: of equal entries the first one, row by row, receives all of the gradient.
    Raises: ShapeError if the window is larger than the padded image, OptionError for a window or
        stride below 1 or an unknown padding, DtypeError for integers.
    Source: the lecture notes' max pooling by the remembered argmax; CS231n, assignment 2.

    Example:
        >>> x = jnp.array([[[[1.0, 2.0, 5.0, 0.0], [4.0, 3.0, 0.0, 1.0]]]])
        >>> y, res = max_pool.fwd(x)
        >>> print(y.ravel(), *max_pool.bwd(res, jnp.ones_like(y)))
        [4. 5.] [[[[0. 0. 1. 0.]
           [1. 0. 0. 0.]]]]
    """
    rows, columns = _steps("max_pool", x, window, stride, padding)
    return lax.reduce_window(x, -math.inf, lax.max, *_reduce_window(rows, columns))


class MaxPoolResiduals(NamedTuple):
    """The place of the largest entry in its window; or its row and its column."""

    places: tuple[Array, ...]
    x: Spec


def max_pool_fwd(
    x: Array, *, window: Pair = 2, stride: Pair | None = None, padding: Padding = 0
) -> tuple[Array, MaxPoolResiduals]:
    rows, columns = _steps("max_pool", x, window, stride, padding)
    if _apart(rows, columns):
        of_rows = _slices(x, ROWS, rows, -math.inf)
        entries = [entry for row in of_rows for entry in _slices(row, COLUMNS, columns, -math.inf)]
        y, place = _first_largest(entries)
        return y, MaxPoolResiduals((place,), spec_of(x))
    along, column = _first_largest(_slices(x, COLUMNS, columns, -math.inf))
    y, row = _first_largest(_slices(along, ROWS, rows, -math.inf))
    return y, MaxPoolResiduals((row, column), spec_of(x))


def max_pool_bwd(
    res: MaxPoolResiduals,
    y_bar: Array,
    *,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> tuple[Array]:
    rows, columns = _steps("max_pool", res.x, window, stride, padding)
    wide = widen(y_bar)
    if _apart(rows, columns):
        routed = _route(wide, res.places[0], rows.window * columns.window)
        starts = range(0, len(routed), columns.window)
        of_rows = [_put_back(routed[a : a + columns.window], COLUMNS, columns) for a in starts]
        x_bar = _put_back(of_rows, ROWS, rows)
    else:
        row, column = res.places
        along_bar = _put_back(_route(wide, row, rows.window), ROWS, rows)
        x_bar = _put_back(_route(along_bar, column, columns.window), COLUMNS, columns)
    return (x_bar.astype(res.x.dtype),)


def _apart(rows: Steps, columns: Steps) -> bool:
    """Whether no two windows share an entry."""
    return rows.stride >= rows.window and columns.stride >= columns.window


def _first_largest(entries: Sequence[Array]) -> tuple[Array, Array]:
    """The largest entry and the number of the first one that is the largest, as NaN is."""
    dtype = jnp.uint8 if len(entries) <= 256 else jnp.int32
    best = entries[0]
    number = jnp.zeros(best.shape, dtype)
    for a, entry in enumerate(entries[1:], start=1):
        larger = (entry > best) | jnp.isnan(entry)
        best = jnp.where(larger, entry, best)
        number = jnp.where(larger, jnp.asarray(a, dtype), number)
    return best, number


def _route(y_bar: Array, number: Array, window: int) -> list[Array]:
    """For each entry of the windows: y_bar where it was the largest, else 0."""
    return [jnp.where(number == a, y_bar, 0) for a in range(window)]


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

    Example:
        >>> y, res = avg_pool.fwd(jax.random.normal(jax.random.key(0), (3, 2, 5, 6)))
        >>> [jnp.shape(bar) for bar in avg_pool.bwd(res, y)]
        [(3, 2, 5, 6)]
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
    along_bar = _put_back([share] * rows.window, ROWS, rows)
    x_bar = _put_back([along_bar] * columns.window, COLUMNS, columns)
    return (x_bar.astype(res.dtype),)


def _slices(x: Array, axis: int, steps: Steps, fill: float) -> list[Array]:
    """Slice a holds entry a of every window along the axis: entry i stride + a of the padded x."""
    needed = steps.reach + steps.window - 1
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (steps.low, needed - steps.low - steps.size, 0)
    padded = lax.pad(x, jnp.asarray(fill, x.dtype), edges)
    starts = range(steps.window)
    return [lax.slice_in_dim(padded, a, a + steps.reach, steps.stride, axis) for a in starts]


def _put_back(entries: Sequence[Array], axis: int, steps: Steps) -> Array:
    """The transpose of `_slices`: entry a of window i goes to i stride + a - low; overlaps add.

    Entries a, a + stride, ... meet in the same places, one window apart: their sums are as long as
    there are windows. The sums for a = 0 ... stride - 1 take turns along the axis.
    """
    turns = -(-steps.window // steps.stride)
    length = steps.outputs + turns - 1
    sums: list[Array] = []
    for a in range(steps.stride):
        shifted = [
            _pad(entry, axis, turn, length - steps.outputs - turn)
            for turn, entry in enumerate(entries[a :: steps.stride])
        ]
        sums.append(reduce(jnp.add, shifted) if shifted else jnp.zeros_like(sums[0]))
    shape = (*sums[0].shape[:axis], length * steps.stride, *sums[0].shape[axis + 1 :])
    x = jnp.stack(sums, axis + 1).reshape(shape)
    return _pad(x, axis, -steps.low, steps.size + steps.low - shape[axis])


def _pad(x: Array, axis: int, low: int, high: int) -> Array:
    """Zeros before and after along one axis; a negative number cuts."""
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (low, high, 0)
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
