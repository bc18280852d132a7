"""Tridiagonal systems and products of reflections, one entry at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.linalg import batched, eliminate
from reference.shapes import Array, float64


def dense(dl: Array, d: Array, du: Array) -> Array:
    """The matrix with these bands."""
    n = len(d)
    a = np.zeros((n, n))
    for i in range(n):
        a[i, i] = d[i]
        if i > 0:
            a[i, i - 1] = dl[i]
        if i < n - 1:
            a[i, i + 1] = du[i]
    return a


def solve_one(dl: Array, d: Array, du: Array, b: Array) -> Array:
    """By elimination in the whole matrix."""
    return eliminate(dense(dl, d, du), b)


def solve_back(dl: Array, d: Array, du: Array, b: Array, x_bar: Array) -> tuple[Array, ...]:
    """b_bar solves with the transposed matrix; the matrix gets -b_bar x^T in its bands."""
    x = solve_one(dl, d, du, b)
    b_bar = eliminate(dense(dl, d, du).T.copy(), x_bar)
    bars = np.zeros((3, len(d)))
    for i, k in np.ndindex(b.shape):
        for band, j in enumerate((i - 1, i, i + 1)):
            if 0 <= j < len(d):
                bars[band, i] -= b_bar[i, k] * x[j, k]
    return *bars, b_bar


def tridiagonal_solve(*args: Any) -> Array:
    """Each system by itself."""
    return batched(solve_one, (1, 1, 1, 2), *args)[0]


def tridiagonal_solve_backward(args: Any, x_bar: Array) -> tuple[Array, ...]:
    """Each system by itself."""
    return batched(solve_back, (1, 1, 1, 2, 2), *args, x_bar)


def reflector(a: Array, i: int) -> Array:
    """Column i below the diagonal, with a 1 on it."""
    return np.array([0.0 if r < i else 1.0 if r == i else a[r, i] for r in range(len(a))])


def partial_products(a: Array, taus: Array) -> list[Array]:
    """The identity; H_k; H_k-1 H_k; ... : the first columns of each."""
    products = [np.eye(*a.shape)]
    for i in reversed(range(len(taus))):
        v, q = reflector(a, i), products[-1]
        products.append(q - taus[i] * np.outer(v, v @ q))
    return products


def product_one(a: Array, taus: Array) -> Array:
    """One reflection after the other, the last one first."""
    return partial_products(a, taus)[-1]


def product_back(a: Array, taus: Array, q_bar: Array) -> tuple[Array, Array]:
    """From the outermost reflection inwards, with what each one was given."""
    given = partial_products(a, taus)[-2::-1]
    a_bar, taus_bar, g = np.zeros(a.shape), np.zeros(taus.shape), q_bar
    for i in range(len(taus)):
        v, q = reflector(a, i), given[i]
        taus_bar[i] = -(v @ g) @ (v @ q)
        v_bar = -taus[i] * (g @ (q.T @ v) + q @ (g.T @ v))
        for r in range(i + 1, len(a)):
            a_bar[r, i] = v_bar[r]
        g = g - taus[i] * np.outer(v, v @ g)
    return a_bar, taus_bar


def householder_product(a: Any, taus: Any) -> Array:
    """Each product by itself."""
    return batched(product_one, (2, 1), a, taus)[0]


def householder_product_backward(args: Any, q_bar: Array) -> tuple[Array, ...]:
    """Each product by itself."""
    return batched(product_back, (2, 1, 2), *args, float64(q_bar))


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "tridiagonal_solve": tridiagonal_solve,
    "householder_product": householder_product,
}
BACKWARD: dict[str, Callable[..., Any]] = {
    "tridiagonal_solve": tridiagonal_solve_backward,
    "householder_product": householder_product_backward,
}
