"""Linear systems: triangular and general ones, and the inverse."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from purebp.gate import Gate
from purebp.linalg.matrices import (
    Factors,
    Wide,
    eye_like,
    factors_of,
    product,
    solve_transposed_with,
    solve_with,
    transposed,
    triangle_solve,
)
from purebp.op import FULL_RANK, SPD, Op, conditioned
from purebp.residuals import Spec, spec_of

MAGNIFIES = conditioned("a^-1 magnifies rounding by the condition of the matrix", pooled=True)
SIZES = {"batch": ((), (2,), (), ()), "n": (3, 2, 3, 3), "k": (2, 1, 2, 2)}


def triangular_solve_definition(
    a: Wide[Array, "*batch n n"],
    b: Wide[Array, "*batch n k"],
    *,
    lower: bool = True,
    transpose: bool = False,
    unit_diagonal: bool = False,
) -> Wide[Array, "*batch n k"]:
    """x with T x = b, or T^T x = b, where T is the lower (or upper) triangle of a.

    Maths: b_bar = T^-T x_bar, a_bar = -b_bar x^T in the entries of the triangle; with `transpose`
        b_bar = T^-1 x_bar, a_bar = -x b_bar^T. With `unit_diagonal` the diagonal of T is 1,
        whatever a holds there, and a_bar is 0 there, as in the other triangle.
    Shapes: a (*batch, n, n); b, x (*batch, n, k).
    Residuals: a and x.
    Kinks: none; a 0 in the diagonal gives infinities.
    Raises: ShapeError if a is not square or b does not fit, DtypeError for 16 bits and integers.
    Source: Giles 2008, "An extended collection of matrix derivative results", section 2.2.3.

    Example:
        >>> a = jnp.array([[1.2, -0.1, 0.1], [-0.1, 1.2, -0.3], [0.1, -0.3, 0.9]])
        >>> b = jnp.array([[0.5, -1.5], [0.3, -2.0], [1.5, 0.8]])
        >>> y, res = triangular_solve.fwd(a, b)
        >>> for bar in triangular_solve.bwd(res, y): print(bar)
        [[-1.5970615   0.          0.        ]
         [-1.9900975  -2.6012192   0.        ]
         [-0.18647122  0.31817988 -3.481761  ]]
        [[ 0.24787806 -1.1950232 ]
         [ 0.7137346  -1.3541665 ]
         [ 1.9058645   0.48611116]]
    """
    t = jnp.tril(a) if lower else jnp.triu(a)
    if unit_diagonal:
        one = jnp.eye(a.shape[-1], dtype=a.dtype)
        t = t * (1 - one) + one
    return jnp.linalg.solve(transposed(t) if transpose else t, b)


class TriangularResiduals(NamedTuple):
    a: Array
    x: Array
    b: Spec


def triangular_solve_fwd(
    a: Array,
    b: Array,
    *,
    lower: bool = True,
    transpose: bool = False,
    unit_diagonal: bool = False,
) -> tuple[Array, TriangularResiduals]:
    dtype = jnp.result_type(a, b)
    x = triangle_solve(
        a.astype(dtype),
        b.astype(dtype),
        lower=lower,
        transpose=transpose,
        unit_diagonal=unit_diagonal,
    )
    return x, TriangularResiduals(a, x, spec_of(b))


def triangular_solve_bwd(
    res: TriangularResiduals,
    x_bar: Array,
    *,
    lower: bool,
    transpose: bool,
    unit_diagonal: bool,
) -> tuple[Array, Array]:
    a, x, b = res
    b_bar = triangle_solve(
        a.astype(x.dtype),
        x_bar,
        lower=lower,
        transpose=not transpose,
        unit_diagonal=unit_diagonal,
    )
    left, right = (x, b_bar) if transpose else (b_bar, x)
    full = -product(left, transposed(right))
    strict = int(unit_diagonal)
    a_bar = jnp.tril(full, -strict) if lower else jnp.triu(full, strict)
    return a_bar.astype(a.dtype), b_bar.astype(b.dtype)


triangular_solve = Op(
    triangular_solve_fwd,
    triangular_solve_bwd,
    definition=triangular_solve_definition,
    options={"lower": (True, False), "transpose": (False, True), "unit_diagonal": (False, True)},
    domains={"a": SPD},
    sizes=SIZES,
    tolerance=MAGNIFIES,
)


def solve_definition(
    a: Wide[Array, "*batch n n"], b: Wide[Array, "*batch n k"]
) -> Wide[Array, "*batch n k"]:
    """x with a x = b.

    Maths: x = a^-1 b; b_bar = a^-T x_bar, a_bar = -b_bar x^T, because a dx = db - da x.
    Shapes: a (*batch, n, n); b, x (*batch, n, k).
    Residuals: the LU factors of a, so that b_bar costs two triangular solves, and x.
    Kinks: none; a singular matrix gives infinities or NaN.
    Raises: ShapeError if a is not square or b does not fit, DtypeError for 16 bits and integers.
    Source: Giles 2008, "An extended collection of matrix derivative results", section 2.3.1.

    Example:
        >>> y, res = solve.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]), jnp.array([[1.0], [2.0]]))
        >>> for bar in solve.bwd(res, jnp.ones_like(y)): print(bar)
        [[-0.08       -0.24000001]
         [-0.04       -0.12      ]]
        [[0.4]
         [0.2]]
    """
    return jnp.linalg.solve(a, b)


class SolveResiduals(NamedTuple):
    factors: Factors
    x: Array
    a: Spec
    b: Spec


def solve_fwd(a: Array, b: Array) -> tuple[Array, SolveResiduals]:
    dtype = jnp.result_type(a, b)
    factors = factors_of(a.astype(dtype))
    x = solve_with(factors, b.astype(dtype))
    return x, SolveResiduals(factors, x, spec_of(a), spec_of(b))


def solve_bwd(res: SolveResiduals, x_bar: Array) -> tuple[Array, Array]:
    b_bar = solve_transposed_with(res.factors, x_bar)
    a_bar = -product(b_bar, transposed(res.x))
    return a_bar.astype(res.a.dtype), b_bar.astype(res.b.dtype)


solve = Op(
    solve_fwd,
    solve_bwd,
    definition=solve_definition,
    domains={"a": FULL_RANK},
    sizes=SIZES,
    tolerance=MAGNIFIES,
)


def inv_definition(a: Wide[Array, "*batch n n"]) -> Wide[Array, "*batch n n"]:
    """y = a^-1.

    Maths: a y = 1, so dy = -y da y and a_bar = -y^T y_bar y^T.
    Shapes: a, y (*batch, n, n).
    Residuals: y; two products, where a solve with each column is slower.
    Kinks: none; a singular matrix gives infinities or NaN.
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Giles 2008, "An extended collection of matrix derivative results", section 2.2.3.

    Example:
        >>> y, res = inv.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*inv.bwd(res, y))
        [[-0.28        0.16000001]
         [ 0.16000001 -0.12      ]]
    """
    return jnp.linalg.inv(a)


def inverse(a: Array) -> Array:
    """a^-1 by its LU factors."""
    return solve_with(factors_of(a), eye_like(a))


def inv_a_bar(y_bar: Array, y: Array) -> Array:
    return -product(transposed(y), y_bar, transposed(y))


inv = Gate(
    inv_definition,
    inv_a_bar,
    forward=inverse,
    domains={"a": FULL_RANK},
    sizes=SIZES,
    tolerance=MAGNIFIES,
)

OPS = (triangular_solve, solve, inv)
