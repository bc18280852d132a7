"""QR, LU, singular values and least squares, one entry at a time."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from reference.linalg import batched, inv_one, over_matrices, product
from reference.shapes import Array
from reference.spectral import eigh_one, with_signs


def qr_one(a: Array) -> tuple[Array, Array]:
    """Householder's reflections: column j goes to -sign(its head) times its length."""
    m, n = a.shape
    q, r = np.eye(m), a.copy()
    for j in range(min(m - 1, n)):
        v = r[j:, j].copy()
        length = math.sqrt(sum(x * x for x in v))
        v[0] += length if v[0] >= 0 else -length
        scale = 2 / sum(x * x for x in v)
        for k in range(n):
            r[j:, k] -= scale * v * sum(v * r[j:, k])
        for k in range(m):
            q[k, j:] -= scale * v * sum(v * q[k, j:])
    k = min(m, n)
    return q[:, :k], np.triu(r[:k])


def svd_one(a: Array) -> tuple[Array, Array, Array]:
    """From the eigenvectors of the smaller one of a^T a and a a^T."""
    if a.shape[0] < a.shape[1]:
        v, s, ut = _from_eigenvectors(a.T)
        u = with_signs(ut.T.copy())
        return u, s, (v * np.sum(u * ut.T, axis=0)).T
    u, s, vt = _from_eigenvectors(a)
    signed = with_signs(u.copy())
    return signed, s, vt * np.sum(signed * u, axis=0)[:, None]


def _from_eigenvectors(a: Array) -> tuple[Array, Array, Array]:
    w, v = eigh_one(product(a.T, a))
    s, v = np.sqrt(w[::-1]), v[:, ::-1]
    return product(a, v) / s, s, v.T


def svdvals_one(a: Array) -> Array:
    """The singular values alone."""
    return svd_one(a)[1]


def lu_one(a: Array) -> tuple[Array, Array, Array]:
    """Elimination with the largest pivot of each column; the multipliers are kept."""
    m, n = a.shape
    rest, order = a.copy(), list(range(m))
    for j in range(min(m, n)):
        best = max(range(j, m), key=lambda i: abs(rest[i, j]))
        rest[[j, best]] = rest[[best, j]]
        order[j], order[best] = order[best], order[j]
        for i in range(j + 1, m):
            rest[i, j] /= rest[j, j]
            rest[i, j + 1 :] -= rest[i, j] * rest[j, j + 1 :]
    k = min(m, n)
    return np.tril(rest[:, :k], -1) + np.eye(m, k), np.triu(rest[:k]), np.array(order)


def lu(a: ArrayLike) -> tuple[tuple[Array, Array], Array]:
    """((l, u), order of the rows)."""
    lower, upper, order = batched(lu_one, (2,), a)
    return (lower, upper), order.astype(np.int32)


def pinv_one(a: Array) -> Array:
    """For full rank: (a^T a)^-1 a^T, or a^T (a a^T)^-1."""
    if a.shape[0] >= a.shape[1]:
        return product(inv_one(product(a.T, a)), a.T)
    return product(a.T, inv_one(product(a, a.T)))


def lstsq_one(a: Array, b: Array) -> Array:
    """The pseudoinverse times b."""
    return product(pinv_one(a), b)


DEFINITIONS: dict[str, Callable] = {
    "qr": partial(over_matrices, qr_one),
    "svd": partial(over_matrices, svd_one),
    "svdvals": partial(over_matrices, svdvals_one),
    "lu": lu,
    "pinv": partial(over_matrices, pinv_one),
    "lstsq": partial(over_matrices, lstsq_one),
}
