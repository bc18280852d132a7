"""Layers of sequence models: embedding, positions, attention."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, float64


def embedding(tokens: ArrayLike, table: ArrayLike) -> Array:
    """y[..., :] = table[token], a row of nan for a token that is no row.

    Shapes: (*batch), (v, d) -> (*batch, d).
    """
    tokens, table = np.asarray(tokens), float64(table)
    y = np.full((*tokens.shape, table.shape[1]), np.nan)
    for index in np.ndindex(tokens.shape):
        if 0 <= tokens[index] < len(table):
            y[index] = table[int(tokens[index])]
    return y


def rotation_angle(position: int, pair: int, features: int, base: float) -> float:
    """The angle by which a pair of features turns: position / base^(2 pair / features)."""
    return position / base ** (2.0 * pair / features)


def pair_of(i: int, features: int, interleaved: bool) -> tuple[int, int]:
    """The two features of pair i: 2i and 2i + 1, or i and i + features / 2."""
    return (2 * i, 2 * i + 1) if interleaved else (i, i + features // 2)


def rope(
    x: ArrayLike,
    positions: ArrayLike | None = None,
    *,
    base: float = 10000.0,
    interleaved: bool = False,
) -> Array:
    """Each pair of features, as a point of the plane, turns about 0; None: positions 0, 1, ...

    Shapes: (*batch, t, h, d), (*batch, t) or None -> (*batch, t, h, d).
    """
    x = float64(x)
    places = np.arange(x.shape[-3]) if positions is None else np.asarray(positions)
    places = np.broadcast_to(places, x.shape[:-2])
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        for i in range(x.shape[-1] // 2):
            angle = rotation_angle(int(places[index[:-1]]), i, x.shape[-1], base)
            first, second = pair_of(i, x.shape[-1], interleaved)
            point = complex(x[(*index, first)], x[(*index, second)])
            turned = point * np.exp(1j * angle)
            y[(*index, first)], y[(*index, second)] = turned.real, turned.imag
    return y


def keys_of(
    i: int, count: int, length: int | None, causal: bool, window: int | tuple[int, int] | None
) -> list[int]:
    """The keys that query i sees, out of `count`."""
    seen = range(count if length is None else min(length, count))
    if causal:
        seen = [j for j in seen if j <= i]
    if window is not None:
        left, right = (window, window) if isinstance(window, int) else window
        seen = [j for j in seen if i - left <= j <= i + right]
    return list(seen)


def attention_row(
    query: Array, keys: Array, *, scale: float, softcap: float | None
) -> tuple[list[float], list[float]]:
    """For one query the scores of its keys (after the softcap), and their softmax."""
    scores = [scale * sum(a * b for a, b in zip(query, key, strict=True)) for key in keys]
    if softcap is not None:
        scores = [softcap * np.tanh(score / softcap) for score in scores]
    powers = [np.exp(score - max(scores)) for score in scores]
    return scores, [power / sum(powers) for power in powers]


def dot_product_attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    lengths: ArrayLike | None = None,
    *,
    causal: bool = False,
    window: int | tuple[int, int] | None = None,
    softcap: float | None = None,
    scale: float | None = None,
    block: int | None = None,
) -> Array:
    """For each query the mean of the values it sees, weighted by the softmax of its scores.

    `block` changes nothing: it is how purebp cuts the work.
    Shapes: (*batch, t, h, d), twice (*batch, s, g, d), (*batch) -> (*batch, t, h, d).
    """
    q, k, v = float64(q), float64(k), float64(v)
    y = np.zeros(q.shape)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    for *batch, i, head in np.ndindex(q.shape[:-1]):
        length = None if lengths is None else int(np.asarray(lengths)[tuple(batch)])
        keys = keys_of(i, k.shape[-3], length, causal, window)
        own = head // (q.shape[-2] // k.shape[-2])
        rows = np.array([k[(*batch, j, own)] for j in keys])
        _, weights = attention_row(q[(*batch, i, head)], rows, scale=factor, softcap=softcap)
        for j, weight in zip(keys, weights, strict=True):
            y[(*batch, i, head)] += weight * v[(*batch, j, own)]
    return y


def project(x: ArrayLike, w: ArrayLike, b: ArrayLike | None) -> Array:
    """y[..., h, e] = sum_d x[..., d] w[d, h, e] + b[h, e]."""
    x, w = float64(x), float64(w)
    y = np.zeros((*x.shape[:-1], *w.shape[1:])) if b is None else float64(b)
    y = np.array(np.broadcast_to(y, (*x.shape[:-1], *w.shape[1:])))
    for index in np.ndindex(x.shape):
        y[index[:-1]] += x[index] * w[index[-1]]
    return y


def multi_head_attention(
    x: ArrayLike,
    w_q: ArrayLike,
    w_k: ArrayLike,
    w_v: ArrayLike,
    w_o: ArrayLike,
    b_q: ArrayLike | None = None,
    b_k: ArrayLike | None = None,
    b_v: ArrayLike | None = None,
    b_o: ArrayLike | None = None,
    *,
    causal: bool = False,
    window: int | tuple[int, int] | None = None,
    rope_base: float | None = None,
) -> Array:
    """Projections, rotations, attention, and one more projection.

    Shapes: (*batch, t, d), (d, h, e), twice (d, g, e), (h, e, m) -> (*batch, t, m).
    """
    q, k, v = project(x, w_q, b_q), project(x, w_k, b_k), project(x, w_v, b_v)
    if rope_base is not None:
        q, k = rope(q, base=rope_base), rope(k, base=rope_base)
    o = dot_product_attention(q, k, v, causal=causal, window=window)
    rows = float64(w_o).reshape(-1, np.shape(w_o)[-1])
    return project(o.reshape(*o.shape[:-2], len(rows)), rows, b_o)


DEFINITIONS: dict[str, Callable] = {
    "embedding": embedding,
    "rope": rope,
    "dot_product_attention": dot_product_attention,
    "multi_head_attention": multi_head_attention,
}
