"""The activations, one entry at a time. `sigmoid` and `tanh` are gates: see `reference.gates`."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.gates import each, each_pair, scalar_sigmoid, sigmoid, tanh
from reference.shapes import Array, float64

__all__ = ["DEFINITIONS", "sigmoid", "tanh"]

GELU_SCALE = math.sqrt(2.0 / math.pi)
GELU_CUBE = 0.044715


def scalar_relu(x: float) -> float:
    """max(0, x); a NaN passes through."""
    return 0.0 if x <= 0 else x


def scalar_prelu(x: float, alpha: float) -> float:
    """x above 0, alpha * x below."""
    return x if x > 0 else alpha * x


def scalar_elu(x: float, alpha: float) -> float:
    """x above 0, alpha * (exp(x) - 1) below."""
    return x if x > 0 else alpha * np.expm1(x)


def scalar_swish(x: float, beta: float) -> float:
    """x * sigmoid(beta * x)."""
    return x * scalar_sigmoid(beta * x)


def scalar_gelu_erf(x: float) -> float:
    """x * Phi(x) with Phi(x) = (1 + erf(x / sqrt 2)) / 2.

    Written with Phi(x) = erfc(-x / sqrt 2) / 2, which keeps its digits in the tail.
    """
    return x * math.erfc(-x / math.sqrt(2.0)) / 2.0


def scalar_gelu_tanh(x: float) -> float:
    """x / 2 * (1 + tanh(u)), u = sqrt(2 / pi) * (x + 0.044715 x^3).

    Written with (1 + tanh(u)) / 2 = sigmoid(2 u), which keeps its digits in the tail.
    """
    return x * scalar_sigmoid(2.0 * GELU_SCALE * (x + GELU_CUBE * x**3))


def relu(x: ArrayLike) -> Array:
    """max(0, x)."""
    return each(scalar_relu, x)


def leaky_relu(x: ArrayLike, *, slope: float = 0.01) -> Array:
    """x above 0, slope * x below."""
    return each_pair(scalar_prelu, x, slope)


def prelu(x: ArrayLike, alpha: ArrayLike) -> Array:
    """x above 0, alpha * x below. alpha is learned and broadcasts against x."""
    return each_pair(scalar_prelu, x, alpha)


def elu(x: ArrayLike, *, alpha: float = 1.0) -> Array:
    """x above 0, alpha * (exp(x) - 1) below."""
    return each_pair(scalar_elu, x, alpha)


def swish(x: ArrayLike, *, beta: float = 1.0) -> Array:
    """x * sigmoid(beta * x)."""
    return each_pair(scalar_swish, x, beta)


def gelu(x: ArrayLike, *, approximate: bool = True) -> Array:
    """x * Phi(x) with the normal distribution Phi; approximate: its tanh form."""
    return each(scalar_gelu_tanh if approximate else scalar_gelu_erf, x)


def maxout(x: ArrayLike, *, pieces: int = 2) -> Array:
    """y[..., j] = largest of x[..., j * pieces + p], p = 0 ... pieces - 1.

    Shapes: (*batch, k * pieces) -> (*batch, k).
    """
    x = float64(x)
    y = np.empty((*x.shape[:-1], x.shape[-1] // pieces))
    for index in np.ndindex(y.shape):
        *batch, j = index
        best = x[(*batch, j * pieces)]
        for p in range(1, pieces):
            value = x[(*batch, j * pieces + p)]
            if value > best or math.isnan(value):
                best = value
        y[index] = best
    return y


def softmax(x: ArrayLike, *, axis: int = -1) -> Array:
    """y_i = exp(x_i) / sum_j exp(x_j) along the axis.

    The largest x is subtracted first: that factor cancels, and exp cannot overflow.
    """
    x = np.moveaxis(float64(x), axis, -1)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        largest = max(x[index], default=0.0)
        powers = [np.exp(value - largest) for value in x[index]]
        total = sum(powers)
        for i, power in enumerate(powers):
            y[(*index, i)] = power / total
    return np.moveaxis(y, -1, axis)


DEFINITIONS: dict[str, Callable] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "elu": elu,
    "swish": swish,
    "gelu": gelu,
    "maxout": maxout,
    "softmax": softmax,
}
