"""Gated linear attention: a state of outer products that decays, in pieces of time."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.layers.chunks import by_time, in_chunks, out_of_chunks, over_chunks
from purebp.numerics import widen, zeros_of
from purebp.op import Op, between, conditioned
from purebp.residuals import Spec, spec_of

Pair = tuple[Array, Array]


def gated_linear_attention_definition(
    q: Float[Array, "n t h d"],
    k: Float[Array, "n t h d"],
    v: Float[Array, "n t h e"],
    g: Float[Array, "n t h d"],
    state: Float[Array, "n h d e"] | None = None,
    *,
    block: int = 16,
) -> tuple[Float[Array, "n t h e"], Float[Array, "n h d e"]]:
    """(o, S_T): o_t = S_t^T q_t, S_t = diag(e^g_t) S_(t-1) + k_t v_t^T, for each head.

    Maths: within a piece that begins with the state S, b_t = g_1 + ... + g_t, and
        A_ts = sum_d q_t k_s e^(b_t - b_s) for s <= t: o_t = S^T (q_t e^b_t) + sum_s A_ts v_s; the
        next piece begins with diag(e^b_T) S + sum_s (k_s e^(b_T - b_s)) v_s^T. All exponents are
        at most 0 where g is. Backward, from the last piece to the first, with S_bar the cotangent
        of the state after it and A_bar_ts = <o_bar_t, v_s>:
        q_bar_t = e^b_t S o_bar_t + sum_s A_bar_ts k_s e^(b_t - b_s),
        k_bar_s = e^(b_T - b_s) S_bar v_s + sum_t A_bar_ts q_t e^(b_t - b_s),
        v_bar_s = S_bar^T (k_s e^(b_T - b_s)) + sum_t A_ts o_bar_t,
        S_bar before = diag(e^b_T) S_bar + sum_t (q_t e^b_t) o_bar_t^T.
        g_t decays what came before t and is read from t on: g_bar_t = sum A_bar_us q_u k_s
        e^(b_u - b_s) over s < t <= u, + sum_(u >= t) q_u e^b_u S o_bar_u + the sum over e of
        e^b_T S S_bar, + sum_(s < t) k_s e^(b_T - b_s) S_bar v_s, for each feature. Summed so, not
        as a difference of cumulative sums of q q_bar and k k_bar, which cancels.
    Shapes: q, k, g (n, t, h, d); v, o (n, t, h, e); state, S_T (n, h, d, e), None for zeros.
        Pieces of `block` steps, which change nothing but the cost.
    Residuals: the arguments, and the state at the start of each piece: t / block of them.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError for a block
        below 1. g is a logarithm, at most 0; above 0 the state grows.
    Source: Yang et al. 2023, "Gated linear attention transformers", section 4; derived by hand.

    Example:
        >>> q = jax.random.normal(jax.random.key(0), (2, 3, 1, 2))
        >>> k = jax.random.normal(jax.random.key(1), (2, 3, 1, 2))
        >>> v = jax.random.normal(jax.random.key(2), (2, 3, 1, 2))
        >>> g = jnp.full((2, 3, 1, 2), -1.5)
        >>> state = jnp.array([[[[1.0, -0.5], [2.0, 0.5]]], [[[-1.5, 0.3], [-2.0, 1.5]]]])
        >>> y, res = gated_linear_attention.fwd(q, k, v, g, state)
        >>> [jnp.shape(bar) for bar in gated_linear_attention.bwd(res, y)]
        [(2, 3, 1, 2), (2, 3, 1, 2), (2, 3, 1, 2), (2, 3, 1, 2), (2, 1, 2, 2)]
    """
    given = (q, k, v, g) if state is None else (q, k, v, g, state)
    dtype = jnp.result_type(*given)
    wide = jnp.promote_types(dtype, jnp.float32)
    q, k, v, g = (each.astype(wide) for each in (q, k, v, g))
    first = _zeros(k, v) if state is None else state.astype(wide)

    def step(s: Array, xs: tuple[Array, ...]) -> Pair:
        q, k, v, g = xs
        s = jnp.exp(g)[..., None] * s + k[..., None] * v[..., None, :]
        return s, jnp.sum(s * q[..., None], axis=-2)

    final, o = lax.scan(step, first, by_time(q, k, v, g))
    return jnp.moveaxis(o, 0, 1).astype(dtype), final.astype(dtype)


class GatedAttentionResiduals(NamedTuple):
    q: Float[Array, "n t h d"]
    k: Float[Array, "n t h d"]
    v: Float[Array, "n t h e"]
    g: Float[Array, "n t h d"]
    starts: Float[Array, "m n h d e"]
    state: Spec | None


def gated_linear_attention_fwd(
    q: Array, k: Array, v: Array, g: Array, state: Array | None = None, *, block: int = 16
) -> tuple[Pair, GatedAttentionResiduals]:
    first = _zeros(widen(k), widen(v)) if state is None else widen(state)

    def chunk(s: Array, xs: tuple[Array, ...]) -> tuple[Array, Pair]:
        q, k, v, g = xs
        b = jnp.cumsum(g, axis=0)
        scores = jnp.sum(q[:, None] * k * _decays(b), axis=-1)
        o = jnp.einsum("tnhd,nhde->tnhe", q * jnp.exp(b), s)
        o = o + jnp.einsum("tsnh,snhe->tnhe", scores, v)
        added = jnp.einsum("snhd,snhe->nhde", k * jnp.exp(b[-1:] - b), v)
        return jnp.exp(b[-1])[..., None] * s + added, (s, o)

    final, (starts, o) = over_chunks(chunk, first, in_chunks(block, q, k, v, g))
    given = (q, k, v, g) if state is None else (q, k, v, g, state)
    dtype = jnp.result_type(*given)
    o = out_of_chunks(o, q.shape[1]).astype(dtype)
    spec = None if state is None else spec_of(state)
    return (o, final.astype(dtype)), GatedAttentionResiduals(q, k, v, g, starts, spec)


def gated_linear_attention_bwd(
    res: GatedAttentionResiduals, y_bar: Pair, *, block: int = 16
) -> tuple[Array | None, ...]:
    q, k, v, g, starts, state = res

    def chunk(s_bar: Array, xs: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        s, q, k, v, g, o_bar = xs
        b = jnp.cumsum(g, axis=0)
        decays, since, left = _decays(b), jnp.exp(b), jnp.exp(b[-1:] - b)
        scores = jnp.sum(q[:, None] * k * decays, axis=-1)
        scores_bar = jnp.einsum("tnhe,snhe->tsnh", o_bar, v)
        own = jnp.eye(len(b), dtype=bool)[..., None, None]
        diagonal = jnp.sum(jnp.where(own, scores_bar, 0), axis=1)[..., None]
        pulled = jnp.where(own, 0, scores_bar)[..., None] * decays
        q_old = since * jnp.einsum("nhde,tnhe->tnhd", s, o_bar)
        k_out = left * jnp.einsum("nhde,snhe->snhd", s_bar, v)
        q_in, k_in = jnp.sum(pulled * k, axis=1), jnp.sum(pulled * q[:, None], axis=0)
        v_bar = jnp.einsum("nhde,snhd->snhe", s_bar, k * left)
        v_bar = v_bar + jnp.einsum("tsnh,tnhe->snhe", scores, o_bar)
        through = jnp.sum(jnp.exp(b[-1])[..., None] * s * s_bar, axis=-1)
        across = _across(pulled * k * q[:, None])
        g_bar = (
            across + lax.cumsum(q * q_old, axis=0, reverse=True) + through + _sum_before(k * k_out)
        )
        before = jnp.einsum("tnhd,tnhe->nhde", q * since, o_bar)
        q_bar, k_bar = q_old + q_in + diagonal * k, k_out + k_in + diagonal * q
        return jnp.exp(b[-1])[..., None] * s_bar + before, (q_bar, k_bar, v_bar, g_bar)

    each = (starts, *in_chunks(block, q, k, v, g, y_bar[0]))
    first_bar, bars = over_chunks(chunk, widen(y_bar[1]), each, reverse=True)
    found = [
        out_of_chunks(bar, q.shape[1]).astype(x.dtype)
        for bar, x in zip(bars, (q, k, v, g), strict=True)
    ]
    return *found, None if state is None else first_bar.astype(state.dtype)


def _decays(b: Array) -> Array:
    """e^(b_t - b_s) for s <= t, else 0: (t, s, n, h, d)."""
    steps = np.arange(len(b))
    seen = (steps[:, None] >= steps)[..., None, None, None]
    return jnp.where(seen, jnp.exp(jnp.where(seen, b[:, None] - b, 0)), 0)


def _sum_before(x: Array, axis: int = 0) -> Array:
    """At each step the sum of those before it."""
    before = lax.slice_in_dim(x, 0, x.shape[axis] - 1, axis=axis)
    edges = [(int(i == axis), 0) for i in range(x.ndim)]
    return jnp.cumsum(jnp.pad(before, edges), axis=axis)


def _across(pairs: Array) -> Array:
    """At each step the sum over the pairs (t, s) with s before it and t not; no differences."""
    sums, steps = _sum_before(pairs, axis=1), np.arange(len(pairs))
    later = (steps[:, None] >= steps)[..., None, None, None]
    return jnp.sum(jnp.where(later, sums, 0), axis=0)


def _zeros(k: Array, v: Array) -> Array:
    """The first state, sharded and varying as the batch is."""
    return zeros_of(jnp.sum(k, axis=1)[..., None] * jnp.sum(v, axis=1)[..., None, :])


def check_gated_linear_attention(
    q: Array, k: Array, v: Array, g: Array, state: Array | None, *, block: int
) -> None:
    """Raise for a block below 1."""
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise OptionError(f"gated_linear_attention: block is {block!r}, expected a number of steps")


gated_linear_attention = Op(
    gated_linear_attention_fwd,
    gated_linear_attention_bwd,
    definition=gated_linear_attention_definition,
    options={"block": (16, 2)},
    domains={"g": between(-2.0, 0.0)},
    sizes={"n": (2, 1), "t": (3, 5), "h": (1, 2), "d": (2, 3), "e": (2, 1)},
    check=check_gated_linear_attention,
    tolerance=conditioned("every step passes the rounding of the state on", pooled=True),
)

OPS = (gated_linear_attention,)
