"""Eigenvalues and eigenvectors of symmetric matrices.

From a v_k = lambda_k v_k and v_k^T v_k = 1: V^T dV is antisymmetric, with entries

    (V^T dV)_ij = (V^T da V)_ij / (lambda_j - lambda_i),  d lambda_k = (V^T da V)_kk

so that the eigenvectors get no share of the diagonal: their length cannot change.
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
    symmetrized,
    turning,
)
from purebp.op import SYMMETRIC, Op, conditioned

SIZES = {"batch": ((), (2,), (), ()), "n": (3, 2, 3, 3)}


class Eigen(NamedTuple):
    """Residuals: the eigenvalues and the eigenvectors in columns."""

    w: Array
    v: Array


def eigh_definition(
    a: Wide[Array, "*batch n n"],
) -> tuple[Wide[Array, "*batch n"], Wide[Array, "*batch n n"]]:
    """Eigenvalues w of (a + a^T)/2, from the smallest, and eigenvectors v in columns.

    Maths: a v = v diag(w); a_bar = V (diag(w_bar) + F * (X - X^T)/2) V^T with X = V^T v_bar and
        F_ij = 1 / (w_j - w_i) beside the diagonal.
    Shapes: a, v (*batch, n, n); w (*batch, n). a_bar is symmetric.
    Residuals: w and v.
    Kinks: an eigenvector has a sign; here its largest entry is positive, on every device. Where
        two eigenvalues are equal their vectors are not functions of a: a_bar is NaN, except where
        X is symmetric for the two, and then they add nothing. For f(a) see `hermitian_function`.
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Giles 2008, "An extended collection of matrix derivative results", section 3.1; the
        term of the unit norm, which is absent for vectors of any length, by hand.

    Example:
        >>> y, res = eigh.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*eigh.bwd(res, y))
        [[2.0000002 1.       ]
         [1.        3.0000002]]
    """
    w, v = jnp.linalg.eigh(a)
    return w, v * signs_of_columns(v)


def eigh_fwd(a: Array) -> tuple[tuple[Array, Array], Eigen]:
    w, v = jnp.linalg.eigh(a)
    v = v * signs_of_columns(v)
    return (w, v), Eigen(w, v)


def eigh_bwd(res: Eigen, y_bar: tuple[Array, Array]) -> tuple[Array]:
    (w, v), (w_bar, v_bar) = res, y_bar
    inner = over_gaps(turning(product(adjoint(v), v_bar)) / 2, w)
    inner = inner + w_bar[..., None] * jnp.eye(w.shape[-1], dtype=w.dtype)
    return (symmetrized(product(v, inner, adjoint(v))),)


eigh = Op(
    eigh_fwd,
    eigh_bwd,
    definition=eigh_definition,
    domains={"a": SYMMETRIC},
    sizes=SIZES,
    kinks="the largest entry of an eigenvector is positive",
    tolerance=conditioned("eigenvectors turn by da over the gap of the eigenvalues", pooled=True),
)


def eigvalsh_definition(a: Wide[Array, "*batch n n"]) -> Wide[Array, "*batch n"]:
    """Eigenvalues of (a + a^T)/2, from the smallest.

    Maths: a_bar = V diag(w_bar) V^T.
    Shapes: a (*batch, n, n), w (*batch, n). a_bar is symmetric.
    Residuals: the eigenvectors.
    Kinks: where k eigenvalues are equal, each is one of the k slopes; a_bar is right for every
        function that treats them alike, as a sum does.
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Magnus 1985, "On differentiating eigenvalues and eigenvectors".

    Example:
        >>> y, res = eigvalsh.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*eigvalsh.bwd(res, y))
        [[2.0000002 1.       ]
         [1.        3.0000002]]
    """
    return jnp.linalg.eigvalsh(a)


def eigvalsh_fwd(a: Array) -> tuple[Array, Array]:
    w, v = jnp.linalg.eigh(a)
    return w, v


def eigvalsh_bwd(v: Array, w_bar: Array) -> tuple[Array]:
    return (product(v * w_bar[..., None, :], adjoint(v)),)


eigvalsh = Op(
    eigvalsh_fwd,
    eigvalsh_bwd,
    definition=eigvalsh_definition,
    domains={"a": SYMMETRIC},
    sizes=SIZES,
    kinks="the order of equal eigenvalues",
    tolerance=conditioned("eigenvectors turn by da over the gap of the eigenvalues", pooled=True),
)

OPS = (eigh, eigvalsh)
