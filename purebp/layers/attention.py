"""Dot-product attention by blocks of queries and keys: no array of all scores is ever built."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer

from purebp.errors import OptionError, ShapeError
from purebp.gates import tanh
from purebp.layers.attention_blocks import (
    Carry,
    Window,
    in_blocks,
    make_plan,
    out_of_blocks,
    over_pairs,
    score_scale,
    sees,
    zeros_of,
)
from purebp.numerics import widen
from purebp.op import Op, conditioned, index_below


def dot_product_attention_definition(
    q: Float[Array, "*batch t h d"],
    k: Float[Array, "*batch s g d"],
    v: Float[Array, "*batch s g d"],
    lengths: Integer[Array, "*batch"] | None = None,
    *,
    causal: bool = False,
    window: Window = None,
    softcap: float | None = None,
    scale: float | None = None,
    block: int | None = None,
) -> Float[Array, "*batch t h d"]:
    """y_i = sum_j p_ij v_j, p_i = softmax over the keys j that query i sees of scale <q_i, k_j>.

    Maths: S = scale Q K^T, P = softmax(S), Y = P V, for each head. Backward, with the row sums
        D_i = sum_j p_ij <y_bar_i, v_j> = <y_bar_i, y_i>: V_bar = P^T Y_bar,
        S_bar = P (Y_bar V^T - D), Q_bar = scale S_bar K, K_bar = scale S_bar^T Q. A softcap c puts
        c tanh(S/c) in the place of S, and S_bar gets its slope.
    Shapes: q, y (*batch, t, h, d); k, v (*batch, s, g, d), as in jax.nn; h/g query heads share a
        key head. lengths (*batch): only the first so many keys of an example are seen. causal:
        query i sees the keys j <= i. window: i - left <= j <= i + right, one number for both.
        scale is 1/sqrt(d) by default.
    Residuals: q, k, v, y, and of each row the largest score and 1 / the softmax's denominator; not
        P: its blocks are computed again, so that memory is linear in t and s. Not the logarithm of
        the denominator, whose rounding would grow with the scores.
    Kinks: none. A query that sees no key has y = 0 and no gradient.
    Raises: ShapeError if h is not a multiple of g, or lengths do not fit; OptionError for a
        window below 0, a block below 1, a softcap that is not above 0.
    Source: Vaswani et al. 2017, equation 1; Dao et al. 2022, "FlashAttention", appendix B.
    """
    heads, shared, dtype = q.shape[-2], k.shape[-2], jnp.result_type(q, k, v)
    wide, scale = widen(q), score_scale(scale, q.shape[-1])
    k, v = (jnp.repeat(widen(each), heads // max(shared, 1), axis=-2) for each in (k, v))
    scores = jnp.einsum("...thd,...shd->...hts", wide, k) * scale
    if softcap is not None:
        scores = softcap * tanh.definition(scores / softcap)
    rows, columns = jnp.arange(q.shape[-3])[:, None], jnp.arange(k.shape[-3])
    seen = sees(rows, columns, causal, window)
    if lengths is not None:
        seen = seen & (columns < lengths[..., None, None, None])
    seen = jnp.broadcast_to(seen, scores.shape)
    shown = jnp.where(seen, scores, -jnp.inf)
    most = lax.stop_gradient(jnp.max(shown, axis=-1, keepdims=True, initial=-jnp.inf))
    gaps = jnp.where(seen, scores - jnp.where(seen, most, 0), 0)
    terms = jnp.where(seen, jnp.exp(gaps), 0)
    total = jnp.sum(terms, axis=-1, keepdims=True)
    p = terms / jnp.where(total == 0, 1, total)
    return jnp.einsum("...hts,...shd->...thd", p, v).astype(dtype)


class AttentionResiduals(NamedTuple):
    q: Float[Array, "*batch t h d"]
    k: Float[Array, "*batch s g d"]
    v: Float[Array, "*batch s g d"]
    y: Float[Array, "*batch t h d"]
    most: Float[Array, "n *batch g rows 1"]
    share: Float[Array, "n *batch g rows 1"]
    lengths: Integer[Array, "*batch"] | None


def dot_product_attention_fwd(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array | None = None,
    *,
    causal: bool = False,
    window: Window = None,
    softcap: float | None = None,
    scale: float | None = None,
    block: int | None = None,
) -> tuple[Array, AttentionResiduals]:
    plan = make_plan(q, k, causal=causal, window=window, softcap=softcap, block=block)
    queries = in_blocks(q, plan.queries, plan.heads) * score_scale(scale, q.shape[-1])
    keys, values = (in_blocks(x, plan.keys, plan.heads) for x in (k, v))

    def step(carry: Carry, pair: Array) -> tuple[Carry, None]:
        y, most, total = carry
        i, j = pair
        s, _ = plan.scores(queries, keys, lengths, pair)
        old = most[i]
        new = jnp.maximum(old, jnp.max(s, axis=-1, keepdims=True))
        finite = jnp.where(new == -jnp.inf, 0, new)
        p, shrink = jnp.exp(s - finite), jnp.exp(old - finite)
        y = y.at[i].set(y[i] * shrink + jnp.matmul(p, values[j]))
        total = total.at[i].set(total[i] * shrink + jnp.sum(p, axis=-1, keepdims=True))
        return (y, most.at[i].set(new), total), None

    zeros = zeros_of(queries)
    start = zeros, zeros[..., :1] - jnp.inf, zeros[..., :1]
    y, most, total = over_pairs(step, start, plan)
    share = 1 / jnp.where(total == 0, 1, total)
    y = out_of_blocks(y * share, q.shape, plan.queries, plan.heads)
    y = y.astype(jnp.result_type(q, k, v))
    return y, AttentionResiduals(q, k, v, y, jnp.where(total == 0, 0, most), share, lengths)


def dot_product_attention_bwd(
    res: AttentionResiduals,
    y_bar: Array,
    *,
    causal: bool = False,
    window: Window = None,
    softcap: float | None = None,
    scale: float | None = None,
    block: int | None = None,
) -> tuple[Array, Array, Array, None]:
    q, k, v, y, most, share, lengths = res
    plan = make_plan(q, k, causal=causal, window=window, softcap=softcap, block=block)
    factor = score_scale(scale, q.shape[-1])
    queries = in_blocks(q, plan.queries, plan.heads) * factor
    keys, values = (in_blocks(x, plan.keys, plan.heads) for x in (k, v))
    outer = in_blocks(y_bar, plan.queries, plan.heads) * share
    d = jnp.sum(outer * in_blocks(y, plan.queries, plan.heads), axis=-1, keepdims=True)

    def step(carry: Carry, pair: Array) -> tuple[Carry, None]:
        q_bar, k_bar, v_bar = carry
        i, j = pair
        s, slope = plan.scores(queries, keys, lengths, pair)
        terms = jnp.exp(s - most[i])
        s_bar = terms * (jnp.matmul(outer[i], jnp.swapaxes(values[j], -1, -2)) - d[i]) * slope
        q_bar = q_bar.at[i].add(jnp.matmul(s_bar, keys[j]))
        k_bar = k_bar.at[j].add(jnp.matmul(jnp.swapaxes(s_bar, -1, -2), queries[i]))
        v_bar = v_bar.at[j].add(jnp.matmul(jnp.swapaxes(terms, -1, -2), outer[i]))
        return (q_bar, k_bar, v_bar), None

    start = zeros_of(queries), zeros_of(keys), zeros_of(values)
    q_bar, k_bar, v_bar = over_pairs(step, start, plan)
    return (
        out_of_blocks(q_bar * factor, q.shape, plan.queries, plan.heads).astype(q.dtype),
        out_of_blocks(k_bar, k.shape, plan.keys, plan.heads).astype(k.dtype),
        out_of_blocks(v_bar, v.shape, plan.keys, plan.heads).astype(v.dtype),
        None,
    )


def check_dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array | None,
    *,
    causal: bool,
    window: Window,
    softcap: float | None,
    scale: float | None,
    block: int | None,
) -> None:
    """Raise unless the heads fit, and the options make sense."""
    op, heads, shared = "dot_product_attention", q.shape[-2], k.shape[-2]
    if shared == 0 or heads % shared:
        raise ShapeError(
            f"{op}: q has {heads} heads and k has {shared}, expected a multiple of the heads of k"
        )
    sides = window if isinstance(window, tuple) else (0 if window is None else window,) * 2
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 0 for side in sides):
        raise OptionError(
            f"{op}: window is {window!r}, expected None, or how many keys back and ahead are seen: "
            "a number from 0 on, or a pair of them"
        )
    if softcap is not None and not softcap > 0:
        raise OptionError(f"{op}: softcap is {softcap}, expected None or a number above 0")
    if block is not None and (not isinstance(block, int) or block < 1):
        raise OptionError(f"{op}: block is {block!r}, expected None or a number of rows")


dot_product_attention = Op(
    dot_product_attention_fwd,
    dot_product_attention_bwd,
    definition=dot_product_attention_definition,
    options={
        "causal": (False, True),
        "window": (None, (1, 0)),
        "softcap": (None, 2.0),
        "block": (None, 2),
    },
    domains={"lengths": index_below("s")},
    sizes={
        "batch": ((2,), (), (1,), (1, 2)),
        "t": (3, 5, 1, 4),
        "h": (2, 4, 1, 3),
        "d": (2, 3, 4, 1),
        "s": (4, 3, 2, 5),
        "g": (1, 2, 1, 3),
    },
    check=check_dot_product_attention,
    tolerance=conditioned(
        "e^(s - max) magnifies the rounding of s, and <y_bar, v_j> - D cancels", pooled=True
    ),
)

OPS = (dot_product_attention,)
