"""Backward passes of linear algebra; see `reference.backward_gates` for how they are called.

The entries of a factorisation are gone through backwards, one by one; solutions are
differentiated by da -> -a^-1 da x, entry by entry.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from reference.backward_gates import Arguments
from reference.linalg import (
    batched,
    cholesky_one,
    cofactors_one,
    eliminate,
    inv_one,
    triangle_of,
)
from reference.shapes import Array


def over_matrices(function: Callable, args: Arguments, y_bar: Array, /, **options) -> tuple:
    """The cotangents of a function of matrices with one output, matrix by matrix."""
    rank = 2 if np.ndim(y_bar) >= np.ndim(args[0]) else 0
    return batched(function, (*(2 for _ in args), rank), *args, y_bar, **options)


def cholesky_back(a: Array, y_bar: Array) -> Array:
    """The loops of `cholesky_one`, from the last entry to the first (Smith 1995)."""
    low, bar, n = cholesky_one(a), np.tril(y_bar), len(a)
    a_bar = np.zeros((n, n))
    for j in reversed(range(n)):
        for i in reversed(range(j + 1, n)):
            share = bar[i, j] / low[j, j]
            a_bar[i, j] += share
            bar[j, j] -= share * low[i, j]
            for k in range(j):
                bar[i, k] -= share * low[j, k]
                bar[j, k] -= share * low[i, k]
        share = bar[j, j] / (2 * low[j, j])
        a_bar[j, j] += share
        for k in range(j):
            bar[j, k] -= 2 * share * low[j, k]
    return (a_bar + a_bar.T) / 2


def system_back(t: Array, b: Array, x_bar: Array) -> tuple[Array, Array]:
    """x = t^-1 b: a change of t_ij by 1 changes x by -(column i of t^-1) x_j."""
    inverse, x = inv_one(t), eliminate(t, b)
    t_bar, b_bar = np.zeros(t.shape), np.zeros(b.shape)
    for i, j in np.ndindex(t.shape):
        for row, column in np.ndindex(x.shape):
            t_bar[i, j] -= x_bar[row, column] * inverse[row, i] * x[j, column]
    for i, column in np.ndindex(b.shape):
        b_bar[i, column] = sum(inverse[row, i] * x_bar[row, column] for row in range(len(t)))
    return t_bar, b_bar


def triangular_solve_back(
    a: Array,
    b: Array,
    x_bar: Array,
    *,
    lower: bool = True,
    transpose: bool = False,
    unit_diagonal: bool = False,
) -> tuple[Array, Array]:
    """The system of the triangle; what the triangle does not use has no gradient."""
    t_bar, b_bar = system_back(triangle_of(a, lower, transpose, unit_diagonal), b, x_bar)
    t_bar = t_bar.T if transpose else t_bar
    for i, j in np.ndindex(a.shape):
        if (i < j if lower else i > j) or (unit_diagonal and i == j):
            t_bar[i, j] = 0.0
    return t_bar, b_bar


def inv_back(a: Array, y_bar: Array) -> Array:
    """A change of a_ij by 1 changes the inverse by -(its column i) (its row j)."""
    y, a_bar = inv_one(a), np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        a_bar[i, j] = -sum(y_bar[k, m] * y[k, i] * y[j, m] for k, m in np.ndindex(a.shape))
    return a_bar


def det_back(a: Array, y_bar: Array) -> Array:
    """The determinant is linear in each entry, with its cofactor as the slope."""
    return float(y_bar) * cofactors_one(a)


def slogdet_backward(args: Arguments, y_bar: tuple[Array, Array]) -> tuple[Array]:
    """cofactor / det, entry by entry; the sign is constant."""
    return batched(_slogdet_back, (2, 0), args[0], y_bar[1])


def _slogdet_back(a: Array, y_bar: Array) -> Array:
    c = cofactors_one(a)
    return float(y_bar) * c / sum(a[0, j] * c[0, j] for j in range(len(a)))


BACKWARD: dict[str, Callable] = {
    "cholesky": partial(over_matrices, cholesky_back),
    "triangular_solve": partial(over_matrices, triangular_solve_back),
    "solve": partial(over_matrices, system_back),
    "inv": partial(over_matrices, inv_back),
    "det": partial(over_matrices, det_back),
    "slogdet": slogdet_backward,
}
