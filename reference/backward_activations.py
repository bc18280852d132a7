"""Backward passes of the activations; see `reference.backward_gates` for how they are called.

Kinks: relu, leaky_relu, prelu and elu take at 0 the slope of the side below 0; maxout gives
everything to the first of equal pieces.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from reference.activations import (
    GELU_CUBE,
    GELU_SCALE,
    SELU_ALPHA,
    SELU_SCALE,
    gelu,
    log_softmax_of,
    scalar_softplus,
    scalar_squareplus,
    softmax,
    sparsemax_of,
    standardize_of,
)
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


def relu6_slope(x: float) -> float:
    """1 between 0 and 6."""
    return 1.0 if 0 < x < 6 else 0.0


def hard_sigmoid_slope(x: float) -> float:
    """1/6 between -3 and 3."""
    return 1.0 / 6.0 if -3 < x < 3 else 0.0


def hard_tanh_slope(x: float) -> float:
    """1 between -1 and 1."""
    return 1.0 if -1 < x < 1 else 0.0


def hard_swish_slope(x: float) -> float:
    """d(x (x + 3) / 6) = (2x + 3) / 6 dx between -3 and 3; below 0, above 1."""
    return 0.0 if x <= -3 else 1.0 if x >= 3 else (2.0 * x + 3.0) / 6.0


def relu_squared_slope(x: float) -> float:
    """2x above 0."""
    return 2.0 * x if x > 0 else 0.0


def log_sigmoid_slope(x: float) -> float:
    """d log s = s' / s dx = s(-x) dx."""
    return scalar_sigmoid(-x)


def mish_slope(x: float) -> float:
    """d(x tanh(p)) = tanh(p) + x s(x) / cosh(p)^2, p = softplus(x)."""
    p = scalar_softplus(x)
    sech = 2.0 * math.exp(-p) / (1.0 + math.exp(-2.0 * p))
    return math.tanh(p) + x * scalar_sigmoid(x) * sech**2


def softsign_slope(x: float) -> float:
    """1 / (1 + |x|)^2."""
    return 1.0 / (1.0 + abs(x)) ** 2


def squareplus_slope(x: float, *, b: float = 4.0) -> float:
    """(1 + x / r) / 2 with r = sqrt(x^2 + b), which is y / r."""
    return scalar_squareplus(x, b) / math.hypot(x, math.sqrt(b))


def selu_slope(x: float) -> float:
    """The scale above 0, scale * alpha * exp(x) elsewhere."""
    return SELU_SCALE * elu_slope(x, alpha=SELU_ALPHA)


def celu_slope(x: float, *, alpha: float = 1.0) -> float:
    """1 above 0, exp(x / alpha) elsewhere."""
    return 1.0 if x > 0 else np.exp(x / alpha)


def along_backward(
    backward: Callable[..., list[float]], args: Arguments, y_bar: Array, axis: int
) -> tuple[Array]:
    """The backward pass of a line of numbers, for every line of entries along the axis."""
    x, y_bar = (np.moveaxis(float64(a), axis, -1) for a in (args[0], y_bar))
    x_bar = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        x_bar[index] = backward(x[index].tolist(), y_bar[index].tolist())
    return (np.moveaxis(x_bar, -1, axis),)


def log_softmax_line(line: list[float], y_bar: list[float]) -> list[float]:
    """dy_i / dx_j = [i = j] - p_j; 1 - p_j is the sum of the other probabilities."""
    p = [math.exp(y) for y in log_softmax_of(line)]
    x_bar = []
    for j in range(len(line)):
        others = [i for i in range(len(line)) if i != j]
        own = y_bar[j] * sum(p[i] for i in others)
        x_bar.append(own - p[j] * sum(y_bar[i] for i in others))
    return x_bar


def log_softmax_backward(args: Arguments, y_bar: Array, *, axis: int = -1) -> tuple[Array]:
    """Line by line."""
    return along_backward(log_softmax_line, args, y_bar, axis)


