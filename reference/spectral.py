"""Eigenvalues, functions of matrices and powers, one entry at a time.

Eigenvalues by Jacobi's rotations; exp by Taylor's series of a / 2^s, squared s times.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from reference.linalg import inv_one, over_matrices, product
from reference.shapes import Array


def rotate(a: Array, v: Array, p: int, q: int) -> None:
    """Turn the axes p and q so that a_pq becomes 0; v collects the turns."""
    theta = math.atan2(2 * a[p, q], a[q, q] - a[p, p]) / 2
    c, s = math.cos(theta), math.sin(theta)
    for k in range(len(a)):
        a[k, p], a[k, q] = c * a[k, p] - s * a[k, q], s * a[k, p] + c * a[k, q]
    for k in range(len(a)):
        a[p, k], a[q, k] = c * a[p, k] - s * a[q, k], s * a[p, k] + c * a[q, k]
        v[k, p], v[k, q] = c * v[k, p] - s * v[k, q], s * v[k, p] + c * v[k, q]


def with_signs(v: Array) -> Array:
    """Each column with the sign that makes its largest entry positive."""
    for k in range(v.shape[1]):
        if v[np.argmax(np.abs(v[:, k])), k] < 0:
            v[:, k] = -v[:, k]
    return v


def eigh_one(a: Array) -> tuple[Array, Array]:
    """Sweeps of rotations, until nothing is left beside the diagonal."""
    a, v = (a + a.T) / 2, np.eye(len(a))
    for _ in range(30):
        for p in range(len(a)):
            for q in range(p + 1, len(a)):
                rotate(a, v, p, q)
    order = np.argsort(np.diag(a), kind="stable")
    return np.diag(a)[order], with_signs(v[:, order])


def eigvalsh_one(a: Array) -> Array:
    """The eigenvalues alone."""
    return eigh_one(a)[0]


def scalar_rsqrt(x: float) -> float:
    """1 / sqrt(x)."""
    return 1 / math.sqrt(x)


SCALAR = {"exp": math.exp, "log": math.log, "sqrt": math.sqrt, "rsqrt": scalar_rsqrt}


def hermitian_function_one(a: Array, *, function: str = "exp") -> Array:
    """y_ij = sum_k v_ik f(w_k) v_jk."""
    w, v = eigh_one(a)
    y = np.zeros(a.shape)
    for i, j, k in np.ndindex(*a.shape, len(a)):
        y[i, j] += v[i, k] * SCALAR[function](float(w[k])) * v[j, k]
    return y


def expm_one(a: Array) -> Array:
    """1 + x + x^2/2! + ... of x = a / 2^s, squared s times."""
    squarings = max(0, math.ceil(math.log2(np.max(np.abs(a), initial=1e-9) * len(a))) + 1)
    x = a / 2**squarings
    y = term = np.eye(len(a))
    for k in range(1, 20):
        term = product(term, x) / k
        y = y + term
    for _ in range(squarings):
        y = product(y, y)
    return y


def matrix_power_one(a: Array, *, power: int = 2) -> Array:
    """a times a times a ..., or so for the inverse."""
    y, base = np.eye(len(a)), inv_one(a) if power < 0 else a
    for _ in range(abs(power)):
        y = product(y, base)
    return y


DEFINITIONS: dict[str, Callable] = {
    "eigh": partial(over_matrices, eigh_one),
    "eigvalsh": partial(over_matrices, eigvalsh_one),
    "hermitian_function": partial(over_matrices, hermitian_function_one),
    "expm": partial(over_matrices, expm_one),
    "matrix_power": partial(over_matrices, matrix_power_one),
}
