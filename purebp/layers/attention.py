"""Dot-product attention by blocks of queries and keys: no array of all scores is ever built."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from purebp.gates import tanh
from purebp.layers.attention_blocks import (
    Pair,
    Plan,
    Window,
    in_blocks,
    make_plan,
    out_of_blocks,
    over_pairs,
    score_scale,
    sees,
    turned,
)
from purebp.layers.attention_check import check_dot_product_attention, example
from purebp.layers.attention_terms import (
    Key,
    Terms,
    add_terms,
    add_to_bias_bar,
    kept,
    kept_everywhere,
    make_terms,
    sink_of_rows,
    sinks_bar_of,
    slopes_bar_of,
)
from purebp.numerics import widen, zeros_of
from purebp.op import KEY, Op, conditioned
from purebp.residuals import Spec, spec_of


def dot_product_attention_definition(
    q: Float[Array, "*batch t h d"],
    k: Float[Array, "*batch s g d"],
    v: Float[Array, "*batch s g d"],
    lengths: Integer[Array, "*batch"] | None = None,
    mask: Bool[Array, "*#batch #h #t #s"] | None = None,
    bias: Float[Array, "*#batch #h #t #s"] | None = None,
    sinks: Float[Array, "h"] | None = None,
    slopes: Float[Array, "h"] | None = None,
    key: PRNGKeyArray | None = None,
    *,
    causal: bool = False,
    window: Window = None,
    softcap: float | None = None,
    scale: float | None = None,
    rate: float = 0.0,
    block: int | None = None,
) -> Float[Array, "*batch t h d"]:
    """y_i = sum_j p_ij v_j, p_i = softmax over the keys j that query i sees of scale <q_i, k_j>.

    Maths: S = scale Q K^T, P = softmax(S), Y = P V, for each head. Backward, with the row sums
        D_i = sum_j p_ij <y_bar_i, v_j> = <y_bar_i, y_i>: V_bar = P^T Y_bar,
        S_bar = P (Y_bar V^T - D), Q_bar = scale S_bar K, K_bar = scale S_bar^T Q. A softcap c puts
        c tanh(S/c) in the place of S, and S_bar gets its slope.
        Then a bias is added: bias_bar = S_bar, summed where it broadcasts; and -slope |i - j|
        (ALiBi; see alibi_slopes): slope_bar = -sum S_bar |i - j|. A sink adds e^sink to the
        denominator of its head: sink_bar = -sum_i e^sink D_i / denominator_i. Dropout with mask M
        puts P M in the place of P before V, and V / (1 - rate) in that of V:
        S_bar = P (M (Y_bar V^T) - D), and D is <y_bar_i, y_i> still.
    Shapes: q, y (*batch, t, h, d); k, v (*batch, s, g, d), as in jax.nn; h/g query heads share a
        key head. lengths (*batch): only the first so many keys of an example are seen. mask, bias
        (*batch, h, t, s), any axis of which may be 1: a key is seen where the mask is True. sinks,
        slopes (h). key: one PRNG key, needed if rate > 0. causal: query i sees the keys j <= i.
        window: i - left <= j <= i + right, one number for both. scale is 1/sqrt(d) by default.
    Residuals: q, k, v, y, mask, bias, and of each row the largest score and 1 / the softmax's
        denominator; not P nor the mask of dropout: their blocks are computed and drawn again, so
        that memory is linear in t and s but for mask and bias. Not the logarithm of the
        denominator, whose rounding would grow with the scores.
    Kinks: none. A query that sees no key has y = 0 and no gradient; a bias of -inf hides a key.
    Raises: ShapeError if h is not a multiple of g, or others do not fit; OptionError for a
        window below 0, a block below 1, a softcap that is not above 0, a rate that is not from 0
        to below 1; ArgumentError for a rate without a key. The draws depend on the blocks.
    Source: Vaswani et al. 2017, equation 1; Dao et al. 2022, "FlashAttention", appendix B; Press
        et al. 2021, "Train short, test long"; Xiao et al. 2023, "StreamingLLM"; derived by hand.

    Example:
        >>> q, k, v = (jax.random.normal(jax.random.key(i), (2, 4, 1, 3)) for i in range(3))
        >>> y, res = dot_product_attention.fwd(q, k, v, causal=True)
        >>> [bar if bar is None else bar.shape for bar in dot_product_attention.bwd(res, y)]
        [(2, 4, 1, 3), (2, 4, 1, 3), (2, 4, 1, 3), None, None, None, None, None, None]
    """
    heads, shared, dtype = q.shape[-2], k.shape[-2], jnp.result_type(q, k, v)
    wide, scale = widen(q), score_scale(scale, q.shape[-1])
    drop = kept_everywhere(q, k, key, rate, block) / (1 - rate) if rate else 1
    k, v = (jnp.repeat(widen(each), heads // max(shared, 1), axis=-2) for each in (k, v))
    scores = jnp.einsum("...thd,...shd->...hts", wide, k) * scale
    if softcap is not None:
        scores = softcap * tanh.definition(scores / softcap)
    rows, columns = jnp.arange(q.shape[-3])[:, None], jnp.arange(k.shape[-3])
    seen = sees(rows, columns, causal, window)
    if bias is not None:
        scores, seen = scores + widen(bias), seen & (bias != -jnp.inf)
    if slopes is not None:
        scores = scores - widen(slopes)[:, None, None] * jnp.abs(rows - columns)
    if lengths is not None:
        seen = seen & (columns < lengths[..., None, None, None])
    seen = jnp.broadcast_to(seen if mask is None else seen & mask, scores.shape)
    shown = jnp.where(seen, scores, -jnp.inf)
    most = lax.stop_gradient(jnp.max(shown, axis=-1, keepdims=True, initial=-jnp.inf))
    if sinks is not None:
        sinks = widen(sinks)[:, None, None]
        most = jnp.maximum(most, lax.stop_gradient(sinks))
    # Above all scores: a term of exactly 1 would hide how autodiff rounds where one key is all
    shift = jnp.where(most == -jnp.inf, 0, most + 0.3)
    gaps = jnp.where(seen, scores - jnp.where(seen, shift, 0), 0)
    terms = jnp.where(seen, jnp.exp(gaps), 0)
    total = jnp.sum(terms, axis=-1, keepdims=True)
    if sinks is not None:
        total = total + jnp.exp(sinks - shift)
    p = terms / jnp.where(total == 0, 1, total) * drop
    return jnp.einsum("...hts,...shd->...thd", p, v).astype(dtype)


class AttentionResiduals(NamedTuple):
    q: Float[Array, "*batch t h d"]
    k: Float[Array, "*batch s g d"]
    v: Float[Array, "*batch s g d"]
    y: Float[Array, "*batch t h d"]
    most: Float[Array, "n *batch g rows 1"]
    share: Float[Array, "n *batch g rows 1"]
    lengths: Integer[Array, "*batch"] | None
    mask: Bool[Array, "*#batch #h #t #s"] | None
    bias: Float[Array, "*#batch #h #t #s"] | None
    sinks: Float[Array, "h"] | None
    slopes: Float[Array, "h"] | None
    key: PRNGKeyArray | None


def dot_product_attention_fwd(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array | None = None,
    mask: Array | None = None,
    bias: Array | None = None,
    sinks: Array | None = None,
    slopes: Array | None = None,
    key: Key = None,
    *,
    causal: bool = False,
    window: Window = None,
    softcap: float | None = None,
    scale: float | None = None,
    rate: float = 0.0,
    block: int | None = None,
) -> tuple[Array, AttentionResiduals]:
    plan = make_plan(q, k, causal=causal, window=window, softcap=softcap, block=block)
    terms = make_terms(plan, lengths, mask, bias, slopes, key)
    queries = in_blocks(q, plan.blocks[0], plan.heads) * score_scale(scale, q.shape[-1])
    keys, values = (in_blocks(x, plan.blocks[1], plan.heads) for x in (k, v))
    keys, values = turned(keys), values / (1 - rate)

    def step(carry: tuple[Array, ...], pair: Pair) -> tuple[tuple[Array, ...], None]:
        y, most, total = carry
        i, j = pair
        s = add_terms(plan, terms, plan.scores(queries, keys, pair)[0], pair)
        old = most[i]
        new = jnp.maximum(old, jnp.max(s, axis=-1, keepdims=True))
        p, shrink = jnp.exp(s - _finite(new)), jnp.exp(old - _finite(new))
        total = total.at[i].set(total[i] * shrink + jnp.sum(p, axis=-1, keepdims=True))
        if rate:
            p = p * kept(plan, key, rate, p, pair)
        y = y.at[i].set(y[i] * shrink + jnp.matmul(p, values[j]))
        return (y, most.at[i].set(new), total), None

    zeros = zeros_of(queries)
    start = zeros, zeros[..., :1] - jnp.inf, zeros[..., :1]
    y, most, total = over_pairs(step, start, plan)
    if sinks is not None:
        sink, old = sink_of_rows(plan, sinks, most.shape[-2]), most
        most = jnp.maximum(old, sink)
        shrink = jnp.exp(old - _finite(most))
        y, total = y * shrink, total * shrink + jnp.exp(sink - _finite(most))
    share = 1 / jnp.where(total == 0, 1, total)
    y = out_of_blocks(y * share, q.shape, plan.blocks[0], plan.heads)
    y = y.astype(jnp.result_type(q, k, v))
    most = jnp.where(total == 0, 0, most)
    extras = lengths, mask, bias, sinks, slopes, key
    return y, AttentionResiduals(q, k, v, y, most, share, *extras)


def _finite(most: Array) -> Array:
    """The largest score, 0 where nothing is seen."""
    return jnp.where(most == -jnp.inf, 0, most)


def dot_product_attention_bwd(
    res: AttentionResiduals,
    y_bar: Array,
    *,
    causal: bool = False,
    window: Window = None,
    softcap: float | None = None,
    scale: float | None = None,
    rate: float = 0.0,
    block: int | None = None,
) -> tuple[Array | None, ...]:
    q, k, v, y, most, share, lengths, mask, bias, sinks, slopes, key = res
    plan = make_plan(q, k, causal=causal, window=window, softcap=softcap, block=block)
    terms = make_terms(plan, lengths, mask, bias, slopes, key)
    factor = score_scale(scale, q.shape[-1])
    queries = in_blocks(q, plan.blocks[0], plan.heads) * factor
    keys, values = (in_blocks(x, plan.blocks[1], plan.heads) for x in (k, v))
    values = values / (1 - rate)
    outer = in_blocks(y_bar, plan.blocks[0], plan.heads) * share
    d = jnp.sum(outer * in_blocks(y, plan.blocks[0], plan.heads), axis=-1, keepdims=True)
    queries_turned, keys_turned = turned(queries), turned(keys)
    values_turned, outer_turned = turned(values), turned(outer)

    def step(carry: Any, pair: Pair) -> tuple[Any, None]:
        q_bar, k_bar_turned, v_bar_turned, more = carry
        i, j = pair
        s, slope = plan.scores(queries, keys_turned, pair)
        p = jnp.exp(add_terms(plan, terms, s, pair) - most[i])
        p_bar, weights = jnp.matmul(outer[i], values_turned[j]), p
        if rate:
            drop = kept(plan, key, rate, p, pair)
            p_bar, weights = p_bar * drop, p * drop
        shown_bar = p * (p_bar - d[i])
        s_bar = shown_bar * slope
        q_bar = q_bar.at[i].add(jnp.matmul(s_bar, keys[j]))
        k_bar_turned = k_bar_turned.at[j].add(jnp.matmul(queries_turned[i], s_bar))
        v_bar_turned = v_bar_turned.at[j].add(jnp.matmul(outer_turned[i], weights))
        more = _add_bars(plan, more, shown_bar, pair)
        return (q_bar, k_bar_turned, v_bar_turned, more), None

    zeros = zeros_of(queries), zeros_of(keys_turned), zeros_of(values_turned)
    start = *zeros, _zero_bars(plan, terms)
    q_bar, k_bar_turned, v_bar_turned, (bias_bar, slopes_bar) = over_pairs(step, start, plan)
    k_bar, v_bar = turned(k_bar_turned), turned(v_bar_turned) / (1 - rate)
    sinks_bar = None
    if sinks is not None:
        pulled = jnp.exp(sink_of_rows(plan, sinks, most.shape[-2]) - most) * d
        sinks_bar = -sinks_bar_of(plan, pulled).astype(sinks.dtype)
    return (
        out_of_blocks(q_bar * factor, q.shape, plan.blocks[0], plan.heads).astype(q.dtype),
        out_of_blocks(k_bar, k.shape, plan.blocks[1], plan.heads).astype(k.dtype),
        out_of_blocks(v_bar, v.shape, plan.blocks[1], plan.heads).astype(v.dtype),
        None,
        None,
        None if bias is None else _cut(bias_bar, spec_of(bias)),
        sinks_bar,
        None if slopes is None else slopes_bar.reshape(-1).astype(slopes.dtype),
        None,
    )


def _zero_bars(plan: Plan, terms: Terms) -> tuple[Array | None, Array | None]:
    bias_bar = None if terms.bias is None else zeros_of(terms.bias)
    if terms.slopes is None:
        return bias_bar, None
    return bias_bar, zeros_of(terms.slopes.reshape(plan.heads, -1))


def _add_bars(plan: Plan, bars: tuple[Any, Any], s_bar: Array, pair: Pair) -> tuple[Any, Any]:
    """Add what one pair of blocks gives to the cotangents of bias and slopes."""
    bias_bar, slopes_bar = bars
    if bias_bar is not None:
        bias_bar = add_to_bias_bar(plan, bias_bar, s_bar, pair)
    if slopes_bar is not None:
        slopes_bar = slopes_bar + slopes_bar_of(plan, s_bar, pair)
    return bias_bar, slopes_bar


def _cut(bias_bar: Array, spec: Spec) -> Array:
    """Without what fills up the blocks."""
    rows, columns = spec.shape[-2:]
    return bias_bar[..., :rows, :columns].astype(spec.dtype)


dot_product_attention = Op(
    dot_product_attention_fwd,
    dot_product_attention_bwd,
    definition=dot_product_attention_definition,
    options={
        "causal": (False, True),
        "block": (None, 2),
        "window": (None, (1, 0)),
        "rate": (0.0, 0.4),
        "softcap": (None, 2.0),
    },
    domains={"key": KEY},
    check=check_dot_product_attention,
    tolerance=conditioned(
        "e^(s - max) magnifies the rounding of s, and <y_bar, v_j> - D cancels", pooled=True
    ),
    example=example,
)

OPS = (dot_product_attention,)
