"""The Cholesky factor: a symmetric positive definite matrix as L L^T."""

import jax.numpy as jnp
from jaxtyping import Array

from purebp.gate import Gate
from purebp.linalg.matrices import (
    Wide,
    adjoint,
    halved_triangle,
    product,
    symmetrized,
    triangle_solve,
)
from purebp.op import SPD, conditioned


def cholesky_definition(a: Wide[Array, "*batch n n"]) -> Wide[Array, "*batch n n"]:
    """The lower triangular L with L L^T = a and a positive diagonal.

    Maths: L L^T = (a + a^T) / 2. With da = dL L^T + L dL^T the matrix L^-1 dL is the lower
        triangle, its diagonal halved, of L^-1 da L^-T; so with S = halved triangle of L^T L_bar
        a_bar = L^-T (S + S^T)/2 L^-1.
    Shapes: a, L, a_bar (*batch, n, n); a_bar is symmetric.
    Residuals: L.
    Kinks: none; all is NaN for a matrix that is not positive definite.
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Murray 2016, "Differentiation of the Cholesky decomposition"; derived by hand.

    Example:
        >>> y, res = cholesky.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*cholesky.bwd(res, y))
        [[0.49999994 0.        ]
         [0.         0.5       ]]
    """
    return jnp.linalg.cholesky(a)


def cholesky_a_bar(y_bar: Array, y: Array) -> Array:
    share = symmetrized(halved_triangle(product(adjoint(y), y_bar)))
    right = triangle_solve(y, share, left=False)
    return symmetrized(triangle_solve(y, right, transpose=True, conjugate=True))


cholesky = Gate(
    cholesky_definition,
    cholesky_a_bar,
    domains={"a": SPD},
    sizes={"batch": ((), (2,), (), ()), "n": (3, 2, 3, 3)},
    tolerance=conditioned("L^-1 magnifies rounding by the condition of the matrix", pooled=True),
    primitive="cholesky",
)

OPS = (cholesky,)
