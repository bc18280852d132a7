"""Singular values and vectors.

With a = U diag(s) V^T, A = U^T da V, U^T dU and V^T dV antisymmetric:

    ds_i = A_ii
    (U^T dU)_ij = (A_ij s_j + s_i A_ji) / (s_j^2 - s_i^2)
    (V^T dV)_ij = (s_i A_ij + A_ji s_j) / (s_j^2 - s_i^2)

and the part of dU outside of the columns of U is (1 - U U^T) da V / s, that of dV likewise.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from purebp.linalg.matrices import (
    Wide,
    adjoint,
    over_gaps,
    product,
    signs_of_columns,
    transposed,
    turning,
)
from purebp.op import FULL_RANK, Op, conditioned

SIZES = {"batch": ((), (2,), (), ()), "m": (4, 2, 3, 4), "n": (2, 3, 3, 2)}
GAPS = conditioned("singular vectors turn by da over the gap of the values", pooled=True)


class SVDResiduals(NamedTuple):
    """The output."""

    u: Array
    s: Array
    vt: Array


def svd_definition(
    a: Wide[Array, "*batch m n"],
) -> tuple[Wide[Array, "*batch m k"], Wide[Array, "*batch k"], Wide[Array, "*batch k n"]]:
    """a = u diag(s) vt, orthonormal columns in u and rows in vt, s from the largest: reduced.

    Maths: with X = U^T u_bar - u_bar^T U, Y = V^T v_bar - v_bar^T V and E_ij = s_j^2 - s_i^2:
        a_bar = U ((X / E) S + S (Y / E) + diag(s_bar)) V^T + (1 - U U^T) u_bar S^-1 V^T
        + U S^-1 v_bar^T (1 - V V^T).
    Shapes: a (*batch, m, n); u (*batch, m, k), s (*batch, k), vt (*batch, k, n), k = min(m, n).
    Residuals: u, s and vt.
    Kinks: the largest entry of each column of u is positive, on every device. Where two singular
        values are equal, or where one is 0, their vectors are not functions of a: a_bar is NaN or
        infinite, except where the vectors are not used. Of s alone: `svdvals`.
    Raises: ShapeError for fewer than two axes, DtypeError for 16 bits and integers.
    Source: Townsend 2016, "Differentiating the singular value decomposition"; derived by hand.

    Example:
        >>> y, res = svd.fwd(jnp.array([[1.0, 2.0], [0.5, -1.0], [2.0, 1.0]]))
        >>> print(*svd.bwd(res, y))
        [[ 0.9999999  1.9999999]
         [ 0.4999999 -1.0000001]
         [ 1.9999996  0.9999996]]
    """
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    signs = signs_of_columns(u)
    return u * signs, s, vt * transposed(signs)


def svd_fwd(a: Array) -> tuple[tuple[Array, Array, Array], SVDResiduals]:
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    signs = signs_of_columns(u)
    u, vt = u * signs, vt * transposed(signs)
    return (u, s, vt), SVDResiduals(u, s, vt)


def svd_bwd(res: SVDResiduals, y_bar: tuple[Array, Array, Array]) -> tuple[Array]:
    (u, s, vt), (u_bar, s_bar, vt_bar) = res, y_bar
    x, y = product(adjoint(u), u_bar), product(vt, adjoint(vt_bar))
    sums = s[..., None, :] + s[..., :, None]
    sums = jnp.where(sums == 0, 1, sums)
    of_u = over_gaps(turning(x) / sums, s) * s[..., None, :]
    of_v = over_gaps(turning(y) / sums, s) * s[..., :, None]
    along = s_bar
    if jnp.iscomplexobj(u):  # the phase that a pair of vectors has in common is u's alone
        along = s_bar + 1j * jnp.diagonal(x, axis1=-2, axis2=-1).imag / s
    inner = of_u + of_v + along[..., None] * jnp.eye(s.shape[-1], dtype=s.dtype)
    left = product(u, inner)
    if u.shape[-2] > s.shape[-1]:
        left = left + _over(u_bar - product(u, x), s[..., None, :])
    a_bar = product(left, vt)
    if vt.shape[-1] > s.shape[-1]:
        a_bar = a_bar + product(u, _over(vt_bar - product(adjoint(y), vt), s[..., :, None]))
    return (a_bar,)


def _over(x: Array, s: Array) -> Array:
    """x / s, and 0 for 0 / 0."""
    unused = (s == 0) & (x == 0)
    return jnp.where(unused, 0, x / jnp.where(unused, 1, s))


svd = Op(
    svd_fwd,
    svd_bwd,
    definition=svd_definition,
    domains={"a": FULL_RANK},
    sizes=SIZES,
    kinks="the largest entry of a left singular vector is positive",
    tolerance=GAPS,
)


def svdvals_definition(a: Wide[Array, "*batch m n"]) -> Wide[Array, "*batch k"]:
    """The singular values of a, from the largest.

    Maths: a_bar = U diag(s_bar) V^T.
    Shapes: a (*batch, m, n); s (*batch, k), k = min(m, n).
    Residuals: U and V^T.
    Kinks: where singular values are equal, each is one of several slopes; a_bar is right for every
        function that treats them alike, as the nuclear norm does. At 0 one of the slopes of |s|.
    Raises: ShapeError for fewer than two axes, DtypeError for 16 bits and integers.
    Source: Townsend 2016, "Differentiating the singular value decomposition".

    Example:
        >>> a = jnp.array([[0.2, -0.0], [0.8, 0.8], [0.6, -0.4], [-0.3, -0.8]])
        >>> y, res = svdvals.fwd(a)
        >>> print(*svdvals.bwd(res, jnp.ones_like(y)))
        [[ 0.21092488 -0.05307439]
         [ 0.6314019   0.52857035]
         [ 0.73892313 -0.529657  ]
         [-0.10408989 -0.66125625]]
    """
    return jnp.linalg.svd(a, full_matrices=False, compute_uv=False)


class VectorResiduals(NamedTuple):
    u: Array
    vt: Array


def svdvals_fwd(a: Array) -> tuple[Array, VectorResiduals]:
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    return s, VectorResiduals(u, vt)


def svdvals_bwd(res: VectorResiduals, s_bar: Array) -> tuple[Array]:
    return (product(res.u * s_bar[..., None, :], res.vt),)


svdvals = Op(
    svdvals_fwd,
    svdvals_bwd,
    definition=svdvals_definition,
    domains={"a": FULL_RANK},
    sizes=SIZES,
    kinks="the order of equal singular values",
    tolerance=GAPS,
)

OPS = (svd, svdvals)
