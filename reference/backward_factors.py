"""Backward passes of QR, LU, singular values and least squares.

By tangents (see `backward_spectral`): the loops of Gram and Schmidt, of the elimination and of
perturbation theory, with the change of each number beside it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from reference.backward_gates import Arguments
from reference.backward_linalg import inv_back, over_matrices
from reference.backward_spectral import by_tangents
from reference.factors import lu_one, pinv_one, qr_one, svd_one
from reference.linalg import batched, inv_one, product
from reference.shapes import Array


def qr_tangents(a: Array, change: Array) -> tuple[Array, Array]:
    """Gram-Schmidt: what is left of a column, over its length; signs as in the reflections."""
    m, n = a.shape
    k, signs = min(m, n), np.sign(np.diag(qr_one(a)[1]))
    q, dq, dr = np.zeros((m, k)), np.zeros((m, k)), np.zeros((k, n))
    for j in range(n):
        v, dv = a[:, j].copy(), change[:, j].copy()
        for i in range(min(j, k)):
            r, dr[i, j] = q[:, i] @ v, dq[:, i] @ v + q[:, i] @ dv
            v, dv = v - r * q[:, i], dv - dr[i, j] * q[:, i] - r * dq[:, i]
        if j < k:
            length = signs[j] * np.sqrt(v @ v)
            dr[j, j] = v @ dv / length
            q[:, j], dq[:, j] = v / length, (dv - v / length * dr[j, j]) / length
    return dq, dr


def qr_back(a: Array, q_bar: Array, r_bar: Array) -> Array:
    """Both outputs."""
    return by_tangents(partial(qr_tangents, a), a, (q_bar, r_bar))


def lu_tangents(a: Array, change: Array) -> tuple[Array, Array]:
    """The elimination of the rows in their final order: no pivot is sought any more."""
    order = [int(i) for i in lu_one(a)[2]]
    m, n = a.shape
    x, dx, k = a[order], change[order], min(m, n)
    for j in range(k):
        for i in range(j + 1, m):
            factor = x[i, j] / x[j, j]
            dfactor = (dx[i, j] - factor * dx[j, j]) / x[j, j]
            x[i, j + 1 :] -= factor * x[j, j + 1 :]
            dx[i, j + 1 :] -= dfactor * x[j, j + 1 :] + factor * dx[j, j + 1 :]
            x[i, j], dx[i, j] = factor, dfactor
    return np.tril(dx[:, :k], -1), np.triu(dx[:k])


def lu_back(a: Array, l_bar: Array, u_bar: Array) -> Array:
    """Both triangles."""
    return by_tangents(partial(lu_tangents, a), a, (l_bar, u_bar))


def svd_tangents(a: Array, change: Array) -> tuple[Array, Array, Array]:
    """Perturbation theory of a^T a, for at least as many rows as columns."""
    if a.shape[0] < a.shape[1]:
        return _svd_tangents_of_wide(a, change)
    u, s, vt = svd_one(a)
    return _svd_tangents(a, change, u, s, vt)


def _svd_tangents_of_wide(a: Array, change: Array) -> tuple[Array, Array, Array]:
    u, s, vt = svd_one(a)
    dv, ds, dut = _svd_tangents(a.T, change.T, vt.T, s, u.T)
    return dut.T, ds, dv.T


def _svd_tangents(
    a: Array, change: Array, u: Array, s: Array, vt: Array
) -> tuple[Array, Array, Array]:
    du, ds, dvt = np.zeros(u.shape), np.zeros(s.shape), np.zeros(vt.shape)
    pushed = change.T @ a + a.T @ change
    for k in range(len(s)):
        ds[k] = u[:, k] @ change @ vt[k]
        for m in range(len(s)):
            if m != k:
                dvt[k] += vt[m] * (vt[m] @ pushed @ vt[k]) / (s[k] ** 2 - s[m] ** 2)
        du[:, k] = (change @ vt[k] + a @ dvt[k] - u[:, k] * ds[k]) / s[k]
    return du, ds, dvt


def svd_back(a: Array, u_bar: Array, s_bar: Array, vt_bar: Array) -> Array:
    """All three outputs."""
    return by_tangents(partial(svd_tangents, a), a, (u_bar, s_bar, vt_bar))


def svdvals_back(a: Array, s_bar: Array) -> Array:
    """s_k changes by u_k.da v_k."""
    u, _, vt = svd_one(a)
    a_bar = np.zeros(a.shape)
    for i, j, k in np.ndindex(*a.shape, len(s_bar)):
        a_bar[i, j] += s_bar[k] * u[i, k] * vt[k, j]
    return a_bar


def pinv_back(a: Array, p_bar: Array) -> Array:
    """Back through the product, the inverse and the product of (a^T a)^-1 a^T."""
    if a.shape[0] < a.shape[1]:
        return pinv_back(a.T, p_bar.T).T
    square = product(a.T, a)
    square_bar = inv_back(square, product(p_bar, a))
    direct = product(inv_one(square), p_bar).T
    return direct + product(a, square_bar + square_bar.T)


def lstsq_back(a: Array, b: Array, x_bar: Array) -> tuple[Array, Array]:
    """x = p b."""
    p = pinv_one(a)
    return pinv_back(a, product(x_bar, b.T)), product(p.T, x_bar)


def several_backward(
    function: Callable, ranks: tuple[int, ...], args: Arguments, y_bar: tuple[Array, ...]
) -> tuple:
    """A function of one matrix with several outputs."""
    return batched(function, (2, *ranks), args[0], *y_bar)


def svdvals_backward(args: Arguments, y_bar: Array) -> tuple:
    """One vector of upstream gradients for each matrix."""
    return batched(svdvals_back, (2, 1), args[0], y_bar)


BACKWARD: dict[str, Callable] = {
    "qr": partial(several_backward, qr_back, (2, 2)),
    "lu": partial(several_backward, lu_back, (2, 2)),
    "svd": partial(several_backward, svd_back, (2, 1, 2)),
    "svdvals": svdvals_backward,
    "pinv": partial(over_matrices, pinv_back),
    "lstsq": partial(over_matrices, lstsq_back),
}
