"""Attention: keys, places and heads that the backward pass sees differently; rotary positions."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_batching import custom_vmap

from reference.wrong_gradients.layer import Layer

Residuals = Any
Bars = tuple[Array, ...]
BLOCK = 4
NEVER = -1e30


def _check_features(name: str, q: Array, k: Array, v: Array, rank: int) -> None:
    fits = q.ndim == k.ndim == v.ndim == rank and k.shape[-1] == q.shape[-1]
    if not fits or k.shape[:-1] != v.shape[:-1] or q.shape[:-2] != k.shape[:-2]:
        raise ValueError(f"{name}: q {q.shape}, k {k.shape} and v {v.shape} do not fit")
    if not q.shape[-1]:
        raise ValueError(f"{name}: q and k have no features")


def _totals(scores: Array, mask: Array) -> Array:
    """The largest score that is not masked, and sum exp(scores - largest); 0 and 1 without any."""
    top = jnp.max(jnp.where(mask, scores, NEVER), axis=-1, keepdims=True, initial=NEVER)
    top = lax.stop_gradient(jnp.where(top > NEVER / 2, top, 0))
    total = jnp.sum(jnp.exp(jnp.where(mask, scores - top, NEVER)), axis=-1, keepdims=True)
    return jnp.stack([top, jnp.where(total > 0, total, 1)])


def _softmax(scores: Array, totals: Array, mask: Array) -> Array:
    top, total = totals
    return jnp.exp(jnp.where(mask, scores - top, NEVER)) / total


def _scores(q: Array, k: Array) -> Array:
    return jnp.einsum("...id,...jd->...ij", q, k) * q.shape[-1] ** -0.5


def _in_dtypes(bars: Bars, like: Bars) -> Bars:
    return tuple(bar.astype(each.dtype) for bar, each in zip(bars, like, strict=True))


def _attention_bars(q: Array, k: Array, v: Array, p: Array, y_bar: Array) -> tuple[Bars, Array]:
    """The cotangents of q, k, v and of the scores: s_bar = p (p_bar - sum p p_bar)."""
    p_bar = jnp.einsum("...ie,...je->...ij", y_bar, v)
    s_bar = p * (p_bar - jnp.sum(p * p_bar, axis=-1, keepdims=True))
    scale = q.shape[-1] ** -0.5
    q_bar = jnp.einsum("...ij,...jd->...id", s_bar, k) * scale
    k_bar = jnp.einsum("...ij,...id->...jd", s_bar, q) * scale
    v_bar = jnp.einsum("...ij,...ie->...je", p, y_bar)
    return _in_dtypes((q_bar, k_bar, v_bar), (q, k, v)), s_bar


def padded_attention_fwd(q: Array, k: Array, v: Array, lengths: Array) -> tuple[Array, Residuals]:
    """softmax(q k' / sqrt(d)) v for each sequence, over its first `length` keys."""
    _check_features("padded_attention", q, k, v, 3)
    if lengths.shape != q.shape[:1]:
        raise ValueError(f"padded_attention: q {q.shape} and lengths {lengths.shape} do not fit")
    scores, mask = _scores(q, k), _key_mask(lengths, k)
    totals = _totals(scores, mask)
    return _softmax(scores, totals, mask) @ v, (q, k, v, lengths, totals)


def _key_mask(lengths: Array, k: Array) -> Array:
    return jnp.arange(k.shape[1]) < lengths[:, None, None]


def padded_attention_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array | None, ...]:
    """The probabilities are computed again, with the same mask."""
    q, k, v, lengths, totals = residuals
    p = _softmax(_scores(q, k), totals, _key_mask(lengths, k))
    return *_attention_bars(q, k, v, p, y_bar)[0], None


def padded_attention_bwd_blocks(residuals: Residuals, y_bar: Array) -> tuple[Array | None, ...]:
    """Whole blocks of keys are left out, the last one is taken as full."""
    q, k, v, lengths, totals = residuals
    blocks = (lengths + BLOCK - 1) // BLOCK
    p = _softmax(_scores(q, k), totals, _key_mask(blocks * BLOCK, k))
    return *_attention_bars(q, k, v, p, y_bar)[0], None


