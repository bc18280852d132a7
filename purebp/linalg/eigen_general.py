"""Eigenvalues and eigenvectors of matrices that need not be symmetric; both are complex.

From a V = V diag(w), with P = V^-1 da V:

    dw_k = P_kk,  dV = U + V diag(c),  U = V (F * P),  F_ij = 1 / (w_j - w_i) beside the diagonal

c keeps what fixes an eigenvector, its length 1 and its largest entry real: with m that entry's row,
c_k = -Re(v_k^H u_k) - i Im(u_mk) / v_mk.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Complex

from purebp.compat import eig_with_derivatives
from purebp.linalg.matrices import Wide, product, transposed
from purebp.op import SIMPLE, Op, conditioned
from purebp.residuals import Static


class GeneralEigen(NamedTuple):
    """Residuals: the eigenvalues, the eigenvectors in columns; whether the matrix is complex."""

    w: Array
    v: Array
    of_complex: Static


def eig_definition(
    a: Wide[Array, "*batch n n"] | Complex[Array, "*batch n n"],
) -> tuple[Complex[Array, "*batch n"], Complex[Array, "*batch n n"]]:
    """Eigenvalues w of a, and eigenvectors v in columns; a need not be symmetric.

    Maths: a v = v diag(w). With s_k = sum_i v_bar_ik v_ik and m the row of the largest entry,
        U_bar_ik = v_bar_ik - Re(s_k) conj(v_ik) - i [i = m] Im(s_k) / v_mk,
        a_bar = V^-T (diag(w_bar) + F * (V^T U_bar)) V^T, F_ij = 1 / (w_j - w_i) beside the
        diagonal; the real part of it where a is real.
    Shapes: a, v (*batch, n, n), w (*batch, n). w and v are complex.
    Residuals: w and v.
    Kinks: w is in the order of the real parts, then of the imaginary ones; an eigenvector has
        length 1 and a largest entry that is real and positive, on every device. Where two
        eigenvalues are equal, or two entries are the largest, v is no function of a: a_bar is
        infinite or NaN, or one of two.
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Giles 2008, "An extended collection of matrix derivative results", section 3.1; the
        term that keeps length and phase by hand.

    Example:
        >>> y, res = eig.fwd(jnp.array([[1.2, -0.2, -0.9], [0.6, 1.3, -0.4], [0.3, 0.3, 1.7]]))
        >>> print(*eig.bwd(res, y))
        [[ 1.3244362   1.0238463   0.45078015]
         [ 0.25633907  1.0325116  -0.29069856]
         [-1.4422345  -0.9723908   1.8430501 ]]
    """
    w, v = _in_order(*eig_with_derivatives(a))
    v = v / jnp.sqrt(jnp.sum(jnp.real(v) ** 2 + jnp.imag(v) ** 2, axis=-2, keepdims=True))
    return w, v * _turns(v)


def _in_order(w: Array, v: Array) -> tuple[Array, Array]:
    order = jnp.argsort(w, axis=-1)
    return jnp.take_along_axis(w, order, -1), jnp.take_along_axis(v, order[..., None, :], -1)


def _largest(v: Array) -> Array:
    """Where the largest entry of each column is: ones and zeros."""
    rows = jnp.argmax(jnp.abs(v), axis=-2, keepdims=True)
    return (lax.broadcasted_iota(rows.dtype, v.shape, v.ndim - 2) == rows).astype(v.dtype)


def _turns(v: Array) -> Array:
    """The factor of each column that makes its largest entry positive."""
    top = jnp.sum(v * _largest(v), axis=-2, keepdims=True)
    return jnp.conj(top) / jnp.abs(top)


def eig_fwd(a: Array) -> tuple[tuple[Array, Array], GeneralEigen]:
    w, v = _in_order(*eig_with_derivatives(a))
    v = v * _turns(v)
    return (w, v), GeneralEigen(w, v, Static(jnp.iscomplexobj(a)))


def eig_bwd(res: GeneralEigen, y_bar: tuple[Array, Array]) -> tuple[Array]:
    (w, v, of_complex), (w_bar, v_bar) = res, y_bar
    along = jnp.sum(v_bar * v, axis=-2, keepdims=True)
    places = _largest(v)
    top = jnp.sum(v * places, axis=-2, keepdims=True).real
    u_bar = v_bar - along.real * jnp.conj(v) - 1j * places * (along.imag / top)
    same = jnp.eye(w.shape[-1], dtype=bool)
    gaps = jnp.where(same, 1, w[..., None, :] - w[..., None])
    inner = jnp.where(same, w_bar[..., None], product(transposed(v), u_bar) / gaps)
    a_bar = jnp.linalg.solve(transposed(v), product(inner, transposed(v)))
    return (a_bar if of_complex.value else a_bar.real,)


eig = Op(
    eig_fwd,
    eig_bwd,
    definition=eig_definition,
    domains={"a": SIMPLE},
    sizes={"batch": ((),), "n": (3,)},
    kinks="the largest entry of an eigenvector is positive",
    tolerance=conditioned(
        "eigenvectors turn by da over the gap of the eigenvalues", pooled=True, whole=True
    ),
)

OPS = (eig,)
