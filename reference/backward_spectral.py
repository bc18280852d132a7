"""Backward passes of eigenvalues, functions of matrices and powers.

Most go forward: how much does each output change if one entry of the matrix changes by 1 (its
tangent)? The gradient of the entry is the upstream gradient times that, summed.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from reference.backward_gates import Arguments
from reference.backward_linalg import inv_back, over_matrices
from reference.linalg import batched, inv_one, product
from reference.shapes import Array
from reference.spectral import SCALAR, eigh_one, expm_one

Tangents = tuple[Array, ...]


def by_tangents(tangents: Callable[[Array], Tangents], a: Array, bars: Tangents) -> Array:
    """a_bar_ij = sum of bar times tangent, for the change of entry ij alone."""
    a_bar = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        change = np.zeros(a.shape)
        change[i, j] = 1.0
        parts = zip(bars, tangents(change), strict=True)
        a_bar[i, j] = sum(np.sum(bar * tangent) for bar, tangent in parts)
    return a_bar


def eigen_tangents(w: Array, v: Array, change: Array) -> tuple[Array, Array]:
    """First-order perturbation: dw_k = v_k.da v_k; v_k moves along each other v_m."""
    change = (change + change.T) / 2
    dw, dv = np.zeros(w.shape), np.zeros(v.shape)
    for k in range(len(w)):
        pushed = change @ v[:, k]
        dw[k] = v[:, k] @ pushed
        for m in range(len(w)):
            if m != k:
                dv[:, k] += v[:, m] * (v[:, m] @ pushed) / (w[k] - w[m])
    return dw, dv


def eigh_back(a: Array, w_bar: Array, v_bar: Array) -> Array:
    """Both outputs."""
    w, v = eigh_one(a)
    return by_tangents(lambda change: eigen_tangents(w, v, change), a, (w_bar, v_bar))


def eigh_backward(args: Arguments, y_bar: tuple[Array, Array]) -> tuple[Array]:
    """Two upstream gradients."""
    return batched(eigh_back, (2, 1, 2), args[0], *y_bar)


def eigvalsh_back(a: Array, w_bar: Array) -> Array:
    """dw_k = v_k.da v_k alone: equal eigenvalues do no harm."""
    _, v = eigh_one(a)
    a_bar = np.zeros(a.shape)
    for i, j, k in np.ndindex(*a.shape, len(a)):
        a_bar[i, j] += w_bar[k] * v[i, k] * v[j, k]
    return a_bar


def eigvalsh_backward(args: Arguments, y_bar: Array) -> tuple[Array]:
    """One vector of upstream gradients for each matrix."""
    return batched(eigvalsh_back, (2, 1), args[0], y_bar)


def exp_slopes(x: float) -> tuple[float, float]:
    """The first and the third derivative."""
    return math.exp(x), math.exp(x)


def log_slopes(x: float) -> tuple[float, float]:
    """1 / x and 2 / x^3."""
    return 1 / x, 2 / x**3


def sqrt_slopes(x: float) -> tuple[float, float]:
    """x^(-1/2) / 2 and 3/8 x^(-5/2)."""
    return x**-0.5 / 2, 3 / 8 * x**-2.5


def rsqrt_slopes(x: float) -> tuple[float, float]:
    """-x^(-3/2) / 2 and -15/8 x^(-7/2)."""
    return -(x**-1.5) / 2, -15 / 8 * x**-3.5


SLOPES = {"exp": exp_slopes, "log": log_slopes, "sqrt": sqrt_slopes, "rsqrt": rsqrt_slopes}


def difference_quotient(function: str, x: float, y: float) -> float:
    """(f(x) - f(y)) / (x - y); nearby by Taylor's series around the middle."""
    if abs(x - y) > 1e-3 * abs(x):
        return (SCALAR[function](x) - SCALAR[function](y)) / (x - y)
    first, third = SLOPES[function]((x + y) / 2)
    return first + third * (x - y) ** 2 / 24


def hermitian_function_back(a: Array, y_bar: Array, *, function: str = "exp") -> Array:
    """y = sum_k f(w_k) v_k v_k^T: its matrix elements change by difference quotients of f."""
    w, v = eigh_one(a)
    inner, a_bar = v.T @ ((y_bar + y_bar.T) / 2) @ v, np.zeros(a.shape)
    for p, q in np.ndindex(a.shape):
        slope = difference_quotient(function, float(w[p]), float(w[q]))
        a_bar += slope * inner[p, q] * np.outer(v[:, p], v[:, q])
    return a_bar


def expm_back(a: Array, y_bar: Array) -> Array:
    """The upper right block of exp of [[a^T, y_bar], [0, a^T]]."""
    block = np.block([[a.T, y_bar], [np.zeros(a.shape), a.T]])
    return expm_one(block)[: len(a), len(a) :]


def matrix_power_back(a: Array, y_bar: Array, *, power: int = 2) -> Array:
    """The product rule: one factor after the other is the one that changes."""
    base, total = inv_one(a) if power < 0 else a, np.zeros(a.shape)
    powers = [np.eye(len(a))]
    for _ in range(abs(power)):
        powers.append(product(powers[-1], base.T))
    for k in range(abs(power)):
        total += product(product(powers[k], y_bar), powers[abs(power) - 1 - k])
    return inv_back(a, total) if power < 0 else total


BACKWARD: dict[str, Callable] = {
    "eigh": eigh_backward,
    "eigvalsh": eigvalsh_backward,
    "hermitian_function": partial(over_matrices, hermitian_function_back),
    "expm": partial(over_matrices, expm_back),
    "matrix_power": partial(over_matrices, matrix_power_back),
}