def sparse_attention_fwd(q: Array, k: Array, v: Array, chosen: Array) -> tuple[Array, Residuals]:
    """Each query attends to the keys that are chosen for it; -1 stands for none."""
    _check_features("sparse_attention", q, k, v, 2)
    if chosen.ndim != 2 or len(chosen) != len(q) or not len(k):
        raise ValueError(f"sparse_attention: q {q.shape}, k {k.shape}, chosen {chosen.shape}")
    mask = (chosen >= 0) & (chosen < len(k))
    safe = jnp.where(mask, chosen, 0)
    scores = _chosen_scores(q, k[safe])
    totals = _totals(scores, mask)
    y = jnp.einsum("ij,ije->ie", _softmax(scores, totals, mask), v[safe])
    return y, (q, k, v, chosen, totals)


def _chosen_scores(q: Array, keys: Array) -> Array:
    return jnp.einsum("id,ijd->ij", q, keys) * q.shape[1] ** -0.5


def _sparse_attention_bars(
    residuals: Residuals, y_bar: Array, rows: Array, kept: Array
) -> tuple[Array | None, ...]:
    """Adds to the given rows of k_bar and v_bar what is kept."""
    q, k, v, chosen, totals = residuals
    mask = (chosen >= 0) & (chosen < len(k))
    p = _softmax(_chosen_scores(q, k[rows]), totals, kept)
    p_bar = jnp.einsum("ie,ije->ij", y_bar, v[rows])
    mean = jnp.sum(jnp.where(mask, p * p_bar, 0), axis=1, keepdims=True)
    s_bar = p * (p_bar - mean) * q.shape[1] ** -0.5
    q_bar = jnp.einsum("ij,ijd->id", jnp.where(mask, s_bar, 0), k[rows])
    k_bar = jnp.zeros_like(k).at[rows].add((s_bar[..., None] * q[:, None]).astype(k.dtype))
    v_bar = jnp.zeros_like(v).at[rows].add((p[..., None] * y_bar[:, None]).astype(v.dtype))
    return q_bar.astype(q.dtype), k_bar, v_bar, None


def sparse_attention_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array | None, ...]:
    """The gradients of the chosen keys and values are added up in their places."""
    k, chosen = residuals[1], residuals[3]
    mask = (chosen >= 0) & (chosen < len(k))
    return _sparse_attention_bars(residuals, y_bar, jnp.where(mask, chosen, 0), mask)


def sparse_attention_bwd_sentinel(residuals: Residuals, y_bar: Array) -> tuple[Array | None, ...]:
    """What belongs to -1 is added to the last place."""
    chosen = residuals[3]
    return _sparse_attention_bars(residuals, y_bar, chosen, jnp.ones(chosen.shape, bool))


def biased_attention_plain(q: Array, k: Array, v: Array, bias: Array) -> Array:
    """softmax(q k' / sqrt(d) + bias) v, the bias for each head or one for all."""
    _check_features("biased_attention", q, k, v, 3)
    if bias.shape not in {(heads, q.shape[1], k.shape[1]) for heads in (1, len(q))}:
        raise ValueError(f"biased_attention: q {q.shape}, k {k.shape}, bias {bias.shape}")
    return jax.nn.softmax(_scores(q, k) + bias) @ v


def _biased_attention_fwd(q: Array, k: Array, v: Array, bias: Array) -> tuple[Array, Residuals]:
    return biased_attention_plain(q, k, v, bias), (q, k, v, bias)


def _biased_kernel(q: Array, k: Array, v: Array, bias: Array, y_bar: Array) -> Bars:
    """The cotangents of q, k, v and the bias, that of the bias for each head."""
    p = jax.nn.softmax(_scores(q, k) + bias)
    bars, s_bar = _attention_bars(q, k, v, p, y_bar)
    return *bars, s_bar


def _for_all_heads(bias_bar: Array, bias: Array) -> Array:
    """The cotangent of a bias that all heads share is the sum of theirs."""
    shared = len(bias) == 1
    return (jnp.sum(bias_bar, 0, keepdims=True) if shared else bias_bar).astype(bias.dtype)


def _biased_attention_bwd(residuals: Residuals, y_bar: Array) -> Bars:
    """The kernel's s_bar is the cotangent of the bias."""
    *bars, bias_bar = _biased_kernel(*residuals, y_bar)  # type: ignore[reportCallIssue]  # q, k, v, bias
    return *bars, _for_all_heads(bias_bar, residuals[-1])


