"""Backward passes of the gates.

Each function takes the tuple of arguments, the upstream gradient y_bar and the options of the
forward function, and returns one downstream gradient for each argument:

    x_bar[index] = y_bar[index] * (local slope at x[index])

Where an entry is used several times (broadcasting, branch), its gradients add up.
Kinks: max and min give each side half at a tie.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from reference.gates import scalar_sigmoid
from reference.shapes import (
    Array,
    Axis,
    cotangent_of,
    float64,
    reduced_axes,
    reduced_index,
    source_index,
)

Arguments = tuple[Any, ...]  # of the forward function: arrays, None for a missing bias


def each_backward(
    slope: Callable[..., float], args: Arguments, y_bar: Array, /, **options: float
) -> tuple[Array]:
    """One argument: upstream times local slope, entry by entry."""
    x, y_bar = float64(args[0]), float64(y_bar)
    x_bar = np.empty(x.shape, x.dtype)
    with np.errstate(all="ignore"):
        for index in np.ndindex(x.shape):
            x_bar[index] = y_bar[index] * slope(x[index], **options)
    return (x_bar,)


def each_pair_backward(
    slopes: Callable[[float, float], tuple[float, float]], args: Arguments, y_bar: Array
) -> tuple[Array, Array]:
    """Two arguments: upstream times each local slope, added where an entry was broadcast."""
    x, y, z_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, y_bar = (np.zeros(operand.shape, z_bar.dtype) for operand in (x, y))
    with np.errstate(all="ignore"):
        for index in np.ndindex(z_bar.shape):
            at_x, at_y = source_index(index, x.shape), source_index(index, y.shape)
            slope_x, slope_y = slopes(x[at_x], y[at_y])
            x_bar[at_x] += z_bar[index] * slope_x
            y_bar[at_y] += z_bar[index] * slope_y
    return cotangent_of(x, x_bar), cotangent_of(y, y_bar)


def add_slopes(x: float, y: float) -> tuple[float, float]:
    """d(x + y) = dx + dy: the distributor."""
    return 1.0, 1.0


def sub_slopes(x: float, y: float) -> tuple[float, float]:
    """d(x - y) = dx - dy."""
    return 1.0, -1.0


def mul_slopes(x: float, y: float) -> tuple[float, float]:
    """d(x y) = y dx + x dy: the switcher."""
    return y, x


def div_slopes(x: float, y: float) -> tuple[float, float]:
    """d(x / y) = dx / y - x dy / y^2."""
    return 1.0 / y, -x / y / y


def max_slopes(x: float, y: float) -> tuple[float, float]:
    """The router: the larger side gets all, each side half at a tie."""
    return (0.5, 0.5) if x == y else (float(x > y), float(y > x))


def min_slopes(x: float, y: float) -> tuple[float, float]:
    """The smaller side gets all, each side half at a tie."""
    return (0.5, 0.5) if x == y else (float(x < y), float(y < x))


def identity_slope(x: float) -> float:
    """dx = dx."""
    return 1.0


def neg_slope(x: float) -> float:
    """d(-x) = -dx."""
    return -1.0


def exp_slope(x: float) -> float:
    """d exp(x) = exp(x) dx."""
    return np.exp(x)


def log_slope(x: float) -> float:
    """d log(x) = dx / x."""
    return 1.0 / x


def reciprocal_slope(x: float) -> float:
    """d(1 / x) = -dx / x^2."""
    return -1.0 / x / x


def square_slope(x: float) -> float:
    """d(x^2) = 2 x dx."""
    return 2.0 * x


def sqrt_slope(x: float) -> float:
    """d sqrt(x) = dx / (2 sqrt(x))."""
    return 0.5 / np.sqrt(x)


def sigmoid_slope(x: float) -> float:
    """ds = s (1 - s) dx with 1 - s(x) = s(-x), which keeps its digits for large x.

    At most 1/4: the cause of vanishing gradients.
    """
    return scalar_sigmoid(x) * scalar_sigmoid(-x)


def tanh_slope(x: float) -> float:
    """d tanh(x) = (1 - tanh(x)^2) dx; tanh(x) = 2 s(2x) - 1 makes that 4 s(2x) (1 - s(2x))."""
    return 4.0 * sigmoid_slope(2.0 * x)


def sum_backward(
    args: Arguments, y_bar: Array, *, axis: Axis = None, keepdims: bool = False
) -> tuple[Array]:
    """Every entry of a sum gets the gradient of the sum."""
    x = float64(args[0])
    axes = reduced_axes(axis, x.ndim)
    y_bar = float64(y_bar).reshape([1 if a in axes else n for a, n in enumerate(x.shape)])
    x_bar = np.empty(x.shape, x.dtype)
    for index in np.ndindex(x.shape):
        x_bar[index] = y_bar[reduced_index(index, axes)]
    return (x_bar,)


def mean_backward(
    args: Arguments, y_bar: Array, *, axis: Axis = None, keepdims: bool = False
) -> tuple[Array]:
    """As a sum, divided by the number of entries."""
    x = float64(args[0])
    count = math.prod(x.shape[a] for a in reduced_axes(axis, x.ndim))
    (x_bar,) = sum_backward(args, y_bar, axis=axis, keepdims=keepdims)
    return (x_bar / max(count, 1),)


def dot_backward(args: Arguments, y_bar: Array) -> tuple[Array, Array]:
    """z = sum_i x_i y_i: x_bar_i = z_bar y_i and y_bar_i = z_bar x_i."""
    x, y, z_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, y_bar = (np.empty(operand.shape, z_bar.dtype) for operand in (x, y))
    for index in np.ndindex(x.shape):
        x_bar[index] = z_bar[index[:-1]] * y[index]
        y_bar[index] = z_bar[index[:-1]] * x[index]
    return cotangent_of(x, x_bar), cotangent_of(y, y_bar)


def matmul_backward(args: Arguments, y_bar: Array) -> tuple[Array, Array]:
    """z_ij = sum_m x_im y_mj: x_bar_im = sum_j z_bar_ij y_mj, y_bar_mj = sum_i x_im z_bar_ij."""
    x, y, z_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, y_bar = (np.zeros(operand.shape, z_bar.dtype) for operand in (x, y))
    for *batch, i, j in np.ndindex(z_bar.shape):
        at_x = source_index(tuple(batch), x.shape[:-2])
        at_y = source_index(tuple(batch), y.shape[:-2])
        for m in range(x.shape[-1]):
            x_bar[(*at_x, i, m)] += z_bar[(*batch, i, j)] * y[(*at_y, m, j)]
            y_bar[(*at_y, m, j)] += z_bar[(*batch, i, j)] * x[(*at_x, i, m)]
    return cotangent_of(x, x_bar), cotangent_of(y, y_bar)


def branch_backward(args: Arguments, y_bar: tuple[Array, ...], *, copies: int = 2) -> tuple[Array]:
    """The gradients of the copies add up."""
    x_bar = np.zeros(float64(args[0]).shape)
    for copy_bar in y_bar[:copies]:
        x_bar = x_bar + float64(copy_bar)
    return (x_bar,)


BACKWARD: dict[str, Callable] = {
    "add": partial(each_pair_backward, add_slopes),
    "sub": partial(each_pair_backward, sub_slopes),
    "mul": partial(each_pair_backward, mul_slopes),
    "div": partial(each_pair_backward, div_slopes),
    "max": partial(each_pair_backward, max_slopes),
    "min": partial(each_pair_backward, min_slopes),
    "identity": partial(each_backward, identity_slope),
    "neg": partial(each_backward, neg_slope),
    "exp": partial(each_backward, exp_slope),
    "log": partial(each_backward, log_slope),
    "reciprocal": partial(each_backward, reciprocal_slope),
    "square": partial(each_backward, square_slope),
    "sqrt": partial(each_backward, sqrt_slope),
    "sigmoid": partial(each_backward, sigmoid_slope),
    "tanh": partial(each_backward, tanh_slope),
    "sum": sum_backward,
    "mean": mean_backward,
    "dot": dot_backward,
    "matmul": matmul_backward,
    "branch": branch_backward,
}
