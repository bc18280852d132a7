"""Backward passes of the activations; see `reference.backward_gates` for how they are called.

Kinks: relu, leaky_relu, prelu and elu take at 0 the slope of the side below 0; maxout gives
everything to the first of equal pieces.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from reference.activations import GELU_CUBE, GELU_SCALE, softmax
from reference.backward_gates import Arguments, each_backward, each_pair_backward, sigmoid_slope
from reference.gates import scalar_sigmoid
from reference.shapes import Array, float64


def relu_slope(x: float) -> float:
    """The gradient passes where x > 0 and stops elsewhere: there the unit is dead."""
    return 1.0 if x > 0 else 0.0


def leaky_relu_slope(x: float, *, slope: float = 0.01) -> float:
    """1 where x > 0, `slope` elsewhere."""
    return 1.0 if x > 0 else slope


def prelu_slopes(x: float, alpha: float) -> tuple[float, float]:
    """Where x > 0: 1 for x, 0 for alpha; elsewhere y = alpha x: alpha for x, x for alpha."""
    return (1.0, 0.0) if x > 0 else (alpha, x)


def elu_slope(x: float, *, alpha: float = 1.0) -> float:
    """1 where x > 0, alpha exp(x) elsewhere."""
    return 1.0 if x > 0 else alpha * np.exp(x)


def swish_slope(x: float, *, beta: float = 1.0) -> float:
    """d(x s(beta x)) = (s(beta x) + beta x s'(beta x)) dx."""
    return scalar_sigmoid(beta * x) + beta * x * sigmoid_slope(beta * x)


def gelu_erf_slope(x: float) -> float:
    """d(x Phi(x)) = (Phi(x) + x phi(x)) dx, phi(x) = exp(-x^2 / 2) / sqrt(2 pi)."""
    density = np.exp(-x * x / 2.0) / math.sqrt(2.0 * math.pi)
    return math.erfc(-x / math.sqrt(2.0)) / 2.0 + x * density


def gelu_tanh_slope(x: float) -> float:
    """y = x s(2u), u = k (x + c x^3): dy = (s(2u) + x s'(2u) 2k (1 + 3 c x^2)) dx."""
    twice_u = 2.0 * GELU_SCALE * (x + GELU_CUBE * x**3)
    twice_u_slope = 2.0 * GELU_SCALE * (1.0 + 3.0 * GELU_CUBE * x**2)
    return scalar_sigmoid(twice_u) + x * sigmoid_slope(twice_u) * twice_u_slope


def gelu_backward(args: Arguments, y_bar: Array, *, approximate: bool = True) -> tuple[Array]:
    """The slope of the form that was computed."""
    return each_backward(gelu_tanh_slope if approximate else gelu_erf_slope, args, y_bar)


def maxout_backward(args: Arguments, y_bar: Array, *, pieces: int = 2) -> tuple[Array]:
    """The first largest piece of each group gets the gradient."""
    x, y_bar = float64(args[0]), float64(y_bar)
    x_bar = np.zeros(x.shape)
    for index in np.ndindex(y_bar.shape):
        *batch, j = index
        first = j * pieces
        for position in range(j * pieces + 1, (j + 1) * pieces):
            if x[(*batch, position)] > x[(*batch, first)]:
                first = position
        x_bar[(*batch, first)] = y_bar[index]
    return (x_bar,)


def softmax_backward(args: Arguments, y_bar: Array, *, axis: int = -1) -> tuple[Array]:
    """dy_i / dx_j = y_i (1_ij - y_j), so x_bar_j = y_j (y_bar_j - sum_i y_bar_i y_i)."""
    y = np.moveaxis(softmax(args[0], axis=axis), axis, -1)
    y_bar = np.moveaxis(float64(y_bar), axis, -1)
    x_bar = np.empty(y.shape)
    for index in np.ndindex(y.shape[:-1]):
        average = sum(g * p for g, p in zip(y_bar[index], y[index], strict=True))
        for j, p in enumerate(y[index]):
            x_bar[(*index, j)] = p * (y_bar[index][j] - average)
    return (np.moveaxis(x_bar, -1, axis),)


BACKWARD: dict[str, Callable] = {
    "relu": partial(each_backward, relu_slope),
    "leaky_relu": partial(each_backward, leaky_relu_slope),
    "prelu": partial(each_pair_backward, prelu_slopes),
    "elu": partial(each_backward, elu_slope),
    "swish": partial(each_backward, swish_slope),
    "gelu": gelu_backward,
    "maxout": maxout_backward,
    "softmax": softmax_backward,
}
