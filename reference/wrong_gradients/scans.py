"""Sums along a sequence with decay, and along a ray: a mask, a head, a threshold gone wrong."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from reference.wrong_gradients.layer import Layer

Residuals = Any
CHUNK = 4
NEVER = -1e30
FAINT = 1 / 255


def _lower(size: int) -> Array:
    """j <= i, as rows i and columns j."""
    return jnp.arange(size)[:, None] >= jnp.arange(size)


def _differences(total: Array) -> Array:
    """total_i - total_j."""
    return total[..., :, None] - total[..., None, :]


def _step_bar(pairs_bar: Array) -> Array:
    """The cotangent of the steps whose sum from j + 1 to i is the exponent of the pair (i, j).

    step_bar_k is the sum over i >= k > j.
    """
    from_k = jnp.flip(jnp.cumsum(jnp.flip(pairs_bar, axis=-2), axis=-2), axis=-2)
    before = ~_lower(pairs_bar.shape[-1]).T
    return jnp.sum(jnp.where(before, from_k, 0), axis=-1)


def _in_chunks(x: Array) -> Array:
    """The sequence in chunks, the last one filled up with zeros."""
    chunks = -(-len(x) // CHUNK)
    padding = ((0, chunks * CHUNK - len(x)), *((0, 0),) * (x.ndim - 1))
    return jnp.pad(x, padding).reshape(chunks, CHUNK, *x.shape[1:])


def _in_line(chunks: Array, like: Array) -> Array:
    """The chunks one after the other, without what fills up the last."""
    return chunks.reshape(len(chunks) * CHUNK, *like.shape[1:])[: len(like)]


def chunk_scan_fwd(x: Array, dt: Array) -> tuple[Array, Residuals]:
    """y_i = sum_j<=i exp(a_i - a_j) x_j within each chunk; a sums -softplus(dt) from its start."""
    if x.ndim != 2 or dt.shape != x.shape[:1]:
        raise ValueError(f"chunk_scan: x {x.shape} and dt {dt.shape} do not fit")
    inside = _in_chunks(jnp.ones(dt.shape, bool))
    total = jnp.cumsum(_in_chunks(-jax.nn.softplus(dt)), axis=1)
    total = jnp.where(inside, total, 0)
    decay = jnp.exp(jnp.where(_pairs(inside), _differences(total), NEVER))
    y = jnp.einsum("cij,cjd->cid", decay, _in_chunks(x))
    return _in_line(y, x), (x, dt, total, inside)


def _pairs(inside: Array) -> Array:
    """The pairs j <= i of a chunk that lie inside the sequence."""
    return _lower(CHUNK) & inside[:, :, None] & inside[:, None, :]


def _chunk_scan_bars(residuals: Residuals, y_bar: Array, decay: Array) -> tuple[Array, Array]:
    x, dt, _, _ = residuals
    rows = _in_chunks(y_bar)
    x_bar = jnp.einsum("cij,cid->cjd", decay, rows)
    pairs_bar = decay * jnp.einsum("cid,cjd->cij", rows, _in_chunks(x))
    dt_bar = -jax.nn.sigmoid(dt) * _in_line(_step_bar(pairs_bar), dt)
    return _in_line(x_bar, x).astype(x.dtype), dt_bar.astype(dt.dtype)


def chunk_scan_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array, Array]:
    """x_bar_j = sum_i>=j exp(a_i - a_j) y_bar_i; masked before the exponential."""
    _, _, total, inside = residuals
    decay = jnp.exp(jnp.where(_pairs(inside), _differences(total), NEVER))
    return _chunk_scan_bars(residuals, y_bar, decay)


def chunk_scan_bwd_leaky(residuals: Residuals, y_bar: Array) -> tuple[Array, Array]:
    """What fills up the chunk meets y_bar = 0 only after the exponential."""
    _, _, total, _ = residuals
    decay = jnp.exp(jnp.where(_lower(CHUNK), _differences(total), NEVER))
    return _chunk_scan_bars(residuals, y_bar, decay)


def decayed_attention_fwd(q: Array, k: Array, v: Array, gate: Array) -> tuple[Array, Residuals]:
    """y_i = sum_j<=i exp(a_i - a_j) (q_i . k_j) v_j for each head; a sums -softplus(gate)."""
    if q.ndim != 3 or k.shape != q.shape or v.ndim != 3:
        raise ValueError(f"decayed_attention: q {q.shape}, k {k.shape}, v {v.shape} do not fit")
    if v.shape[:2] != q.shape[:2] or gate.shape != q.shape[:2]:
        raise ValueError(f"decayed_attention: q {q.shape}, v {v.shape}, gate {gate.shape} differ")
    total = jnp.cumsum(-jax.nn.softplus(gate), axis=1)
    weights = jnp.einsum("hid,hjd->hij", q, k) * _decay(total)
    return jnp.einsum("hij,hje->hie", weights, v), (q, k, v, gate, total)


def _decay(total: Array) -> Array:
    return jnp.exp(jnp.where(_lower(total.shape[1]), _differences(total), NEVER))


def _decayed_attention_bars(
    residuals: Residuals, y_bar: Array, decay: Array
) -> tuple[Array, Array, Array, Array]:
    q, k, v, gate, _ = residuals
    scores = jnp.einsum("hid,hjd->hij", q, k)
    weights_bar = decay * jnp.einsum("hie,hje->hij", y_bar, v)
    q_bar = jnp.einsum("hij,hjd->hid", weights_bar, k)
    k_bar = jnp.einsum("hij,hid->hjd", weights_bar, q)
    v_bar = jnp.einsum("hij,hie->hje", scores * decay, y_bar)
    gate_bar = -jax.nn.sigmoid(gate) * _step_bar(weights_bar * scores)
    bars = zip((q_bar, k_bar, v_bar, gate_bar), (q, k, v, gate), strict=True)
    q_bar, k_bar, v_bar, gate_bar = (bar.astype(like.dtype) for bar, like in bars)
    return q_bar, k_bar, v_bar, gate_bar


def decayed_attention_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array, Array, Array, Array]:
    """With s = q k' and the decay D: s_bar = D (y_bar v'), v_bar = (s D)' y_bar."""
    return _decayed_attention_bars(residuals, y_bar, _decay(residuals[-1]))


