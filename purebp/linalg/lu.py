"""LU with partial pivoting."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int

from purebp.linalg.matrices import Wide, product, transposed, triangle_solve
from purebp.op import FULL_RANK, Op, conditioned
from purebp.residuals import Static


class LUResiduals(NamedTuple):
    """Both triangles in one matrix, the order of the rows, and the numbers of rows and columns."""

    packed: Array
    permutation: Array
    size: Static


LU = tuple[tuple[Array, Array], Array]


def lu_definition(
    a: Wide[Array, "*batch m n"],
) -> tuple[tuple[Wide[Array, "*batch m k"], Wide[Array, "*batch k n"]], Int[Array, "*batch m"]]:
    """P a = l u: a unit lower triangle, an upper triangle, and the order of the rows.

    Maths: l^-1 P da u^-1 = l^-1 dl + du u^-1 is a strictly lower and an upper triangle; so for a
        square a with S = strict lower triangle of l^T l_bar and T = upper triangle of u_bar u^T,
        P a_bar = l^-T (S + T) u^-T. More rows l_2 = a_2 u^-1 and more columns u_2 = l^-1 a_2 are
        solved for, and hand on their cotangents to the square part.
    Shapes: a (*batch, m, n); l (*batch, m, k), u (*batch, k, n), k = min(m, n). Aux: the
        permutation (*batch, m); row i of P a is row permutation[i] of a.
    Residuals: both triangles in one matrix, and the permutation.
    Kinks: where two pivots are of one size the order of the rows may be either one.
    Raises: ShapeError for fewer than two axes, DtypeError for 16 bits and integers.
    Source: de Hoog, Anderssen and Lukas 2011, "Differentiation of matrix functionals using
        triangular factorization"; derived by hand.

    Example:
        >>> (y, aux), res = lu.fwd(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> print(*lu.bwd(res, y))
        [[-0.7777778  0.6666666]
         [ 3.2592592  3.777778 ]]
    """
    packed, _, permutation = lax.linalg.lu(a)
    return triangles(packed), permutation


def triangles(packed: Array) -> tuple[Array, Array]:
    """The unit lower triangle (m, k) and the upper triangle (k, n)."""
    k = min(packed.shape[-2:])
    one = jnp.eye(packed.shape[-2], k, dtype=packed.dtype)
    return jnp.tril(packed[..., :, :k], -1) + one, jnp.triu(packed[..., :k, :])


def lu_fwd(a: Array) -> tuple[LU, LUResiduals]:
    packed, _, permutation = lax.linalg.lu(a)
    res = LUResiduals(packed, permutation, Static(a.shape[-2:]))
    return (triangles(packed), permutation), res


def lu_bwd(res: LUResiduals, y_bar: tuple[Array, Array]) -> tuple[Array]:
    (l_bar, u_bar), (m, n) = y_bar, res.size.value
    lower, upper = triangles(res.packed)
    k = min(m, n)
    square_l, square_u = lower[..., :k, :], upper[..., :, :k]
    below = right = None
    if m > n:  # l_2 = a_2 u^-1
        below = triangle_solve(square_u, l_bar[..., k:, :], lower=False, transpose=True, left=False)
        u_bar = u_bar - product(transposed(lower[..., k:, :]), below)
    if n > m:  # u_2 = l^-1 a_2
        right = triangle_solve(square_l, u_bar[..., k:], transpose=True, unit_diagonal=True)
        l_bar = l_bar - product(right, transposed(upper[..., k:]))
    strict = jnp.tril(product(transposed(square_l), l_bar[..., :k, :]), -1)
    inner = strict + jnp.triu(product(u_bar[..., :k], transposed(square_u)))
    inner = triangle_solve(square_l, inner, transpose=True, unit_diagonal=True)
    rows = triangle_solve(square_u, inner, lower=False, transpose=True, left=False)
    if below is not None:
        rows = jnp.concatenate([rows, below], axis=-2)
    if right is not None:
        rows = jnp.concatenate([rows, right], axis=-1)
    back = jnp.argsort(res.permutation, axis=-1)
    return (jnp.take_along_axis(rows, back[..., None], axis=-2),)


lu = Op(
    lu_fwd,
    lu_bwd,
    definition=lu_definition,
    domains={"a": FULL_RANK},
    sizes={"batch": ((), (2,), (), ()), "m": (4, 2, 3, 4), "n": (2, 3, 3, 2)},
    kinks="the first of the largest pivots",
    tolerance=conditioned("u^-1 magnifies rounding by the condition of a", pooled=True),
    has_aux=True,
)

OPS = (lu,)
