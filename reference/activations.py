"""The activations, one entry at a time. `sigmoid` and `tanh` are gates: see `reference.gates`."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from reference.gates import each, each_pair, scalar_sigmoid, sigmoid, tanh
from reference.shapes import Array, float64

__all__ = ["DEFINITIONS", "sigmoid", "tanh"]

GELU_SCALE = math.sqrt(2.0 / math.pi)
GELU_CUBE = 0.044715
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


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


def scalar_relu6(x: float) -> float:
    """x between 0 and 6, the nearer end outside."""
    return 0.0 if x <= 0 else 6.0 if x >= 6 else x


def scalar_hard_sigmoid(x: float) -> float:
    """relu6(x + 3) / 6."""
    return scalar_relu6(x + 3.0) / 6.0


def scalar_hard_tanh(x: float) -> float:
    """x between -1 and 1, the nearer end outside."""
    return -1.0 if x <= -1 else 1.0 if x >= 1 else x


def scalar_hard_swish(x: float) -> float:
    """x * hard_sigmoid(x)."""
    return x * scalar_hard_sigmoid(x)


def scalar_relu_squared(x: float) -> float:
    """max(0, x)^2."""
    return scalar_relu(x) ** 2


def scalar_softplus(x: float) -> float:
    """log(1 + exp(x)); above 0 written x + log(1 + exp(-x)), so that exp cannot overflow."""
    return x + np.log1p(np.exp(-x)) if x > 0 else np.log1p(np.exp(x))


def scalar_log_sigmoid(x: float) -> float:
    """log(sigmoid(x)) = -softplus(-x)."""
    return -scalar_softplus(-x)


def scalar_mish(x: float) -> float:
    """x * tanh(softplus(x))."""
    return x * math.tanh(scalar_softplus(x))


def scalar_softsign(x: float) -> float:
    """x / (1 + |x|)."""
    return x / (1.0 + abs(x))


def scalar_squareplus(x: float, b: float) -> float:
    """(x + sqrt(x^2 + b)) / 2, below 0 as b / 2 / (sqrt(x^2 + b) - x)."""
    root = np.hypot(x, math.sqrt(b))
    return b / 2.0 / (root - x) if x < 0 else (x + root) / 2.0


def scalar_selu(x: float) -> float:
    """1.0507 x above 0, 1.0507 * 1.6733 * (exp(x) - 1) below."""
    return SELU_SCALE * scalar_elu(x, SELU_ALPHA)


def scalar_celu(x: float, alpha: float) -> float:
    """x above 0, alpha * (exp(x / alpha) - 1) below."""
    return x if x > 0 else alpha * np.expm1(x / alpha)


def squareplus(x: ArrayLike, *, b: float = 4.0) -> Array:
    """(x + sqrt(x^2 + b)) / 2."""
    return each_pair(scalar_squareplus, x, b)


def celu(x: ArrayLike, *, alpha: float = 1.0) -> Array:
    """x above 0, alpha * (exp(x / alpha) - 1) below."""
    return each_pair(scalar_celu, x, alpha)


def along(function: Callable[..., list[float]], x: ArrayLike, axis: int, **options: float) -> Array:
    """The function of a list of numbers, for every line of entries along the axis."""
    x = np.moveaxis(float64(x), axis, -1)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        y[index] = function(x[index].tolist(), **options)
    return np.moveaxis(y, -1, axis)


def log_softmax_of(line: list[float]) -> list[float]:
    """x_i - log(sum_j exp(x_j)); the sum is taken over exp(x_j - x_i), j other than i."""
    y = []
    for i, own in enumerate(line):
        gaps = [x - own for j, x in enumerate(line) if j != i]
        top = max([0.0, *gaps])
        if top == 0:
            y.append(-np.log1p(sum(np.exp(gap) for gap in gaps)))
        else:
            y.append(-(top + np.log(np.exp(-top) + sum(np.exp(gap - top) for gap in gaps))))
    return y


def log_softmax(x: ArrayLike, *, axis: int = -1) -> Array:
    """Logarithm of the softmax along the axis."""
    return along(log_softmax_of, x, axis)


def sparsemax_of(line: list[float]) -> list[float]:
    """max(0, x - tau), tau from the k largest x: the largest k with 1 + k x_k > x_1 + ... + x_k."""
    if not line:
        return []
    top = max(line)
    down = sorted((x - top for x in line), reverse=True)
    tau = 0.0
    for k in range(1, len(down) + 1):
        if 1.0 + k * down[k - 1] > sum(down[:k]):
            tau = (sum(down[:k]) - 1.0) / k
    return [max(0.0, x - top - tau) for x in line]


def sparsemax(x: ArrayLike, *, axis: int = -1) -> Array:
    """The nearest point of the simplex, along the axis."""
    return along(sparsemax_of, x, axis)


def standardize_of(line: list[float], *, eps: float) -> list[float]:
    """(x - mean) / sqrt(var + eps)."""
    if not line:
        return []
    mean = sum(line) / len(line)
    var = sum((x - mean) ** 2 for x in line) / len(line)
    return [(x - mean) / math.sqrt(var + eps) for x in line]


def standardize(x: ArrayLike, *, axis: int = -1, eps: float = 1e-5) -> Array:
    """Mean 0 and variance 1 along the axis."""
    return along(standardize_of, x, axis, eps=eps)


def glu(x: ArrayLike, *, axis: int = -1) -> Array:
    """a * sigmoid(b), a the first and b the second half of x along the axis."""
    a, b = np.split(float64(x), 2, axis=axis)
    return each_pair(scalar_glu, a, b)


def scalar_glu(a: float, b: float) -> float:
    """a * sigmoid(b)."""
    return a * scalar_sigmoid(b)


def swiglu(a: ArrayLike, b: ArrayLike) -> Array:
    """swish(a) * b."""
    return swish(a) * float64(b)


def geglu(a: ArrayLike, b: ArrayLike, *, approximate: bool = True) -> Array:
    """gelu(a) * b."""
    return gelu(a, approximate=approximate) * float64(b)


DEFINITIONS: dict[str, Callable] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "elu": elu,
    "swish": swish,
    "gelu": gelu,
    "maxout": maxout,
    "softmax": softmax,
    "relu6": partial(each, scalar_relu6),
    "hard_sigmoid": partial(each, scalar_hard_sigmoid),
    "hard_tanh": partial(each, scalar_hard_tanh),
    "hard_swish": partial(each, scalar_hard_swish),
    "relu_squared": partial(each, scalar_relu_squared),
    "softplus": partial(each, scalar_softplus),
    "log_sigmoid": partial(each, scalar_log_sigmoid),
    "mish": partial(each, scalar_mish),
    "softsign": partial(each, scalar_softsign),
    "squareplus": squareplus,
    "selu": partial(each, scalar_selu),
    "celu": celu,
    "log_softmax": log_softmax,
    "sparsemax": sparsemax,
    "standardize": standardize,
    "glu": glu,
    "swiglu": swiglu,
    "geglu": geglu,
}