def decayed_attention_bwd_one_gate(
    residuals: Residuals, y_bar: Array
) -> tuple[Array, Array, Array, Array]:
    """The decay of the first head for all."""
    return _decayed_attention_bars(residuals, y_bar, _decay(residuals[-1][:1]))


def composite_fwd(opacity: Array, colors: Array) -> tuple[Array, Residuals]:
    """The color of a ray: sum_i v_i c_i, v_i = alpha_i times what the ones before let through.

    alpha = sigmoid(opacity); what is seen of one is left out if v_i is not above 1 / 255.
    """
    if colors.ndim != 2 or opacity.shape != colors.shape[:1]:
        raise ValueError(f"composite: opacity {opacity.shape}, colors {colors.shape} do not fit")
    through = jnp.ones((), opacity.dtype)
    seen = list[Array]()
    for each in opacity:
        visible = jax.nn.sigmoid(each) * through
        through = jnp.where(visible > FAINT, through * jax.nn.sigmoid(-each), through)
        seen.append(visible)
    visible = jnp.stack(seen) if seen else jnp.zeros_like(opacity)
    return jnp.where(visible > FAINT, visible, 0) @ colors, (opacity, colors, visible)


def _composite_bars(residuals: Residuals, y_bar: Array, kept: Array) -> tuple[Array, Array]:
    opacity, colors, visible = residuals
    slopes, weights = colors @ y_bar, jnp.where(kept, visible, 0)
    behind = jnp.flip(jnp.cumsum(jnp.flip(weights * slopes)))
    behind = jnp.concatenate([behind[1:], jnp.zeros_like(behind[:1])])
    own = jax.nn.sigmoid(-opacity) * visible * slopes
    opacity_bar = jnp.where(kept, own - jax.nn.sigmoid(opacity) * behind, 0)
    colors_bar = weights[:, None] * y_bar
    return opacity_bar.astype(opacity.dtype), colors_bar.astype(colors.dtype)


def composite_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array, Array]:
    """With s = c . y_bar: opacity_bar_i = (1 - alpha_i) v_i s_i - alpha_i sum_j>i v_j s_j."""
    return _composite_bars(residuals, y_bar, residuals[2] > FAINT)


def composite_bwd_by_alpha(residuals: Residuals, y_bar: Array) -> tuple[Array, Array]:
    """Leaves out those with a small alpha."""
    return _composite_bars(residuals, y_bar, jax.nn.sigmoid(residuals[0]) > FAINT)


def sequence_and_steps(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two whole chunks, and their step sizes."""
    return rng.standard_normal((8, 3), np.float32), rng.standard_normal(8, np.float32)


def one_head(rng: np.random.Generator) -> tuple[Any, ...]:
    """q, k, v and the gate of a single head."""
    q, k, v = rng.standard_normal((3, 1, 5, 4)).astype(np.float32)
    return q, k, v, rng.standard_normal((1, 5), np.float32)


def ray(rng: np.random.Generator) -> tuple[Any, ...]:
    """The opacity and the color of what lies along a ray."""
    return rng.standard_normal(4, np.float32), rng.uniform(size=(4, 3)).astype(np.float32)


LAYERS = (
    Layer(
        "chunk_scan_leaky",
        "B146",
        (chunk_scan_fwd, chunk_scan_bwd_leaky),
        (chunk_scan_fwd, chunk_scan_bwd),
        sequence_and_steps,
        "not finite",
        why="the part within the chunks; needs a length that is no multiple and a strong decay",
    ),
    Layer(
        "decayed_attention_one_gate",
        "B157",
        (decayed_attention_fwd, decayed_attention_bwd_one_gate),
        (decayed_attention_fwd, decayed_attention_bwd),
        one_head,
        "size",
    ),
    Layer(
        "composite_by_alpha",
        "B175",
        (composite_fwd, composite_bwd_by_alpha),
        (composite_fwd, composite_bwd),
        ray,
        "mask missing",
        why="those that the forward pass left out; the jump at 1 / 255 itself has no derivative",
    ),
)
