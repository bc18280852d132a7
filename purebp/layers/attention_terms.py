"""What is added to the scores of attention, hidden from it and dropped: cut out block by block."""

import math
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from purebp.compat import explicit_sharding
from purebp.gate import unbroadcast
from purebp.layers.attention_blocks import Pair, Plan, make_plan
from purebp.numerics import widen
from purebp.residuals import spec_of

Key = PRNGKeyArray | None


class Terms(NamedTuple):
    """The optional arguments, bias and mask with whole blocks: (*batch, h, rows, columns)."""

    lengths: Array | None
    mask: Array | None
    bias: Array | None
    slopes: Array | None
    key: Key


def make_terms(
    plan: Plan,
    lengths: Array | None,
    mask: Array | None,
    bias: Array | None,
    slopes: Array | None,
    key: Key,
) -> Terms:
    """Fill up the axes of mask and bias to whole blocks, but for those that broadcast."""
    padded = None if bias is None else _whole(plan, widen(bias))
    shown = None if mask is None else _whole(plan, mask)
    return Terms(lengths, shown, padded, None if slopes is None else widen(slopes), key)


def _whole(plan: Plan, x: Array) -> Array:
    more = [
        0 if size == 1 else count * block - size
        for size, count, block in zip(x.shape[-2:], plan.counts, plan.blocks, strict=True)
    ]
    edges = [(0, 0)] * (x.ndim - 2) + [(0, extra) for extra in more]
    return jnp.pad(x, edges) if any(more) else x


def add_terms(plan: Plan, terms: Terms, s: Array, pair: Pair) -> Array:
    """The scores (*batch, g, h/g rows, columns) with bias and slopes; -inf where not seen."""
    apart = apart_heads(plan, s)
    if terms.bias is not None:
        apart = apart + _block(plan, terms.bias, pair)
    if terms.slopes is not None:
        apart = apart - terms.slopes.reshape(plan.heads, -1, 1, 1) * distances(plan, pair, s)
    seen = plan.sees(pair)
    if terms.lengths is not None:
        _, columns = plan.places(pair)
        seen = seen & (columns < terms.lengths[..., None, None, None, None])
    if terms.mask is not None:
        seen = seen & _block(plan, terms.mask, pair)
    return jnp.where(seen, apart, -jnp.inf).reshape(s.shape)


def apart_heads(plan: Plan, s: Array) -> Array:
    """(*batch, g, h/g rows, columns) as (*batch, g, h/g, rows, columns)."""
    return s.reshape(*s.shape[:-2], s.shape[-2] // plan.blocks[0], *plan.blocks)


def distances(plan: Plan, pair: Pair, s: Array) -> Array:
    """How far each key is from each query."""
    rows, columns = plan.places(pair)
    return jnp.abs(rows - columns).astype(s.dtype)


def _starts(plan: Plan, x: Array, pair: Pair) -> tuple[list[Array | int], list[int]]:
    """Where the block of a pair begins in x, and how large it is."""
    starts, sizes = cast(list[Array | int], [0] * (x.ndim - 2)), list(x.shape[:-2])
    for axis in range(2):
        broadcast = x.shape[axis - 2] == 1
        starts.append(0 if broadcast else pair[axis] * plan.blocks[axis])
        sizes.append(1 if broadcast else plan.blocks[axis])
    return starts, sizes


def _block(plan: Plan, x: Array, pair: Pair) -> Array:
    """The block of bias or mask, (*batch, g, h/g, rows, columns), any of which may be 1."""
    starts, sizes = _starts(plan, x, pair)
    cut = lax.dynamic_slice(x, [jnp.asarray(start, jnp.int32) for start in starts], sizes)
    heads = (1, 1) if x.shape[-3] == 1 else (plan.heads, x.shape[-3] // plan.heads)
    return cut.reshape(*x.shape[:-3], *heads, *sizes[-2:])


def add_to_bias_bar(plan: Plan, bias_bar: Array, s_bar: Array, pair: Pair) -> Array:
    """Add the cotangent of one pair's scores to that of the bias."""
    starts, sizes = _starts(plan, bias_bar, pair)
    places = [jnp.asarray(start, jnp.int32) for start in starts]
    old = _block(plan, bias_bar, pair)
    new = old + cast(Array, unbroadcast(apart_heads(plan, s_bar), spec_of(old)))
    return lax.dynamic_update_slice(bias_bar, new.reshape(sizes), places)


def slopes_bar_of(plan: Plan, s_bar: Array, pair: Pair) -> Array:
    """The cotangent of the slopes, (g, h/g), of one pair's scores."""
    pulled = -apart_heads(plan, s_bar) * distances(plan, pair, s_bar)
    return jnp.sum(pulled, axis=(*range(pulled.ndim - 4), -2, -1))


def sink_of_rows(plan: Plan, sinks: Array, rows: int) -> Array:
    """The sink of each row of a block: (g, h/g rows, 1)."""
    each = jnp.broadcast_to(widen(sinks)[:, None], (sinks.shape[0], plan.blocks[0]))
    return each.reshape(plan.heads, rows, 1)


def sinks_bar_of(plan: Plan, rows_bar: Array) -> Array:
    """Sum what each row gives its sink, (n, *batch, g, h/g rows, 1), to (h,)."""
    apart = rows_bar[..., 0].reshape(*rows_bar.shape[:-2], -1, plan.blocks[0])
    return jnp.sum(apart, axis=(*range(apart.ndim - 3), -1)).reshape(-1)


def kept(plan: Plan, key: Key, rate: float, s: Array, pair: Pair) -> Array:
    """1 for the probabilities of one pair that dropout keeps, 0 for the others."""
    place = pair[0] * plan.counts[1] + pair[1]
    share = jnp.float32(1 - rate)
    drawn = jax.random.bernoulli(
        jax.random.fold_in(cast(Array, key), place),
        share,
        s.shape,
        out_sharding=explicit_sharding(s),
    )
    return drawn.astype(s.dtype)


def kept_everywhere(q: Array, k: Array, key: Key, rate: float, block: int | None) -> Array:
    """What `kept` draws for all pairs of blocks, (*batch, h, t, s)."""
    plan = make_plan(q, k, causal=False, window=None, softcap=None, block=block)
    *batch, t, h, _ = q.shape
    rank, (n, m), (rows, columns) = len(batch), plan.counts, plan.blocks
    like = jnp.zeros((*batch, plan.heads, h // plan.heads * rows, columns), widen(q).dtype)

    def draw(pair: Pair) -> Array:
        return kept(plan, key, rate, like, pair)

    drawn = lax.map(draw, jnp.asarray(plan.pairs))
    drawn = drawn.reshape(n, m, *batch, h, rows, columns)
    order = (*range(2, rank + 3), 0, rank + 3, 1, rank + 4)
    whole = drawn.transpose(order).reshape(*batch, h, n * rows, m * columns)
    return whole[..., :t, : k.shape[-3]]


def alibi_slopes(heads: int) -> Float[np.ndarray, "heads"]:
    """The slopes of ALiBi: 2^(-8/n), 2^(-16/n), ..., 2^-8 for a power of two n.

    For other numbers those of the power of two below, and every other one of the next.

    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    below = 2 ** math.floor(math.log2(heads))
    slopes = [2.0 ** (-8 * i / below) for i in range(1, below + 1)]
    slopes += [2.0 ** (-4 * i / below) for i in range(1, 2 * below, 2)]
    return np.array(slopes[:heads], np.float32)
