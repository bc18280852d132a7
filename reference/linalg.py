"""Linear algebra one entry at a time: eliminations, determinants by minors, factorisations.

A matrix is the last two axes; `batched` repeats a function of matrices over the axes before.
"""

import itertools
import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, float64


def batched(function: Callable, ranks: tuple[int, ...], /, *arrays: ArrayLike, **options) -> tuple:
    """The outputs (always a tuple) of a function of single matrices, vectors or numbers.

    `ranks` has for each array how many of its axes, from the last, are those of one matrix.
    """
    given = [float64(array) for array in arrays]
    batch = given[0].shape[: given[0].ndim - ranks[0]]
    parts = [function(*(array[index] for array in given), **options) for index in np.ndindex(batch)]
    parts = [part if isinstance(part, tuple) else (part,) for part in parts]
    return tuple(
        np.reshape([part[k] for part in parts], (*batch, *np.shape(parts[0][k])))
        for k in range(len(parts[0]))
    )


def over_matrices(function: Callable, a: ArrayLike, /, *others: ArrayLike, **options):
    """`batched` for functions of matrices alone; one output is returned as it is."""
    out = batched(function, (2,) * (1 + len(others)), a, *others, **options)
    return out[0] if len(out) == 1 else out


def product(a: Array, b: Array) -> Array:
    """c_ij = sum_k a_ik b_kj."""
    c = np.zeros((len(a), b.shape[1]))
    for i, j, k in np.ndindex(*c.shape, a.shape[1]):
        c[i, j] += a[i, k] * b[k, j]
    return c


def cholesky_one(a: Array) -> Array:
    """Column by column: what is left of a_ij after the columns before, over the diagonal."""
    a, n = (a + a.T) / 2, len(a)
    low = np.zeros((n, n))
    for j in range(n):
        low[j, j] = math.sqrt(a[j, j] - sum(low[j, k] ** 2 for k in range(j)))
        for i in range(j + 1, n):
            rest = a[i, j] - sum(low[i, k] * low[j, k] for k in range(j))
            low[i, j] = rest / low[j, j]
    return low


def triangle_of(a: Array, lower: bool, transpose: bool, unit_diagonal: bool) -> Array:
    """The triangle of a that is meant, as a matrix of its own."""
    t = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        if (i >= j) if lower else (i <= j):
            t[i, j] = 1.0 if unit_diagonal and i == j else a[i, j]
    return t.T if transpose else t


def eliminate(a: Array, b: Array) -> Array:
    """x with a x = b, by Gauss-Jordan elimination with the largest pivot of each column."""
    rows, n = np.concatenate([a, b], axis=1), len(a)
    for j in range(n):
        best = max(range(j, n), key=lambda i: abs(rows[i, j]))
        rows[[j, best]] = rows[[best, j]]
        rows[j] = rows[j] / rows[j, j]
        for i in range(n):
            if i != j:
                rows[i] = rows[i] - rows[i, j] * rows[j]
    return rows[:, n:]


def triangular_solve_one(
    a: Array,
    b: Array,
    *,
    lower: bool = True,
    transpose: bool = False,
    unit_diagonal: bool = False,
) -> Array:
    """The system of one triangle."""
    return eliminate(triangle_of(a, lower, transpose, unit_diagonal), b)


def inv_one(a: Array) -> Array:
    """a^-1: the solution for each unit vector."""
    return eliminate(a, np.eye(len(a)))


def minor(a: Array, i: int, j: int) -> Array:
    """a without row i and column j."""
    return np.delete(np.delete(a, i, axis=0), j, axis=1)


def det_one(a: Array) -> float:
    """Leibniz: over all permutations, the signed product of one entry from each row."""
    total = 0.0
    for order in itertools.permutations(range(len(a))):
        swaps = sum(order[i] > order[j] for i in range(len(a)) for j in range(i + 1, len(a)))
        total += (-1) ** swaps * math.prod(a[i, j] for i, j in enumerate(order))
    return total


def cofactors_one(a: Array) -> Array:
    """c_ij = (-1)^(i+j) det(minor ij)."""
    c = np.zeros(a.shape)
    for i, j in np.ndindex(a.shape):
        c[i, j] = (-1) ** (i + j) * det_one(minor(a, i, j))
    return c


def slogdet_one(a: Array) -> tuple[float, float]:
    """The sign and ln |.| of the determinant."""
    y = det_one(a)
    return float(np.sign(y)), math.log(abs(y))


DEFINITIONS: dict[str, Callable] = {
    "cholesky": partial(over_matrices, cholesky_one),
    "triangular_solve": partial(over_matrices, triangular_solve_one),
    "solve": partial(over_matrices, eliminate),
    "inv": partial(over_matrices, inv_one),
    "det": partial(over_matrices, det_one),
    "slogdet": partial(over_matrices, slogdet_one),
}