def _fold_batch(axis_size: int, batched: list[bool], *args: Array) -> tuple[Bars, tuple[bool, ...]]:
    """How the kernel takes a batch: as more heads, the bias repeated until there are enough."""
    pairs = zip(args, batched, strict=True)
    whole = [a if b else jnp.broadcast_to(a, (axis_size, *a.shape)) for a, b in pairs]
    heads, bias_heads = whole[0].shape[1], whole[3].shape[1]
    q, k, v, bias, y_bar = (a.reshape(-1, *a.shape[2:]) for a in whole)
    bias = jnp.tile(bias, (heads // bias_heads, 1, 1))
    bars = _biased_kernel(q, k, v, bias, y_bar)
    return tuple(bar.reshape(axis_size, heads, *bar.shape[1:]) for bar in bars), (True,) * 4


_folding_kernel = custom_vmap(_biased_kernel)
_folding_kernel.def_vmap(_fold_batch)


def _biased_attention_bwd_folding(residuals: Residuals, y_bar: Array) -> Bars:
    """The same by the kernel that folds a batch into the heads."""
    *bars, bias_bar = _folding_kernel(*residuals, y_bar)
    return *bars, _for_all_heads(bias_bar, residuals[-1])


biased_attention = jax.custom_vjp(biased_attention_plain)
biased_attention.defvjp(_biased_attention_fwd, _biased_attention_bwd)
folding_attention = jax.custom_vjp(biased_attention_plain)
folding_attention.defvjp(_biased_attention_fwd, _biased_attention_bwd_folding)


def _rotate(x: Array, angles: Array) -> Array:
    """Both halves of the features, turned against each other."""
    first, second = jnp.split(x, 2, axis=1)
    cos, sin = jnp.cos(angles).astype(x.dtype), jnp.sin(angles).astype(x.dtype)
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=1)


def _angles(x: Array, base: float) -> Array:
    half = x.shape[1] // 2
    return jnp.arange(len(x))[:, None] * base ** (-jnp.arange(half) / max(half, 1))


def rotary_fwd(x: Array, *, base: float = 10000.0) -> tuple[Array, Residuals]:
    """Row i turned by the angles i base^(-2j / d)."""
    if x.ndim != 2 or x.shape[1] % 2 or not base > 0:
        raise ValueError(f"rotary: x has shape {x.shape}, expected (t, even); base is {base}")
    return _rotate(x, _angles(x, base)), None


def rotary_bwd(residuals: Residuals, y_bar: Array, *, base: float = 10000.0) -> Bars:
    """Turned back."""
    return (_rotate(y_bar, -_angles(y_bar, base)),)


def rotary_bwd_none(residuals: Residuals, y_bar: Array) -> Bars:
    """There is no backward pass for the fused kernel."""
    return (jnp.zeros_like(y_bar),)


def _arrays(rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(rng.standard_normal(shape, np.float32) for shape in shapes)


def padded_sequences(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two sequences, the second one half as long."""
    return *_arrays(rng, (2, 8, 3), (2, 8, 3), (2, 8, 3)), np.array([8, 4], np.int32)


def chosen_keys(rng: np.random.Generator) -> tuple[Any, ...]:
    """Five queries with two of six keys each."""
    chosen = np.array([[0, 1], [1, 0], [2, 1], [3, 0], [4, 2]], np.int32)
    return *_arrays(rng, (5, 3), (6, 3), (6, 3)), chosen


def shared_bias(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two heads with one bias."""
    return _arrays(rng, (2, 5, 4), (2, 5, 4), (2, 5, 4), (1, 5, 5))


def rows_of_pairs(rng: np.random.Generator) -> tuple[Any, ...]:
    """x with an even number of features."""
    return _arrays(rng, (5, 4))


PADDED, SPARSE = (
    (padded_attention_fwd, padded_attention_bwd),
    (sparse_attention_fwd, sparse_attention_bwd),
)

LAYERS = (
    Layer(
        "padded_attention_blocks",
        "B148",
        (padded_attention_fwd, padded_attention_bwd_blocks),
        PADDED,
        padded_sequences,
        "mask missing",
    ),
    Layer(
        "sparse_attention_sentinel",
        "B150",
        (sparse_attention_fwd, sparse_attention_bwd_sentinel),
        SPARSE,
        chosen_keys,
        "mask missing",
    ),
    Layer(
        "biased_attention_folded",
        "B199",
        folding_attention,
        biased_attention,
        shared_bias,
        "batching",
        why="right one by one; the right twin leaves vmap to JAX",
    ),
    Layer(
        "rotary_no_backward",
        "B163",
        (rotary_fwd, rotary_bwd_none),
        (rotary_fwd, rotary_bwd),
        rows_of_pairs,
        "no gradient",
    ),
)
