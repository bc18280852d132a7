"""The pseudoinverse, and least squares for matrices of full rank."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from purebp.linalg.matrices import Wide, product, transposed, triangle_solve
from purebp.op import FULL_RANK, Op, conditioned
from purebp.residuals import Spec, spec_of

SIZES = {"batch": ((), (2,), (), ()), "m": (4, 2, 3, 4), "n": (2, 3, 3, 2), "k": (2, 1, 2, 2)}
MAGNIFIES = conditioned("the pseudoinverse magnifies rounding by the condition of a", pooled=True)


class PinvResiduals(NamedTuple):
    a: Array
    p: Array


def pinv_definition(a: Wide[Array, "*batch m n"]) -> Wide[Array, "*batch n m"]:
    """p = the pseudoinverse of a, singular values below 10 max(m, n) eps times the largest as 0.

    Maths: with G = p_bar: a_bar = -p^T G p^T + (1 - a p) G^T p p^T + p^T p G^T (1 - p a), while
        the rank does not change.
    Shapes: a (*batch, m, n), p (*batch, n, m).
    Residuals: a and p.
    Kinks: where the rank changes p jumps, and has no derivative.
    Raises: ShapeError for fewer than two axes, DtypeError for 16 bits and integers.
    Source: Golub and Pereyra 1973, "The differentiation of pseudo-inverses and nonlinear least
        squares problems whose variables separate", theorem 4.3.

    Example:
        >>> y, res = pinv.fwd(jnp.array([[0.2, -0.0], [0.8, 0.8], [0.6, -0.4], [-0.3, -0.8]]))
        >>> print(*pinv.bwd(res, y))
        [[-0.33499017  0.22188783]
         [-0.45240933 -0.02250199]
         [-1.4487462   1.1206901 ]
         [-0.38506612  0.57722145]]
    """
    return jnp.linalg.pinv(a)


def pinv_fwd(a: Array) -> tuple[Array, PinvResiduals]:
    p = jnp.linalg.pinv(a)
    return p, PinvResiduals(a, p)


def pinv_bwd(res: PinvResiduals, p_bar: Array) -> tuple[Array]:
    a, p = res
    if a.shape[-2] >= a.shape[-1]:
        return (_tall_bar(a, p, p_bar),)
    return (transposed(_tall_bar(transposed(a), transposed(p), transposed(p_bar))),)


def _tall_bar(a: Array, p: Array, p_bar: Array) -> Array:
    """a_bar, in products that are (m, n) or (n, n) for the smaller n."""
    pt, g = transposed(p), transposed(p_bar)
    direct = product(g, product(p, pt))
    across = product(p_bar, pt)
    columns = transposed(across)
    columns = columns - product(product(columns, p), a)
    return direct - product(a, product(p, direct)) + product(pt, columns - across)


pinv = Op(
    pinv_fwd,
    pinv_bwd,
    definition=pinv_definition,
    domains={"a": FULL_RANK},
    sizes=SIZES,
    tolerance=MAGNIFIES,
)


class LstsqResiduals(NamedTuple):
    """a, the triangle r of q r = a (or a^T), x, and the residual b - a x (or (a a^T)^-1 b)."""

    a: Array
    r: Array
    x: Array
    rest: Array
    b: Spec


def lstsq_definition(
    a: Wide[Array, "*batch m n"], b: Wide[Array, "*batch m k"]
) -> Wide[Array, "*batch n k"]:
    """The x with the least |a x - b|, and for more columns than rows the shortest of them.

    Maths: m >= n: x = (a^T a)^-1 a^T b; w = (a^T a)^-1 x_bar, b_bar = a w,
        a_bar = (b - a x) w^T - b_bar x^T. m < n: z = (a a^T)^-1 b, x = a^T z;
        b_bar = (a a^T)^-1 a x_bar, a_bar = z (x_bar - a^T b_bar)^T - b_bar x^T.
    Shapes: a (*batch, m, n), b (*batch, m, k), x (*batch, n, k).
    Residuals: a, x, the triangle of its QR factors, and b - a x or z; a^T a is never formed.
    Kinks: a matrix that is not of full rank gives infinities or NaN; see `pinv`.
    Raises: ShapeError if b does not fit a, DtypeError for 16 bits and integers.
    Source: Golub and Pereyra 1973; derived by hand.

    Example:
        >>> a = jnp.array([[0.5, -0.5, -0.9], [-0.4, -1.0, 0.7], [-0.5, 0.3, -0.8]])
        >>> b = jnp.array([[0.5, -1.5], [0.3, -2.0], [1.5, 0.8]])
        >>> y, res = lstsq.fwd(a, b)
        >>> for bar in lstsq.bwd(res, y): print(bar)
        [[-0.5606652   3.686593    0.35376075]
         [ 1.0200404   3.6442504   1.4238044 ]
         [ 3.5391636   0.12711078  2.4401245 ]]
        [[ 0.1127011  -1.5904416 ]
         [ 1.0975493  -1.363169  ]
         [ 2.2329776   0.41760194]]
    """
    return jnp.matmul(jnp.linalg.pinv(a), b)


def lstsq_fwd(a: Array, b: Array) -> tuple[Array, LstsqResiduals]:
    dtype = jnp.result_type(a, b)
    wide, right = a.astype(dtype), b.astype(dtype)
    if a.shape[-2] >= a.shape[-1]:
        q, r = jnp.linalg.qr(wide)
        x = triangle_solve(r, product(transposed(q), right), lower=False)
        return x, LstsqResiduals(a, r, x, right - product(wide, x), spec_of(b))
    q, r = jnp.linalg.qr(transposed(wide))
    below = triangle_solve(r, right, lower=False, transpose=True)
    z = triangle_solve(r, below, lower=False)
    return product(q, below), LstsqResiduals(a, r, product(q, below), z, spec_of(b))


def lstsq_bwd(res: LstsqResiduals, x_bar: Array) -> tuple[Array, Array]:
    r, x, rest, a = res.r, res.x, res.rest, res.a.astype(res.x.dtype)
    if a.shape[-2] >= a.shape[-1]:
        w = _solve_normal(r, x_bar)
        b_bar = product(a, w)
        a_bar = product(rest, transposed(w)) - product(b_bar, transposed(x))
    else:
        b_bar = _solve_normal(r, product(a, x_bar))
        free = x_bar - product(transposed(a), b_bar)
        a_bar = product(rest, transposed(free)) - product(b_bar, transposed(x))
    return a_bar.astype(res.a.dtype), b_bar.astype(res.b.dtype)


def _solve_normal(r: Array, x: Array) -> Array:
    """(r^T r)^-1 x."""
    return triangle_solve(r, triangle_solve(r, x, lower=False, transpose=True), lower=False)


lstsq = Op(
    lstsq_fwd,
    lstsq_bwd,
    definition=lstsq_definition,
    domains={"a": FULL_RANK},
    sizes=SIZES,
    tolerance=conditioned(
        "a^-1 magnifies rounding by the condition of the matrix", pooled=True, whole=True
    ),
)

OPS = (pinv, lstsq)
