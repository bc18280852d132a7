"""Layers of sequence models: embedding, positions, attention."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

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


def sinusoidal(
    x: ArrayLike,
    scale: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    *,
    base: float = 10000.0,
) -> Array:
    """x plus scale times a sine or cosine. Shapes: (*batch, t, d), (), (*batch, t) -> the first."""
    x = float64(x)
    factor = 1.0 if scale is None else float(np.asarray(scale))
    places = np.arange(x.shape[-2]) if positions is None else np.asarray(positions)
    places = np.broadcast_to(places, x.shape[:-1])
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        angle = rotation_angle(int(places[index[:-1]]), index[-1] // 2, x.shape[-1], base)
        y[index] = x[index] + factor * (np.cos(angle) if index[-1] % 2 else np.sin(angle))
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
    query: Array,
    keys: Array,
    *,
    scale: float,
    softcap: float | None,
    added: list[float] | None = None,
    sink: float = -np.inf,
) -> tuple[list[float], list[float]]:
    """For one query the scores of its keys (after the softcap), and their weights.

    `added` comes to the scores before the softmax; e^sink to the sum that divides the weights.
    """
    scores = [scale * sum(a * b for a, b in zip(query, key, strict=True)) for key in keys]
    if softcap is not None:
        scores = [softcap * np.tanh(score / softcap) for score in scores]
    shown = [a + b for a, b in zip(scores, added or [0.0] * len(scores), strict=True)]
    most = max([*shown, sink], default=0.0)
    powers = [np.exp(score - most) for score in shown]
    total = sum(powers, np.exp(sink - most) if powers else 0.0)
    return scores, [power / total for power in powers]


class Extras(NamedTuple):
    """The optional arguments of attention; `drawn` is dropout's mask, in the place of a key."""

    lengths: ArrayLike | None = None
    mask: ArrayLike | None = None
    bias: ArrayLike | None = None
    sinks: ArrayLike | None = None
    slopes: ArrayLike | None = None
    drawn: ArrayLike | None = None


class Row(NamedTuple):
    """One query: the keys it sees; what is added to each score; the sink; what dropout leaves."""

    keys: list[int]
    added: list[float]
    sink: float
    left: list[float]


def whole(x: ArrayLike | None, fill: float, shape: tuple[int, ...]) -> Array:
    """x for every example, head, query and key."""
    return np.broadcast_to(fill if x is None else np.asarray(x), shape)


def attention_rows(
    shape: tuple[int, ...],
    count: int,
    extras: Extras,
    *,
    causal: bool,
    window: int | tuple[int, int] | None,
    rate: float = 0.0,
) -> Iterator[tuple[tuple[int, ...], Row]]:
    """For each query (*batch, i, head) of that shape what it sees of so many keys."""
    *batch, length, heads = shape
    scores = (*batch, heads, length, count)
    mask, bias = whole(extras.mask, 1.0, scores), whole(extras.bias, 0.0, scores)
    drawn = whole(extras.drawn if rate else None, 1.0, scores)
    slopes, sinks = whole(extras.slopes, 0.0, (heads,)), whole(extras.sinks, -np.inf, (heads,))
    for *b, i, head in np.ndindex(shape):
        given = None if extras.lengths is None else int(np.asarray(extras.lengths)[tuple(b)])
        at = (*b, head, i)
        keys = [j for j in keys_of(i, count, given, causal, window) if mask[(*at, j)]]
        added = [float(bias[(*at, j)] - slopes[head] * abs(i - j)) for j in keys]
        left = [float(drawn[(*at, j)]) / (1.0 - rate) for j in keys]
        yield (*b, i, head), Row(keys, added, float(sinks[head]), left)


def dot_product_attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    *extras: ArrayLike | None,
    causal: bool = False,
    window: int | tuple[int, int] | None = None,
    softcap: float | None = None,
    scale: float | None = None,
    rate: float = 0.0,
    block: int | None = None,
) -> Array:
    """For each query the mean of the values it sees, weighted by the softmax of its scores.

    `extras` are those of `Extras`. `block` changes nothing: it is how purebp cuts the work.
    Shapes: (*batch, t, h, d), twice (*batch, s, g, d), extras -> (*batch, t, h, d).
    """
    q, k, v = float64(q), float64(k), float64(v)
    y = np.zeros(q.shape)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    options: dict[str, Any] = {"causal": causal, "window": window, "rate": rate}
    for place, row in attention_rows(q.shape[:-1], k.shape[-3], Extras(*extras), **options):
        *batch, _, head = place
        own = head // (q.shape[-2] // k.shape[-2])
        keys = np.array([k[(*batch, j, own)] for j in row.keys])
        added: dict[str, Any] = {"added": row.added, "sink": row.sink}
        _, weights = attention_row(q[place], keys, scale=factor, softcap=softcap, **added)
        for j, weight, left in zip(row.keys, weights, row.left, strict=True):
            y[place] += weight * left * v[(*batch, j, own)]
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
    "sinusoidal": sinusoidal,
    "dot_product_attention": dot_product_attention,
    "multi_head_attention": multi_head_attention,
}
