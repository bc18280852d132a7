"""What the ops on matrices share: their dtypes, transposes, products, triangles, solves.

A matrix is the last two axes of an array; the axes before are a batch of matrices.
"""

from typing import TYPE_CHECKING, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import AbstractDtype, Array

from purebp.numerics import full_product

if TYPE_CHECKING:
    from typing import Annotated as Wide  # type: ignore[reportUnusedImport]  # exported
else:

    class Wide(AbstractDtype):
        """float32 or float64: there are no factorisations in 16 bits."""

        dtypes = ("float32", "float64")


def transposed(a: Array) -> Array:
    """The last two axes swapped."""
    return jnp.swapaxes(a, -1, -2)


def adjoint(a: Array) -> Array:
    """The last two axes swapped, and conjugated: what a transpose is to real matrices."""
    return jnp.conj(transposed(a))


def product(a: Array, *others: Array) -> Array:
    """a b c ..., from the left."""
    for b in others:
        a = full_product(a, b)
    return a


def symmetrized(a: Array) -> Array:
    """(a + a^H) / 2."""
    return (a + adjoint(a)) / 2


def turning(a: Array) -> Array:
    """a - a^H beside the diagonal: how vectors turn. The phase of each vector is left alone."""
    return jnp.where(jnp.eye(a.shape[-1], dtype=bool), 0, a - adjoint(a))


def eye_like(a: Array) -> Array:
    """The identity, with as many columns as a, for each matrix of the batch."""
    return jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=a.dtype), (*a.shape[:-1], a.shape[-1]))


def halved_triangle(a: Array) -> Array:
    """The lower triangle of a with half of its diagonal: a symmetric change, seen from below."""
    half = jnp.tril(jnp.ones(a.shape[-2:], a.dtype)) - jnp.eye(a.shape[-1], dtype=a.dtype) / 2
    return a * half


def triangle_solve(
    t: Array,
    b: Array,
    *,
    lower: bool = True,
    transpose: bool = False,
    conjugate: bool = False,
    unit_diagonal: bool = False,
    left: bool = True,
) -> Array:
    """op(t)^-1 b, or b op(t)^-1 from the right, for one triangle of t."""
    return lax.linalg.triangular_solve(
        t,
        b,
        left_side=left,
        lower=lower,
        transpose_a=transpose,
        conjugate_a=conjugate,
        unit_diagonal=unit_diagonal,
    )


class Factors(NamedTuple):
    """P a = L U: both triangles in one matrix, and the rows of a in the order of P a."""

    lu: Array
    permutation: Array


def factors_of(a: Array) -> Factors:
    """LU with partial pivoting."""
    return signed_factors_of(a)[0]


def signed_factors_of(a: Array) -> tuple[Factors, Array]:
    """The factors, and the sign of the permutation: -1 to the number of rows swapped."""
    lu, pivots, permutation = lax.linalg.lu(a)
    swapped = pivots != jnp.arange(pivots.shape[-1], dtype=pivots.dtype)
    sign = 1 - 2 * (jnp.sum(swapped, axis=-1) % 2)
    return Factors(lu, permutation), sign.astype(a.dtype)


def solve_with(factors: Factors, b: Array) -> Array:
    """a^-1 b = U^-1 L^-1 P b."""
    lu, permutation = factors
    rows = jnp.take_along_axis(b, permutation[..., None], axis=-2)
    below = triangle_solve(lu, rows, unit_diagonal=True)
    return triangle_solve(lu, below, lower=False)


def solve_transposed_with(factors: Factors, b: Array) -> Array:
    """a^-T b = P^T L^-T U^-T b."""
    lu, permutation = factors
    above = triangle_solve(lu, b, lower=False, transpose=True)
    rows = triangle_solve(lu, above, transpose=True, unit_diagonal=True)
    back = jnp.argsort(permutation, axis=-1)
    return jnp.take_along_axis(rows, back[..., None], axis=-2)


def signs_of_columns(v: Array) -> Array:
    """1 or -1 for each column, as a row: times it, the largest entry of a column is positive."""
    if v.size == 0:
        return jnp.ones((*v.shape[:-2], 1, v.shape[-1]), v.dtype)
    place = jnp.argmax(jnp.abs(v), axis=-2, keepdims=True)
    return jnp.where(jnp.take_along_axis(v, place, axis=-2) < 0, -1, 1).astype(v.dtype)


def over_gaps(x: Array, values: Array) -> Array:
    """x_ij / (values_j - values_i): where these are equal 0 for 0, and NaN for the rest."""
    gaps = values[..., None, :] - values[..., :, None]
    tied = gaps == 0
    return jnp.where(tied, jnp.where(x == 0, 0, jnp.nan), x / jnp.where(tied, 1, gaps))


def on_diagonal(x: Array, rows: int, columns: int, offset: int) -> Array:
    """The matrix with x on the diagonal that is `offset` places to the right of the main one."""
    above = min(max(-offset, 0), rows)
    below = rows - above - x.shape[-1]
    by_row = jnp.pad(x, [*[(0, 0)] * (x.ndim - 1), (above, below)])
    mask = jnp.eye(rows, columns, k=offset, dtype=bool)
    return jnp.where(mask, by_row[..., None], 0)
