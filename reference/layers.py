"""The layers, as nested loops."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference import convolutions, images, norms, sequence
from reference.activations import relu
from reference.gates import identity, sigmoid, tanh
from reference.shapes import Array, Padding, Pair, Windows, float64, pair, windows_over

ACTIVATIONS = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "identity": identity}


def affine(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None) -> Array:
    """y[..., j] = sum_i x[..., i] * w[i, j] + b[j].

    Shapes: (*batch, d), (d, k), (k) or None -> (*batch, k).
    """
    x, w = float64(x), float64(w)
    d, k = w.shape
    bias = np.zeros(k) if b is None else float64(b)
    y = np.empty((*x.shape[:-1], k))
    for index in np.ndindex(x.shape[:-1]):
        for j in range(k):
            y[(*index, j)] = sum(x[(*index, i)] * w[i, j] for i in range(d)) + bias[j]
    return y


def fully_connected(
    x: ArrayLike, w: ArrayLike, b: ArrayLike, *, activation: str = "sigmoid"
) -> Array:
    """activation(x w + b). Shapes: (*batch, d), (d, k), (k) -> (*batch, k)."""
    return ACTIVATIONS[activation](affine(x, w, b))


def entries_under(rows: Windows, columns: Windows, i: int, j: int) -> list[tuple[int, int]]:
    """The (row, column) entries of the image under window (i, j), row by row, without padding."""
    under = []
    for p in range(rows.window):
        for q in range(columns.window):
            row, column = rows.entry(i, p), columns.entry(j, q)
            if row is not None and column is not None:
                under.append((row, column))
    return under


def max_pool(
    x: ArrayLike, *, window: Pair = 2, stride: Pair | None = None, padding: Padding = 0
) -> Array:
    """The largest entry under each window; padding counts as -inf; stride None: the window.

    Shapes: (n, c, h, w) -> (n, c, h2, w2), h2 = (h - window + low + high) // stride + 1.
    """
    x = float64(x)
    steps = window if stride is None else stride
    rows, columns = windows_over(x.shape[2:], pair(window), steps, padding)
    y = np.empty((*x.shape[:2], rows.outputs, columns.outputs))
    for n, c, i, j in np.ndindex(y.shape):
        best = -math.inf
        for row, column in entries_under(rows, columns, i, j):
            value = x[n, c, row, column]
            if value > best or math.isnan(value):
                best = value
        y[n, c, i, j] = best
    return y


def avg_pool(
    x: ArrayLike, *, window: Pair = 2, stride: Pair | None = None, padding: Padding = 0
) -> Array:
    """Sum under each window / area of the window: the zeros of the padding count.

    Shapes: as max_pool.
    """
    x = float64(x)
    height, width = pair(window)
    steps = window if stride is None else stride
    rows, columns = windows_over(x.shape[2:], (height, width), steps, padding)
    y = np.empty((*x.shape[:2], rows.outputs, columns.outputs))
    for n, c, i, j in np.ndindex(y.shape):
        total = 0.0
        for row, column in entries_under(rows, columns, i, j):
            total += x[n, c, row, column]
        y[n, c, i, j] = total / (height * width)
    return y


def dropout(x: ArrayLike, mask: ArrayLike, *, rate: float = 0.5) -> Array:
    """x / (1 - rate) where the mask is 1, 0 where it is 0 (inverted dropout).

    The mask is given instead of a random key. Shapes: any, the same -> the same.
    """
    x, mask = float64(x), float64(mask)
    y = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        if mask[index]:
            y[index] = x[index] / (1.0 - rate)
    return y


def flatten(x: ArrayLike) -> Array:
    """All axes but the first laid out one after the other. Shapes: (n, *rest) -> (n, d)."""
    x = float64(x)
    y = np.empty((x.shape[0], math.prod(x.shape[1:])))
    for n in range(x.shape[0]):
        for position, index in enumerate(np.ndindex(x.shape[1:])):
            y[n, position] = x[(n, *index)]
    return y


DEFINITIONS: dict[str, Callable] = {
    "affine": affine,
    "fully_connected": fully_connected,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "dropout": dropout,
    "flatten": flatten,
    **convolutions.DEFINITIONS,
    **images.DEFINITIONS,
    **norms.DEFINITIONS,
    **sequence.DEFINITIONS,
}
