"""Layers of images beside convolutions and pools with windows, as nested loops."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, Pair, float64, pair


def global_avg_pool(x: ArrayLike) -> Array:
    """y[n, c] = sum of x[n, c] / number of positions. Shapes: (n, c, *spatial) -> (n, c)."""
    x = float64(x)
    y = np.empty(x.shape[:2])
    for n, c in np.ndindex(y.shape):
        y[n, c] = sum(x[n, c].ravel()) / math.prod(x.shape[2:])
    return y


def adaptive_windows(size: int, count: int) -> list[range]:
    """Window i holds the entries from floor(i size / count) to below ceil((i + 1) size / count)."""
    return [
        range(math.floor(i * size / count), math.ceil((i + 1) * size / count)) for i in range(count)
    ]


def adaptive_avg_pool(x: ArrayLike, *, size: Pair = 1) -> Array:
    """The mean of each window of a grid. Shapes: (n, c, h, w) -> (n, c, *size)."""
    x = float64(x)
    rows, columns = map(adaptive_windows, x.shape[2:], pair(size))
    y = np.empty((*x.shape[:2], len(rows), len(columns)))
    for n, c, i, j in np.ndindex(y.shape):
        values = [x[n, c, row, column] for row in rows[i] for column in columns[j]]
        y[n, c, i, j] = sum(values) / len(values)
    return y


def sources(output: int, scale: int, size: int, method: str) -> list[tuple[int, float]]:
    """(entry, weight) of the entries that an output of an upsampled axis is made of.

    The centre of output o lies at (o + 1/2) / scale - 1/2 among the centres of the entries.
    """
    place = (output + 0.5) / scale - 0.5
    if method == "nearest":
        return [(output // scale, 1.0)]
    below = math.floor(place)
    share = place - below
    return [(max(below, 0), 1 - share), (min(below + 1, size - 1), share)]


def upsample(x: ArrayLike, *, scale: Pair = 2, method: str = "nearest") -> Array:
    """Copies of the nearest pixel, or means of the neighbours by distance.

    Shapes: (n, c, h, w) -> (n, c, h * rows, w * columns).
    """
    x = float64(x)
    (h, w), (rows, columns) = x.shape[2:], pair(scale)
    y = np.zeros((*x.shape[:2], h * rows, w * columns))
    for n, c, i, j in np.ndindex(y.shape):
        for row, a in sources(i, rows, h, method):
            for column, b in sources(j, columns, w, method):
                y[n, c, i, j] += a * b * x[n, c, row, column]
    return y


def patches(x: ArrayLike, *, size: Pair = 4) -> Array:
    """y[n, i * (w / q) + j, (c * p + a) * q + b] = x[n, c, i * p + a, j * q + b].

    Shapes: (n, c, h, w) -> (n, h / p * w / q, c * p * q).
    """
    x, (p, q) = float64(x), pair(size)
    n, c, h, w = x.shape
    y = np.empty((n, (h // p) * (w // q), c * p * q))
    for image, channel, row, column in np.ndindex(x.shape):
        (i, a), (j, b) = divmod(row, p), divmod(column, q)
        y[image, i * (w // q) + j, (channel * p + a) * q + b] = x[image, channel, row, column]
    return y


def pixel_shuffle(x: ArrayLike, *, factor: int = 2) -> Array:
    """y[n, c, i * r + a, j * r + b] = x[n, c * r * r + a * r + b, i, j].

    Shapes: (n, c * r * r, h, w) -> (n, c, h * r, w * r).
    """
    x = float64(x)
    n, c, h, w = x.shape
    y = np.empty((n, c // factor**2, h * factor, w * factor))
    for index in np.ndindex(y.shape):
        image, channel, row, column = index
        (i, a), (j, b) = divmod(row, factor), divmod(column, factor)
        y[index] = x[image, channel * factor**2 + a * factor + b, i, j]
    return y


def local_response_norm(
    x: ArrayLike, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Array:
    """y[c] = x[c] / (k + alpha * sum of x[j]^2 with |j - c| <= size // 2)^beta, at each position.

    Shapes: (n, c, *spatial) -> the same.
    """
    x = float64(x)
    y = np.empty(x.shape)
    for n, c, *place in np.ndindex(x.shape):
        near = range(max(c - size // 2, 0), min(c + size // 2 + 1, x.shape[1]))
        total = sum(x[(n, j, *place)] ** 2 for j in near)
        y[(n, c, *place)] = x[(n, c, *place)] / (k + alpha * total) ** beta
    return y


def drop_path(x: ArrayLike, mask: ArrayLike, *, rate: float = 0.5) -> Array:
    """x / (1 - rate) for the examples whose mask is 1, 0 for the others.

    The mask is given instead of a random key. Shapes: (n, *rest), (n) -> (n, *rest).
    """
    x, mask = float64(x), float64(mask)
    y = np.zeros(x.shape)
    for n in range(x.shape[0]):
        if mask[n]:
            y[n] = x[n] / (1.0 - rate)
    return y


DEFINITIONS: dict[str, Callable] = {
    "global_avg_pool": global_avg_pool,
    "adaptive_avg_pool": adaptive_avg_pool,
    "upsample": upsample,
    "patches": patches,
    "pixel_shuffle": pixel_shuffle,
    "local_response_norm": local_response_norm,
    "drop_path": drop_path,
}
