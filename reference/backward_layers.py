"""Backward passes of the layers; see `reference.backward_gates` for how they are called."""

from collections.abc import Callable

import numpy as np

from reference import backward_convolutions, backward_images, backward_norms, backward_sequence
from reference.backward_activations import relu_slope
from reference.backward_gates import (
    Arguments,
    each_backward,
    identity_slope,
    sigmoid_slope,
    tanh_slope,
)
from reference.layers import affine, entries_under
from reference.shapes import Array, Padding, Pair, float64, pair, windows_over

Maybe = Array | None


def affine_backward(args: Arguments, y_bar: Array) -> tuple[Array, Array, Maybe]:
    """For y_j = sum_i x_i w_ij + b_j the gradient of each product and of each sum.

    x_bar_i = sum_j y_bar_j w_ij, w_bar_ij = x_i y_bar_j, b_bar_j = y_bar_j.
    w and b serve every example, so their gradients add up over the examples.
    """
    x, w, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    d, k = w.shape
    x_bar, w_bar, b_bar = np.zeros(x.shape), np.zeros(w.shape), np.zeros(k)
    for index in np.ndindex(x.shape[:-1]):
        for j in range(k):
            upstream = y_bar[(*index, j)]
            for i in range(d):
                x_bar[(*index, i)] += upstream * w[i, j]
                w_bar[i, j] += upstream * x[(*index, i)]
            b_bar[j] += upstream
    return x_bar, w_bar, b_bar if len(args) > 2 and args[2] is not None else None


SLOPES = {
    "sigmoid": sigmoid_slope,
    "tanh": tanh_slope,
    "relu": relu_slope,
    "identity": identity_slope,
}


def fully_connected_backward(
    args: Arguments, y_bar: Array, *, activation: str = "sigmoid"
) -> tuple[Array, Array, Maybe]:
    """As the notes split it: first z_bar = y_bar * slope at z = x w + b, then the affine layer."""
    z = affine(*args)
    (z_bar,) = each_backward(SLOPES[activation], (z,), y_bar)
    return affine_backward(args, z_bar)


def max_pool_backward(
    args: Arguments,
    y_bar: Array,
    *,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> tuple[Array]:
    """The first largest entry under each window gets its gradient; overlapping windows add up."""
    x, y_bar = float64(args[0]), float64(y_bar)
    steps = window if stride is None else stride
    rows, columns = windows_over(x.shape[2:], pair(window), steps, padding)
    x_bar = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(y_bar.shape):
        remembered = None
        for row, column in entries_under(rows, columns, i, j):
            if remembered is None or x[n, c, row, column] > x[(n, c, *remembered)]:
                remembered = (row, column)
        if remembered is not None:
            x_bar[(n, c, *remembered)] += y_bar[n, c, i, j]
    return (x_bar,)


def avg_pool_backward(
    args: Arguments,
    y_bar: Array,
    *,
    window: Pair = 2,
    stride: Pair | None = None,
    padding: Padding = 0,
) -> tuple[Array]:
    """Every entry under a window gets its gradient / area; overlapping windows add up."""
    x, y_bar = float64(args[0]), float64(y_bar)
    height, width = pair(window)
    steps = window if stride is None else stride
    rows, columns = windows_over(x.shape[2:], (height, width), steps, padding)
    x_bar = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(y_bar.shape):
        for row, column in entries_under(rows, columns, i, j):
            x_bar[n, c, row, column] += y_bar[n, c, i, j] / (height * width)
    return (x_bar,)


def dropout_backward(args: Arguments, y_bar: Array, *, rate: float = 0.5) -> tuple[Array, None]:
    """The gradient goes the way of the value: / (1 - rate) where kept, 0 where dropped."""
    mask, y_bar = float64(args[1]), float64(y_bar)
    x_bar = np.zeros(y_bar.shape)
    for index in np.ndindex(y_bar.shape):
        if mask[index]:
            x_bar[index] = y_bar[index] / (1.0 - rate)
    return x_bar, None


def flatten_backward(args: Arguments, y_bar: Array) -> tuple[Array]:
    """The gradients go back to where the values came from."""
    x, y_bar = float64(args[0]), float64(y_bar)
    x_bar = np.empty(x.shape)
    for n in range(x.shape[0]):
        for position, index in enumerate(np.ndindex(x.shape[1:])):
            x_bar[(n, *index)] = y_bar[n, position]
    return (x_bar,)


BACKWARD: dict[str, Callable] = {
    "affine": affine_backward,
    "fully_connected": fully_connected_backward,
    "max_pool": max_pool_backward,
    "avg_pool": avg_pool_backward,
    "dropout": dropout_backward,
    "flatten": flatten_backward,
    **backward_convolutions.BACKWARD,
    **backward_images.BACKWARD,
    **backward_norms.BACKWARD,
    **backward_sequence.BACKWARD,
}
