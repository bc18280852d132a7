"""Average pooling to a given size: one number for each channel, or a grid of them."""

import math
from collections.abc import Sequence
from functools import reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import ShapeError
from purebp.gate import Gate
from purebp.layers.window import Pair, pair
from purebp.numerics import widen
from purebp.residuals import Spec

ROWS, COLUMNS = 2, 3


def global_avg_pool_definition(x: Float[Array, "n c *spatial"]) -> Float[Array, "n c"]:
    """The mean of each channel over all positions.

    Maths: y_nc = 1/m sum_i x_nci over the m positions; every x_bar_nci = y_bar_nc / m.
    Shapes: x (n, c, *spatial), y (n, c).
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: ShapeError if there are no positions, DtypeError for integers.
    Source: Lin, Chen and Yan 2013, "Network in network", section 3.2.

    Example:
        >>> y, res = global_avg_pool.fwd(jax.random.normal(jax.random.key(0), (2, 3, 4)))
        >>> [jnp.shape(bar) for bar in global_avg_pool.bwd(res, y)]
        [(2, 3, 4)]
    """
    return jnp.mean(x, axis=tuple(range(2, x.ndim)))


def global_avg_pool_forward(x: Array) -> Array:
    return jnp.mean(widen(x), axis=tuple(range(2, x.ndim))).astype(x.dtype)


def global_avg_pool_x_bar(y_bar: Array, x_spec: Spec) -> Array:
    spatial = x_spec.shape[2:]
    share = y_bar / math.prod(spatial)
    return jnp.broadcast_to(share.reshape(*share.shape, *(1 for _ in spatial)), x_spec.shape)


def check_global_avg_pool(x: Array) -> None:
    """Raise if there is nothing to average."""
    if 0 in x.shape[2:]:
        raise ShapeError(
            f"global_avg_pool: x has shape {x.shape}, expected entries in each channel"
        )


global_avg_pool = Gate(
    global_avg_pool_definition,
    global_avg_pool_x_bar,
    forward=global_avg_pool_forward,
    sizes={"n": (2, 1), "c": (3, 2), "spatial": ((2, 3), (), (4,), (1, 1))},
    check=check_global_avg_pool,
)


def adaptive_avg_pool_definition(
    x: Float[Array, "n c h w"], *, size: Pair = 1
) -> Float[Array, "n c h2 w2"]:
    """Means over a grid of windows that cover the image, whatever its size.

    Maths: window i of h2 holds the rows from floor(i h / h2) to below ceil((i + 1) h / h2); columns
        likewise; y is the mean of each window. Every entry of it receives y_bar / area; where
        windows share a row or column, gradients add.
    Shapes: x (n, c, h, w); y (n, c, h2, w2) with (h2, w2) = size, an integer or two.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: ShapeError for an empty image, OptionError for a size below 1, DtypeError for integers.
    Source: torch.nn.AdaptiveAvgPool2d's windows; derived by hand.

    Example:
        >>> y, res = adaptive_avg_pool.fwd(jax.random.normal(jax.random.key(0), (2, 2, 5, 4)))
        >>> [jnp.shape(bar) for bar in adaptive_avg_pool.bwd(res, y)]
        [(2, 2, 5, 4)]
    """
    rows, columns = windows_of(x.shape, size)
    cells = [jnp.mean(x[..., a:b, c:d], axis=(ROWS, COLUMNS)) for a, b in rows for c, d in columns]
    return jnp.stack(cells, axis=-1).reshape(*x.shape[:2], len(rows), len(columns))


Windows = Sequence[tuple[int, int]]


def windows_of(shape: tuple[int, ...], size: Pair) -> tuple[Windows, Windows]:
    """(first, end) of each window along the rows and the columns."""
    counts = pair("adaptive_avg_pool", "size", size, least=1)
    rows, columns = (
        [(i * entries // count, -(-(i + 1) * entries // count)) for i in range(count)]
        for entries, count in zip(shape[2:], counts, strict=True)
    )
    return rows, columns


def adaptive_avg_pool_forward(x: Array, *, size: Pair) -> Array:
    rows, columns = windows_of(x.shape, size)
    return _means(_means(widen(x), columns, COLUMNS), rows, ROWS).astype(x.dtype)


def adaptive_avg_pool_x_bar(y_bar: Array, x_spec: Spec, size: Pair) -> Array:
    rows, columns = windows_of(x_spec.shape, size)
    along_bar = _spread(widen(y_bar), rows, ROWS, x_spec.shape[ROWS])
    return _spread(along_bar, columns, COLUMNS, x_spec.shape[COLUMNS])


def _means(x: Array, windows: Windows, axis: int) -> Array:
    """The mean of each window along one axis."""
    width = x.shape[axis] // len(windows)
    if width * len(windows) == x.shape[axis]:
        parts = x.reshape(*x.shape[:axis], len(windows), width, *x.shape[axis + 1 :])
        return jnp.mean(parts, axis=axis + 1)
    return jnp.stack(
        [jnp.mean(lax.slice_in_dim(x, a, b, axis=axis), axis=axis) for a, b in windows], axis
    )


def _spread(y_bar: Array, windows: Windows, axis: int, size: int) -> Array:
    """The share of each window, at each of its entries."""
    width, shape = size // len(windows), list(y_bar.shape)
    if width * len(windows) == size:
        return jnp.repeat(y_bar / width, width, axis=axis)
    placed = list[Array]()
    for i, (a, b) in enumerate(windows):
        shape[axis] = b - a
        share = jnp.broadcast_to(lax.slice_in_dim(y_bar, i, i + 1, axis=axis) / (b - a), shape)
        edges = [(0, 0, 0)] * y_bar.ndim
        edges[axis] = (a, size - b, 0)
        placed.append(lax.pad(share, jnp.zeros((), share.dtype), edges))
    return reduce(jnp.add, placed)


def check_adaptive_avg_pool(x: Array, *, size: Pair) -> None:
    """Raise for a size that is none, or an empty image."""
    windows_of(x.shape, size)
    if 0 in x.shape[2:]:
        raise ShapeError(
            f"adaptive_avg_pool: x has shape {x.shape}, expected entries in each image"
        )


adaptive_avg_pool = Gate(
    adaptive_avg_pool_definition,
    adaptive_avg_pool_x_bar,
    forward=adaptive_avg_pool_forward,
    options={"size": (1, 2, (3, 2), (4, 7))},
    sizes={"n": (2, 1), "c": (2, 1), "h": (5, 6, 3), "w": (4, 5, 7)},
    check=check_adaptive_avg_pool,
)

OPS = (global_avg_pool, adaptive_avg_pool)
