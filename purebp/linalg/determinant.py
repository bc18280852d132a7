"""The determinant, its derivative the matrix of cofactors, and the logarithm of both.

det(a) = sum_j a_ij c_ij, and no c_ij depends on row i: so d det / d a is the matrix c, whether a
is singular or not. c = det(a) a^-T needs an inverse; the form here needs none. With P a = L U

    c(a) = det(P) P^T L^-T c(U)

and for the upper triangle U with diagonal u, W_ij = U_ij u_(i+1) ... u_(j-1) above the diagonal,

    c(U)^T = adj(U) = [u_1 ... u_(i-1)] H_ij [u_(j+1) ... u_n],  H = (1 + W)^-1

from back substitution, multiplied through by the diagonal. Nothing is divided by u.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from purebp.linalg.matrices import (
    Factors,
    Wide,
    eye_like,
    signed_factors_of,
    solve_transposed_with,
    transposed,
    triangle_solve,
)
from purebp.op import FULL_RANK, Op, conditioned
from purebp.residuals import Spec, spec_of

CANCELS = conditioned("a determinant is a sum of products that cancel", pooled=True)
SIZES = {"batch": ((), (2,), (2,), ()), "n": (4, 3, 2, 4)}


def determinants(a: Array) -> Array:
    """det(a) by products and sums alone, in n^4 operations: Bird 2011.

    X goes to mu(X) a, n - 1 times, from X = a; mu(X) keeps what is above the diagonal, and puts
    minus the sum of the later diagonal entries in place of each diagonal one.
    """
    n = a.shape[-1]
    if n == 0:
        return _ones(a)
    x, later = a, jnp.triu(jnp.ones((n, n), a.dtype), 1)
    for _ in range(n - 1):
        diagonal = jnp.diagonal(x, axis1=-2, axis2=-1)
        rest = jnp.einsum("ij,...j->...i", later, diagonal)
        x = jnp.matmul(jnp.triu(x, 1) - rest[..., None] * jnp.eye(n, dtype=a.dtype), a)
    return (-1) ** (n - 1) * x[..., 0, 0]


def cofactors_of_small(a: Array) -> Array:
    """The matrix of cofactors for up to three rows: there it is a cross product of the others."""
    rows = a.shape[-1]
    if rows <= 1:
        return jnp.ones_like(a)
    if rows == 2:
        return jnp.flip(a, (-2, -1)) * jnp.asarray([[1, -1], [-1, 1]], a.dtype)
    x, y, z = (a[..., i, :] for i in range(3))
    return jnp.stack([jnp.cross(y, z), jnp.cross(z, x), jnp.cross(x, y)], -2)


def cofactors_by(factors: Factors, sign: Array) -> Array:
    """The matrix of cofactors of P^T L U."""
    lu, permutation = factors
    inner = transposed(_adjugate(jnp.triu(lu))) * sign[..., None, None]
    rows = triangle_solve(lu, inner, transpose=True, unit_diagonal=True)
    back = jnp.argsort(permutation, axis=-1)
    return jnp.take_along_axis(rows, back[..., None], axis=-2)


def _adjugate(u: Array) -> Array:
    """adj(U) of upper triangles. Rows are scaled to entries of at most 1, so that W is bounded."""
    size = jnp.max(jnp.abs(u), axis=-1)
    size = jnp.where(size == 0, 1, size)
    scaled = u / size[..., None]
    diagonal = jnp.diagonal(scaled, axis1=-2, axis2=-1)
    inner = triangle_solve(
        scaled * _products_between(diagonal), eye_like(u), lower=False, unit_diagonal=True
    )
    before = _products_before(diagonal)
    after = jnp.flip(_products_before(jnp.flip(diagonal, -1)), -1)
    others = _products_before(size) * jnp.flip(_products_before(jnp.flip(size, -1)), -1)
    return before[..., :, None] * inner * (after * others)[..., None, :]


def _products_before(x: Array) -> Array:
    """1, x_1, x_1 x_2, ...: the products of the entries before each one."""
    ones = jnp.ones_like(x[..., :1])
    return jnp.cumprod(jnp.concatenate([ones, x[..., :-1]], axis=-1), axis=-1)


def _products_between(x: Array) -> Array:
    """t_ij = x_(i+1) ... x_(j-1) for i < j."""
    row, column = jnp.arange(x.shape[-1])[:, None], jnp.arange(x.shape[-1])
    used = jnp.where(column > row, x[..., None, :], 1)
    return _products_before(used)


class DetResiduals(NamedTuple):
    """The matrix where it has up to three rows, else its LU factors and the sign of P."""

    a: Array | None
    factors: Factors | None
    sign: Array | None


def det_definition(a: Wide[Array, "*batch n n"]) -> Wide[Array, "*batch"]:
    """y = the determinant of a.

    Maths: y = sum_j a_ij c_ij for any row i, c the cofactors; a_bar = y_bar c. For a regular
        matrix that is y_bar y a^-T; c is as well defined for a singular one.
    Shapes: a (*batch, n, n), y (*batch).
    Residuals: a where it has up to three rows, else its LU factors; no inverse.
    Kinks: none. The second derivative at a singular matrix of four or more rows is NaN.
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Jacobi's formula; the cofactors by hand, see the head of this module.

    Example:
        >>> y, res = det.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*det.bwd(res, 1.0))
        [[ 3. -1.]
         [-1.  2.]]
    """
    return determinants(a)


def det_fwd(a: Array) -> tuple[Array, DetResiduals]:
    if a.shape[-1] <= 3:
        cofactors = cofactors_of_small(a)
        y = jnp.sum((a * cofactors)[..., :1, :], axis=(-2, -1)) if a.shape[-1] else _ones(a)
        return y, DetResiduals(a, None, None)
    factors, sign = signed_factors_of(a)
    diagonal = jnp.diagonal(factors.lu, axis1=-2, axis2=-1)
    return sign * jnp.prod(diagonal, axis=-1), DetResiduals(None, factors, sign)


def _ones(a: Array) -> Array:
    return jnp.ones(a.shape[:-2], a.dtype)


def det_bwd(res: DetResiduals, y_bar: Array) -> tuple[Array]:
    if res.factors is None:
        assert res.a is not None
        cofactors = cofactors_of_small(res.a)
    else:
        assert res.sign is not None
        cofactors = cofactors_by(res.factors, res.sign)
    return (y_bar[..., None, None] * cofactors,)


det = Op(
    det_fwd,
    det_bwd,
    definition=det_definition,
    sizes=SIZES,
    tolerance=CANCELS,
)


class SlogdetResiduals(NamedTuple):
    factors: Factors
    a: Spec


def slogdet_definition(
    a: Wide[Array, "*batch n n"],
) -> tuple[Wide[Array, "*batch"], Wide[Array, "*batch"]]:
    """The sign of det(a), and the logarithm of its size, which does not overflow.

    Maths: y = ln |det(a)|; a_bar = y_bar a^-T. The sign is constant, its cotangent not used.
    Shapes: a (*batch, n, n); sign, y (*batch).
    Residuals: the LU factors, from which a^-T is solved.
    Kinks: none. A singular matrix has sign 0 and y = -inf, and no derivative.
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Jacobi's formula, divided by det(a).

    Example:
        >>> y, res = slogdet.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*slogdet.bwd(res, y))
        [[ 0.9656628  -0.32188758]
         [-0.32188758  0.64377517]]
    """
    sign, y = jnp.linalg.slogdet(a)
    return sign, y


def slogdet_fwd(a: Array) -> tuple[tuple[Array, Array], SlogdetResiduals]:
    factors, sign = signed_factors_of(a)
    diagonal = jnp.diagonal(factors.lu, axis1=-2, axis2=-1)
    sign = sign * jnp.prod(jnp.sign(diagonal), axis=-1)
    y = jnp.sum(jnp.log(jnp.abs(diagonal)), axis=-1)
    return (sign, y), SlogdetResiduals(factors, spec_of(a))


def slogdet_bwd(res: SlogdetResiduals, y_bar: tuple[Array, Array]) -> tuple[Array]:
    inverse = solve_transposed_with(res.factors, eye_like(res.factors.lu))
    return (y_bar[1][..., None, None] * inverse,)


slogdet = Op(
    slogdet_fwd,
    slogdet_bwd,
    definition=slogdet_definition,
    domains={"a": FULL_RANK},
    sizes=SIZES,
    tolerance=conditioned(
        "a^-1 magnifies rounding by the condition of the matrix; ln of 1 cancels", pooled=True
    ),
)

OPS = (det, slogdet)
