"""The gates: elementwise functions, sums and products, one entry at a time.

Two-sided gates broadcast as NumPy does. `sum`, `max` and `min` carry the names of the gates and
hide Python's own here; where Python's are meant, the module says `builtins`.
"""

import builtins
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, Axis, float64, reduced_axes, reduced_index, source_index


def each(scalar: Callable[..., float], x: ArrayLike) -> Array:
    """y[index] = scalar(x[index]) for every index."""
    x = float64(x)
    y = np.empty(x.shape, x.dtype)
    with np.errstate(all="ignore"):
        for index in np.ndindex(x.shape):
            y[index] = scalar(x[index])
    return y


def each_pair(scalar: Callable[..., float], x: ArrayLike, y: ArrayLike) -> Array:
    """z[index] = scalar(x[...], y[...]) for every index of the broadcast shape."""
    x, y = float64(x), float64(y)
    z = np.empty(np.broadcast_shapes(x.shape, y.shape), np.result_type(x, y))
    with np.errstate(all="ignore"):
        for index in np.ndindex(z.shape):
            z[index] = scalar(x[source_index(index, x.shape)], y[source_index(index, y.shape)])
    return z


def scalar_add(x: float, y: float) -> float:
    """x + y."""
    return x + y


def scalar_sub(x: float, y: float) -> float:
    """x - y."""
    return x - y


def scalar_mul(x: float, y: float) -> float:
    """x * y."""
    return x * y


def scalar_div(x: float, y: float) -> float:
    """x / y."""
    return x / y


def scalar_max(x: float, y: float) -> float:
    """The larger one; a NaN on either side passes through."""
    if x >= y:
        return x
    return y if y > x else x + y


def scalar_min(x: float, y: float) -> float:
    """The smaller one; a NaN on either side passes through."""
    if x <= y:
        return x
    return y if y < x else x + y


def scalar_identity(x: float) -> float:
    """x."""
    return x


def scalar_neg(x: float) -> float:
    """-x."""
    return -x


def scalar_reciprocal(x: float) -> float:
    """1 / x."""
    return 1.0 / x


def scalar_square(x: float) -> float:
    """x * x."""
    return x * x


def scalar_sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)); below 0 multiplied by exp(x) / exp(x), so that exp cannot overflow."""
    if x < 0:
        return np.exp(x) / (1.0 + np.exp(x))
    return 1.0 / (1.0 + np.exp(-x))


def add(x: ArrayLike, y: ArrayLike) -> Array:
    """x + y, broadcasting: the distributor."""
    return each_pair(scalar_add, x, y)


def sub(x: ArrayLike, y: ArrayLike) -> Array:
    """x - y, broadcasting."""
    return each_pair(scalar_sub, x, y)


def mul(x: ArrayLike, y: ArrayLike) -> Array:
    """x * y, broadcasting: the switcher."""
    return each_pair(scalar_mul, x, y)


def div(x: ArrayLike, y: ArrayLike) -> Array:
    """x / y, broadcasting."""
    return each_pair(scalar_div, x, y)


def max(x: ArrayLike, y: ArrayLike) -> Array:
    """The larger of x and y, broadcasting: the router."""
    return each_pair(scalar_max, x, y)


def min(x: ArrayLike, y: ArrayLike) -> Array:
    """The smaller of x and y, broadcasting."""
    return each_pair(scalar_min, x, y)


def identity(x: ArrayLike) -> Array:
    """x."""
    return each(scalar_identity, x)


def neg(x: ArrayLike) -> Array:
    """-x."""
    return each(scalar_neg, x)


def exp(x: ArrayLike) -> Array:
    """e to the power x."""
    return each(np.exp, x)


def log(x: ArrayLike) -> Array:
    """Natural logarithm: -inf at 0, NaN below."""
    return each(np.log, x)


def reciprocal(x: ArrayLike) -> Array:
    """1 / x."""
    return each(scalar_reciprocal, x)


def square(x: ArrayLike) -> Array:
    """x * x."""
    return each(scalar_square, x)


def sqrt(x: ArrayLike) -> Array:
    """Square root: NaN below 0."""
    return each(np.sqrt, x)


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x))."""
    return each(scalar_sigmoid, x)


def tanh(x: ArrayLike) -> Array:
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""
    return each(math.tanh, x)


def sum(x: ArrayLike, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over the axes: None for all of them, an int or a tuple of ints."""
    x = float64(x)
    axes = reduced_axes(axis, x.ndim)
    total = np.zeros(tuple(1 if a in axes else n for a, n in enumerate(x.shape)), x.dtype)
    for index in np.ndindex(x.shape):
        total[reduced_index(index, axes)] += x[index]
    return total if keepdims else np.squeeze(total, axis=axes)


def mean(x: ArrayLike, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over the axes divided by the number of entries summed; NaN for no entries."""
    x = float64(x)
    count = math.prod(x.shape[a] for a in reduced_axes(axis, x.ndim))
    return div(sum(x, axis=axis, keepdims=keepdims), count)


def dot(x: ArrayLike, y: ArrayLike) -> Array:
    """z[...] = sum_i x[..., i] * y[..., i]. Shapes: (*batch, d), (*batch, d) -> (*batch)."""
    x, y = float64(x), float64(y)
    z = np.zeros(x.shape[:-1], np.result_type(x, y))
    for index in np.ndindex(x.shape):
        z[index[:-1]] += x[index] * y[index]
    return z


def matmul(x: ArrayLike, y: ArrayLike) -> Array:
    """z[i, j] = sum_m x[i, m] * y[m, j] for every entry of the leading axes, which broadcast.

    Shapes: (*batch, n, d), (*batch, d, k) -> (*batch, n, k).
    """
    x, y = float64(x), float64(y)
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    z = np.zeros((*batch, x.shape[-2], y.shape[-1]), np.result_type(x, y))
    for index in np.ndindex(batch):
        left, right = x[source_index(index, x.shape[:-2])], y[source_index(index, y.shape[:-2])]
        for i, j in np.ndindex(z.shape[-2:]):
            z[(*index, i, j)] = builtins.sum(left[i, m] * right[m, j] for m in range(x.shape[-1]))
    return z


def branch(x: ArrayLike, *, copies: int = 2) -> tuple[Array, ...]:
    """The same value several times: the copy gate."""
    return tuple(float64(x).copy() for _ in range(copies))


DEFINITIONS: dict[str, Callable] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "max": max,
    "min": min,
    "identity": identity,
    "neg": neg,
    "exp": exp,
    "log": log,
    "reciprocal": reciprocal,
    "square": square,
    "sqrt": sqrt,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "sum": sum,
    "mean": mean,
    "dot": dot,
    "matmul": matmul,
    "branch": branch,
}