def sparsemax_line(line: list[float], y_bar: list[float]) -> list[float]:
    """Within the support y_bar minus its mean there; outside nothing."""
    inside = [y > 0 for y in sparsemax_of(line)]
    mean = sum(g for g, kept in zip(y_bar, inside, strict=True) if kept) / max(sum(inside), 1)
    return [g - mean if kept else 0.0 for g, kept in zip(y_bar, inside, strict=True)]


def sparsemax_backward(args: Arguments, y_bar: Array, *, axis: int = -1) -> tuple[Array]:
    """Line by line."""
    return along_backward(sparsemax_line, args, y_bar, axis)


def standardize_backward(
    args: Arguments, y_bar: Array, *, axis: int = -1, eps: float = 1e-5
) -> tuple[Array]:
    """Line by line: dy_i / dx_j = r ([i = j] - 1/n - y_i y_j / n), r = 1 / sqrt(var + eps)."""

    def line_backward(line: list[float], line_bar: list[float]) -> list[float]:
        y, n = standardize_of(line, eps=eps), len(line)
        mean = sum(line) / n
        r = 1.0 / math.sqrt(sum((x - mean) ** 2 for x in line) / n + eps)
        return [
            sum(r * line_bar[i] * (float(i == j) - 1.0 / n - y[i] * y[j] / n) for i in range(n))
            for j in range(n)
        ]

    return along_backward(line_backward, args, y_bar, axis)


def glu_backward(args: Arguments, y_bar: Array, *, axis: int = -1) -> tuple[Array]:
    """y = a s(b): s(b) for a, a s'(b) for b; the two halves are put together again."""
    a, b = np.split(float64(args[0]), 2, axis=axis)
    a_bar, b_bar = each_pair_backward(glu_slopes, (a, b), y_bar)
    return (np.concatenate([a_bar, b_bar], axis=axis),)


def glu_slopes(a: float, b: float) -> tuple[float, float]:
    """d(a s(b)) = s(b) da + a s'(b) db."""
    return scalar_sigmoid(b), a * sigmoid_slope(b)


def swiglu_slopes(a: float, b: float) -> tuple[float, float]:
    """d(swish(a) b) = swish'(a) b da + swish(a) db."""
    return swish_slope(a) * b, a * scalar_sigmoid(a)


def geglu_backward(
    args: Arguments, y_bar: Array, *, approximate: bool = True
) -> tuple[Array, Array]:
    """d(gelu(a) b) = gelu'(a) b da + gelu(a) db."""
    a, b, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    (a_bar,) = gelu_backward((a,), y_bar * b, approximate=approximate)
    return a_bar, y_bar * gelu(a, approximate=approximate)


BACKWARD: dict[str, Callable] = {
    "glu": glu_backward,
    "swiglu": partial(each_pair_backward, swiglu_slopes),
    "geglu": geglu_backward,
    "relu": partial(each_backward, relu_slope),
    "leaky_relu": partial(each_backward, leaky_relu_slope),
    "prelu": partial(each_pair_backward, prelu_slopes),
    "elu": partial(each_backward, elu_slope),
    "swish": partial(each_backward, swish_slope),
    "gelu": gelu_backward,
    "maxout": maxout_backward,
    "softmax": softmax_backward,
    "relu6": partial(each_backward, relu6_slope),
    "hard_sigmoid": partial(each_backward, hard_sigmoid_slope),
    "hard_tanh": partial(each_backward, hard_tanh_slope),
    "hard_swish": partial(each_backward, hard_swish_slope),
    "relu_squared": partial(each_backward, relu_squared_slope),
    "softplus": partial(each_backward, scalar_sigmoid),
    "log_sigmoid": partial(each_backward, log_sigmoid_slope),
    "mish": partial(each_backward, mish_slope),
    "softsign": partial(each_backward, softsign_slope),
    "squareplus": partial(each_backward, squareplus_slope),
    "selu": partial(each_backward, selu_slope),
    "celu": partial(each_backward, celu_slope),
    "log_softmax": log_softmax_backward,
    "sparsemax": sparsemax_backward,
    "standardize": standardize_backward,
}
