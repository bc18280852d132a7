"""Backward passes of the layers of images; see `reference.backward_gates` for how to call them."""

import math
from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.images import adaptive_windows, sources
from reference.shapes import Array, Pair, float64, pair


def global_avg_pool_backward(args: Arguments, y_bar: Array) -> tuple[Array]:
    """Every position gets y_bar / number of positions."""
    x, y_bar = float64(args[0]), float64(y_bar)
    x_bar = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        x_bar[index] = y_bar[index[:2]] / math.prod(x.shape[2:])
    return (x_bar,)


def adaptive_avg_pool_backward(args: Arguments, y_bar: Array, *, size: Pair = 1) -> tuple[Array]:
    """Every entry of a window gets its gradient / area; shared entries add up."""
    x, y_bar = float64(args[0]), float64(y_bar)
    rows, columns = map(adaptive_windows, x.shape[2:], pair(size))
    x_bar = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(y_bar.shape):
        for row in rows[i]:
            for column in columns[j]:
                area = len(rows[i]) * len(columns[j])
                x_bar[n, c, row, column] += y_bar[n, c, i, j] / area
    return (x_bar,)


def upsample_backward(
    args: Arguments, y_bar: Array, *, scale: Pair = 2, method: str = "nearest"
) -> tuple[Array]:
    """Each output hands its gradient back by the weights of its entries."""
    x, y_bar = float64(args[0]), float64(y_bar)
    (h, w), (rows, columns) = x.shape[2:], pair(scale)
    x_bar = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(y_bar.shape):
        for row, a in sources(i, rows, h, method):
            for column, b in sources(j, columns, w, method):
                x_bar[n, c, row, column] += a * b * y_bar[n, c, i, j]
    return (x_bar,)


def patches_backward(args: Arguments, y_bar: Array, *, size: Pair = 4) -> tuple[Array]:
    """The gradients go back to where the values came from."""
    x, y_bar, (p, q) = float64(args[0]), float64(y_bar), pair(size)
    x_bar = np.empty(x.shape)
    columns = x.shape[3] // q
    for n, patch, entry in np.ndindex(y_bar.shape):
        (i, j), (channel, place) = divmod(patch, columns), divmod(entry, p * q)
        a, b = divmod(place, q)
        x_bar[n, channel, i * p + a, j * q + b] = y_bar[n, patch, entry]
    return (x_bar,)


def pixel_shuffle_backward(args: Arguments, y_bar: Array, *, factor: int = 2) -> tuple[Array]:
    """The gradients go back to where the values came from."""
    x, y_bar = float64(args[0]), float64(y_bar)
    x_bar = np.empty(x.shape)
    for n, channel, i, j in np.ndindex(x.shape):
        c, rest = divmod(channel, factor**2)
        a, b = divmod(rest, factor)
        x_bar[n, channel, i, j] = y_bar[n, c, i * factor + a, j * factor + b]
    return (x_bar,)


def local_response_norm_backward(
    args: Arguments,
    y_bar: Array,
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
) -> tuple[Array]:
    """Node by node: y_c = x_c * s_c^(-beta), s_c = k + alpha * sum of x_j^2 near c."""
    x, y_bar = float64(args[0]), float64(y_bar)
    x_bar = np.zeros(x.shape)
    for n, c, *place in np.ndindex(x.shape):
        at = (n, c, *place)
        near = range(max(c - size // 2, 0), min(c + size // 2 + 1, x.shape[1]))
        s = k + alpha * sum(x[(n, j, *place)] ** 2 for j in near)
        x_bar[at] += y_bar[at] * s**-beta
        s_bar = y_bar[at] * x[at] * -beta * s ** (-beta - 1)
        for j in near:
            x_bar[(n, j, *place)] += s_bar * alpha * 2 * x[(n, j, *place)]
    return (x_bar,)


def drop_path_backward(args: Arguments, y_bar: Array, *, rate: float = 0.5) -> tuple[Array, None]:
    """The gradient goes the way of the value: / (1 - rate) where kept, 0 where dropped."""
    mask, y_bar = float64(args[1]), float64(y_bar)
    x_bar = np.zeros(y_bar.shape)
    for n in range(y_bar.shape[0]):
        if mask[n]:
            x_bar[n] = y_bar[n] / (1.0 - rate)
    return x_bar, None


BACKWARD: dict[str, Callable] = {
    "global_avg_pool": global_avg_pool_backward,
    "adaptive_avg_pool": adaptive_avg_pool_backward,
    "upsample": upsample_backward,
    "patches": patches_backward,
    "pixel_shuffle": pixel_shuffle_backward,
    "local_response_norm": local_response_norm_backward,
    "drop_path": drop_path_backward,
}
