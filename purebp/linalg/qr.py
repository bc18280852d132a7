"""QR: a matrix as orthonormal columns times an upper triangle."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from purebp.linalg.matrices import (
    Wide,
    adjoint,
    halved_triangle,
    product,
    symmetrized,
    transposed,
    triangle_solve,
)
from purebp.op import FULL_RANK, Op, conditioned


class QRResiduals(NamedTuple):
    """q and r, all that is needed: a = q r."""

    q: Array
    r: Array


def qr_definition(
    a: Wide[Array, "*batch m n"],
) -> tuple[Wide[Array, "*batch m k"], Wide[Array, "*batch k n"]]:
    """a = q r with orthonormal columns in q and an upper triangular r: the reduced form.

    Maths: for m >= n, X = r r_bar^T - q_bar^T q and C its lower triangle mirrored,
        a_bar = (q_bar + q C) r^-T. For m < n q and r_1 are the factors of the first m columns
        a_1, and r_2 = q^T a_2: a_2_bar = q r_2_bar, q_bar gets a_2 r_2_bar^T more.
    Shapes: a (*batch, m, n); q (*batch, m, k), r (*batch, k, n), k = min(m, n).
    Residuals: q and r.
    Kinks: none for a of full rank; the signs of the diagonal of r are those of LAPACK.
    Raises: ShapeError for fewer than two axes, DtypeError for 16 bits and integers.
    Source: Walter and Lehmann 2012, "Algorithmic differentiation of linear algebra functions";
        the wide case by hand.

    Example:
        >>> y, res = qr.fwd(jnp.array([[1.0, 2.0], [0.5, -1.0], [2.0, 1.0]]))
        >>> print(*qr.bwd(res, y))
        [[ 0.9999999   2.0000002 ]
         [ 0.49999985 -1.0000001 ]
         [ 1.9999996   1.0000002 ]]
    """
    m = a.shape[-2]
    if m >= a.shape[-1]:
        q, r = jnp.linalg.qr(a)
        return q, r
    q, first = jnp.linalg.qr(a[..., :m])
    rest = jnp.matmul(transposed(q), a[..., m:])
    return q, jnp.concatenate([first, rest], axis=-1)


def qr_fwd(a: Array) -> tuple[tuple[Array, Array], QRResiduals]:
    q, r = jnp.linalg.qr(a)
    return (q, r), QRResiduals(q, r)


def qr_bwd(res: QRResiduals, y_bar: tuple[Array, Array]) -> tuple[Array]:
    (q, r), (q_bar, r_bar) = res, y_bar
    m, n = q.shape[-2], r.shape[-1]
    if m >= n:
        return (_tall_bar(q, r, q_bar, r_bar),)
    rest_bar = r_bar[..., m:]
    q_bar = q_bar + product(q, r[..., m:], adjoint(rest_bar))
    first_bar = _tall_bar(q, r[..., :m], q_bar, r_bar[..., :m])
    return (jnp.concatenate([first_bar, product(q, rest_bar)], axis=-1),)


def _tall_bar(q: Array, r: Array, q_bar: Array, r_bar: Array) -> Array:
    x = product(r, adjoint(r_bar)) - product(adjoint(q_bar), q)
    mirrored = 2 * symmetrized(halved_triangle(x))
    right = q_bar + product(q, mirrored)
    return triangle_solve(r, right, lower=False, transpose=True, conjugate=True, left=False)


qr = Op(
    qr_fwd,
    qr_bwd,
    definition=qr_definition,
    domains={"a": FULL_RANK},
    sizes={"batch": ((), (2,), (), ()), "m": (4, 2, 3, 4), "n": (2, 3, 3, 2)},
    tolerance=conditioned("r^-1 magnifies rounding by the condition of a", pooled=True),
)

OPS = (qr,)
