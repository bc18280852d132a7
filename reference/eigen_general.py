"""Eigenvalues of matrices that need not be symmetric: roots of a polynomial, and null vectors.

A gradient pairs without a conjugate: the total moves by Re(a_bar da), as in JAX.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.backward_gates import Arguments
from reference.linalg import batched, over_matrices

Array = NDArray[Any]


def characteristic(a: Array) -> list[complex]:
    """The coefficients of det(x - a), from the highest power (Faddeev and Le Verrier)."""
    m, coefficients = np.eye(len(a), dtype=complex), [1.0 + 0j]
    for k in range(1, len(a) + 1):
        pushed = a @ m
        coefficients.append(-complex(np.trace(pushed)) / k)
        m = pushed + coefficients[-1] * np.eye(len(a))
    return coefficients


def roots(coefficients: list[complex]) -> list[complex]:
    """All roots at once, each corrected by its distances to the others (Durand and Kerner)."""
    n, size = len(coefficients) - 1, max(map(abs, coefficients[1:]), default=1.0) ** 0.5 + 1.0
    found = [size * (0.4 + 0.9j) ** k for k in range(n)]
    for _ in range(200):
        for k in range(n):
            value, spread = 0j, 1.0 + 0j
            for c in coefficients:
                value = value * found[k] + c
            for m in range(n):
                spread *= found[k] - found[m] if m != k else 1.0
            found[k] -= value / spread
    return found


def null_vector(a: Array) -> Array:
    """The longest column of the adjugate of a singular matrix, of length 1, turned."""
    n = len(a)
    adjugate = np.empty((n, n), complex)
    for i, j in np.ndindex(n, n):
        minor = np.delete(np.delete(a, j, 0), i, 1)
        adjugate[i, j] = (-1) ** (i + j) * np.linalg.det(minor)
    v = adjugate[:, np.argmax(np.sum(np.abs(adjugate), axis=0))]
    top = v[np.argmax(np.abs(v))]
    return v / np.sqrt(np.sum(np.abs(v) ** 2)) * (top.conjugate() / abs(top))


def parts(w: complex) -> tuple[float, float]:
    """Real, then imaginary; pairs of conjugates have one real part."""
    return round(w.real, 9), w.imag


def eig_one(a: Array) -> tuple[Array, Array]:
    """Eigenvalues in order, eigenvectors in columns."""
    w = sorted(roots(characteristic(a)), key=parts)
    vectors = [null_vector(a - each * np.eye(len(a))) for each in w]
    return np.array(w, complex), np.array(vectors, complex).T


def tangent(a: Array, w: complex, v: Array, change: Array) -> tuple[complex, Array]:
    """dw and dv of (a - w) dv - dw v = -da v, Re(v^H dv) = 0 and a largest entry that stays real.

    These are 2 n + 2 equations of real numbers for as many unknowns.
    """
    n, top = len(a), int(np.argmax(np.abs(v)))
    left = np.zeros((n + 1, n + 1), complex)
    left[:n, :n], left[:n, n] = a - w * np.eye(n), -v
    rows = np.block([[left.real, -left.imag], [left.imag, left.real]])
    rows[n, : n + 1], rows[n, n + 1 :] = [*v.real, 0], [*v.imag, 0]
    rows[2 * n + 1] = 0.0
    rows[2 * n + 1, n + 1 + top] = 1.0
    pushed = np.append(-change @ v, 0)
    moved = np.linalg.solve(rows, np.concatenate([pushed.real, pushed.imag]))
    solved = moved[: n + 1] + 1j * moved[n + 1 :]
    return solved[n], solved[:n]


def eig_back(a: Array, w_bar: Array, v_bar: Array) -> Array:
    """a_bar_ij: the total moves by Re(a_bar_ij da_ij), for da_ij = 1 and for da_ij = i."""
    w, v = eig_one(a)
    a_bar = np.zeros(a.shape, a.dtype)
    for i, j in np.ndindex(a.shape):
        for step in (1.0, 1j) if np.iscomplexobj(a) else (1.0,):
            change = np.zeros(a.shape, complex)
            change[i, j] = step
            moved = 0.0
            for k in range(len(w)):
                dw, dv = tangent(a, w[k], v[:, k], change)
                moved += (w_bar[k] * dw + np.sum(v_bar[:, k] * dv)).real
            a_bar[i, j] += moved if step == 1.0 else -1j * moved
    return a_bar


def eig_backward(args: Arguments, y_bar: tuple[Array, Array]) -> tuple[Array]:
    """Two upstream gradients."""
    return batched(eig_back, (2, 1, 2), args[0], *y_bar)


DEFINITIONS: dict[str, Callable] = {"eig": partial(over_matrices, eig_one)}
BACKWARD: dict[str, Callable] = {"eig": eig_backward}
