"""Products of Householder reflections, all at once: I - V T V^T with a small triangle T."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.errors import ShapeError
from purebp.linalg.matrices import Wide, eye_like, product, transposed, triangle_solve
from purebp.op import Op, conditioned


def householder_product_definition(
    a: Wide[Array, "*batch m n"], taus: Wide[Array, "*batch k"]
) -> Wide[Array, "*batch m n"]:
    """q = the first n columns of H_1 H_2 ... H_k, with H_i = 1 - tau_i v_i v_i^T.

    v_i is column i of a from its diagonal on, with a 1 on the diagonal: what QR leaves behind.

    Maths: H_1 ... H_k = 1 - V T V^T with T = M^-1 D, M = 1 + D S, D = diag(tau) and S the part of
        V^T V above the diagonal. With W = V^T E, E the first n columns of the identity, and
        G = q_bar: T_bar = -V^T G W^T, P = M^-T T_bar, M_bar = -P T^T, S_bar = the part of
        D M_bar above the diagonal; tau_bar = diag(P + M_bar S^T) and
        V_bar = -G W^T T^T - E (G^T V T) + V (S_bar + S_bar^T). a_bar is V_bar below the diagonal.
    Shapes: a, q (*batch, m, n); taus (*batch, k); k <= n <= m.
    Residuals: a and taus; T is as small as k x k and built again. (JAX has no gradient of it.)
    Kinks: none. The taus need not make the H_i orthogonal, and may be 0.
    Raises: ShapeError unless k <= n <= m, DtypeError for 16 bits and integers.
    Source: Schreiber and Van Loan 1989, "A storage-efficient WY representation for products of
        Householder transformations", with T^-1 replaced by what exists where a tau is 0.

    Example:
        >>> a, taus = jax.random.normal(jax.random.key(0), (4, 3)), jnp.array([0.5, -1.5, 0.3])
        >>> y, res = householder_product.fwd(a, taus)
        >>> for bar in householder_product.bwd(res, y): print(bar)
        [[ 0.         0.         0.       ]
         [10.633219   0.         0.       ]
         [-0.2363219  9.969076   0.       ]
         [ 9.649889  17.39265   -9.501169 ]]
        [  4.619843 -20.21141   55.039883]
    """
    v = reflectors(a, taus.shape[-1])
    q = _first_columns(a, jnp.result_type(a, taus))
    for i in reversed(range(taus.shape[-1])):
        column = v[..., :, i, None]
        q = q - taus[..., i, None, None] * column * jnp.sum(column * q, axis=-2, keepdims=True)
    return q


def reflectors(a: Array, count: int) -> Array:
    """V: the columns of a below the diagonal, 1 on it, 0 above."""
    v = jnp.tril(a[..., :count], -1)
    return v + jnp.eye(a.shape[-2], count, dtype=a.dtype)


def _first_columns(a: Array, dtype: jnp.dtype) -> Array:
    return jnp.broadcast_to(jnp.eye(*a.shape[-2:], dtype=dtype), a.shape)


class Triangle(NamedTuple):
    """V, S, M and T of the product."""

    v: Array
    s: Array
    m: Array
    t: Array


def triangle_of(a: Array, taus: Array) -> Triangle:
    """The parts of 1 - V T V^T."""
    dtype = jnp.result_type(a, taus)
    v, tau = reflectors(a.astype(dtype), taus.shape[-1]), taus.astype(dtype)
    s = jnp.triu(product(transposed(v), v), 1)
    one = eye_like(s)
    m = one + tau[..., :, None] * s
    d = tau[..., :, None] * one
    t = triangle_solve(m, d, lower=False, unit_diagonal=True) if taus.size else d
    return Triangle(v, s, m, t)


class HouseholderResiduals(NamedTuple):
    a: Array
    taus: Array


def householder_product_fwd(a: Array, taus: Array) -> tuple[Array, HouseholderResiduals]:
    v, _, _, t = triangle_of(a, taus)
    w = transposed(v[..., : a.shape[-1], :])
    return _first_columns(a, v.dtype) - product(v, product(t, w)), HouseholderResiduals(a, taus)


def householder_product_bwd(res: HouseholderResiduals, q_bar: Array) -> tuple[Array, Array]:
    a, taus = res
    if taus.size == 0:
        return jnp.zeros_like(a), jnp.zeros_like(taus)
    n, count = a.shape[-1], taus.shape[-1]
    v, s, m, t = triangle_of(a, taus)
    v_g = product(transposed(v), q_bar)
    g_w = product(q_bar, v[..., :n, :])
    p = triangle_solve(
        m,
        -product(transposed(v), g_w),
        lower=False,
        transpose=True,
        unit_diagonal=True,
    )
    m_bar = -product(p, transposed(t))
    s_bar = jnp.triu(taus.astype(v.dtype)[..., :, None] * m_bar, 1)
    taus_bar = jnp.diagonal(p, axis1=-2, axis2=-1) + jnp.sum(m_bar * s, axis=-1)
    v_bar = product(v, s_bar + transposed(s_bar)) - product(g_w, transposed(t))
    v_bar = v_bar.at[..., :n, :].add(-product(transposed(v_g), t))
    a_bar = lax.pad(
        jnp.tril(v_bar, -1),
        jnp.zeros((), v.dtype),
        [*[(0, 0, 0)] * (a.ndim - 1), (0, n - count, 0)],
    )
    return a_bar.astype(a.dtype), taus_bar.astype(taus.dtype)


def check_reflections(a: Array, taus: Array) -> None:
    """Raise unless there are enough rows and columns."""
    m, n = a.shape[-2:]
    if not taus.shape[-1] <= n <= m:
        raise ShapeError(
            f"householder_product: a has shape {a.shape} and taus {taus.shape}, expected at least "
            "as many rows as columns, and as many columns as taus"
        )


householder_product = Op(
    householder_product_fwd,
    householder_product_bwd,
    definition=householder_product_definition,
    check=check_reflections,
    sizes={"batch": ((), (2,), (), ()), "m": (4, 3, 4, 4), "n": (3, 3, 3, 3), "k": (3, 2, 3, 3)},
    tolerance=conditioned("1 - tau v v^T cancels where it reflects", pooled=True),
)

OPS = (householder_product,)
