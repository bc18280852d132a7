"""Tridiagonal systems: three numbers a row, forwards and backwards."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.linalg.matrices import Wide
from purebp.op import Op, between, conditioned
from purebp.residuals import Spec, spec_of


def tridiagonal_solve_definition(
    dl: Wide[Array, "*batch n"],
    d: Wide[Array, "*batch n"],
    du: Wide[Array, "*batch n"],
    b: Wide[Array, "*batch n k"],
) -> Wide[Array, "*batch n k"]:
    """x with A x = b, where A has d on its diagonal, dl below it and du above it.

    Maths: A_ii = d_i, A_i,i-1 = dl_i, A_i,i+1 = du_i; dl_0 and du_n-1 are outside of A. b_bar is
        A^-T x_bar, tridiagonal too, with the bands of A changing places. A_bar = -b_bar x^T, read
        in the three bands alone: d_bar_i = -b_bar_i x_i, dl_bar_i = -b_bar_i x_i-1, du_bar_i =
        -b_bar_i x_i+1, each summed over the columns; 0 for dl_0 and du_n-1.
    Shapes: dl, d, du (*batch, n); b, x (*batch, n, k).
    Residuals: the bands and x: no n x n matrix is built.
    Kinks: none; a singular matrix gives NaN.
    Raises: ShapeError if the shapes do not fit, DtypeError for 16 bits and integers.
    Source: Giles 2008, "An extended collection of matrix derivative results", section 2.3.1.

    Example:
        >>> dl = jnp.array([-0.5, 0.1, 0.8, 0.3])
        >>> d = jnp.array([2.25, 3.5, 5.0, 2.8])
        >>> du = jnp.array([-0.2, 0.4, -0.5, 0.1])
        >>> b = jnp.array([[-0.2, 0.6], [-1.0, 1.0], [-0.5, 2.0], [0.5, -1.5]])
        >>> y, res = tridiagonal_solve.fwd(dl, d, du, b)
        >>> [jnp.shape(bar) for bar in tridiagonal_solve.bwd(res, y)]
        [(4,), (4,), (4,), (4, 2)]
    """
    return jnp.linalg.solve(_dense(dl, d, du), b)


def _dense(dl: Array, d: Array, du: Array) -> Array:
    """The matrix with these bands."""
    size = d.shape[-1]
    bands = ((dl, -1), (d, 0), (du, 1))
    return sum(
        (band[..., :, None] * jnp.eye(size, k=offset, dtype=band.dtype) for band, offset in bands),
        start=jnp.zeros((size, size), d.dtype),
    )


class TridiagonalResiduals(NamedTuple):
    dl: Array
    d: Array
    du: Array
    x: Array
    b: Spec


def tridiagonal_solve_fwd(
    dl: Array, d: Array, du: Array, b: Array
) -> tuple[Array, TridiagonalResiduals]:
    x = banded_solve(dl, d, du, b)
    return x, TridiagonalResiduals(dl, d, du, x, spec_of(b))


def banded_solve(dl: Array, d: Array, du: Array, b: Array) -> Array:
    """A^-1 b in the widest dtype of the four."""
    dtype = jnp.result_type(dl, d, du, b)
    if b.size == 0:
        return b.astype(dtype)
    return lax.linalg.tridiagonal_solve(*(v.astype(dtype) for v in (dl, d, du, b)))


def tridiagonal_solve_bwd(
    res: TridiagonalResiduals, x_bar: Array
) -> tuple[Array, Array, Array, Array]:
    dl, d, du, x, b = res
    b_bar = banded_solve(shifted(du, 1, -1), d, shifted(dl, -1, -1), x_bar)
    neighbours = (shifted(x, 1, -2), x, shifted(x, -1, -2))
    bars = (-jnp.sum(b_bar * each, axis=-1) for each in neighbours)
    dl_bar, d_bar, du_bar = (
        bar.astype(band.dtype) for bar, band in zip(bars, (dl, d, du), strict=True)
    )
    return dl_bar, d_bar, du_bar, b_bar.astype(b.dtype)


def shifted(x: Array, places: int, axis: int) -> Array:
    """x moved along an axis, to higher places (1) or lower ones (-1), with 0 in the free place."""
    ends = [(0, 0, 0)] * x.ndim
    ends[axis] = (places, -places, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), ends)


tridiagonal_solve = Op(
    tridiagonal_solve_fwd,
    tridiagonal_solve_bwd,
    definition=tridiagonal_solve_definition,
    domains={"dl": between(-1, 1), "d": between(2), "du": between(-1, 1)},
    sizes={"batch": ((), (2,), (), ()), "n": (4, 3, 4, 4), "k": (2, 1, 2, 2)},
    tolerance=conditioned("A^-1 magnifies rounding by the condition of the matrix", pooled=True),
)

OPS = (tridiagonal_solve,)
