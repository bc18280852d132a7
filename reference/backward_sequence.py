"""Backward passes of embedding, positions, attention; see `reference.backward_gates`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.backward_gates import Arguments
from reference.sequence import (
    Extras,
    attention_row,
    attention_rows,
    dot_product_attention,
    pair_of,
    project,
    rope,
    rotation_angle,
    sinusoidal,
)
from reference.shapes import Array, float64


def embedding_backward(args: Arguments, y_bar: Array) -> tuple[None, Array]:
    """Each token adds its gradient to the row that it read."""
    tokens, table, y_bar = np.asarray(args[0]), float64(args[1]), float64(y_bar)
    table_bar = np.zeros(table.shape)
    for index in np.ndindex(tokens.shape):
        if 0 <= tokens[index] < len(table):
            table_bar[int(tokens[index])] += y_bar[index]
    return None, table_bar


def turn_back(
    y_bar: Array, positions: Array | None, *, base: float, interleaved: bool = False
) -> Array:
    """y = R x with a matrix of cos and sin for each pair, so x_bar = R^T y_bar."""
    places = np.arange(y_bar.shape[-3]) if positions is None else np.asarray(positions)
    places = np.broadcast_to(places, y_bar.shape[:-2])
    x_bar, d = np.empty(y_bar.shape), y_bar.shape[-1]
    for index in np.ndindex(y_bar.shape[:-1]):
        for i in range(d // 2):
            angle = rotation_angle(int(places[index[:-1]]), i, d, base)
            first, second = pair_of(i, d, interleaved)
            g1, g2 = y_bar[(*index, first)], y_bar[(*index, second)]
            x_bar[(*index, first)] = np.cos(angle) * g1 + np.sin(angle) * g2
            x_bar[(*index, second)] = np.cos(angle) * g2 - np.sin(angle) * g1
    return x_bar


def rope_backward(
    args: Arguments, y_bar: Array, *, base: float = 10000.0, interleaved: bool = False
) -> tuple[Array | None, ...]:
    """Each pair turns back."""
    given = args[1] if len(args) > 1 else None
    return (turn_back(float64(y_bar), given, base=base, interleaved=interleaved), None)[: len(args)]


def sinusoidal_backward(
    args: Arguments, y_bar: Array, *, base: float = 10000.0
) -> tuple[Array | None, ...]:
    """x passes on; scale meets the waves, which are y of x = 0."""
    y_bar, scale = float64(y_bar), args[1] if len(args) > 1 else None
    given = args[2] if len(args) > 2 else None
    waves = sinusoidal(np.zeros(y_bar.shape), None, given, base=base)
    scale_bar = None if scale is None else np.asarray(np.sum(y_bar * waves))
    return (y_bar, scale_bar, None)[: len(args)]


def attention_bars(
    q: Array,
    k: Array,
    v: Array,
    y_bar: Array,
    extras: Extras = Extras(),  # noqa: B008 - it is never changed
    *,
    causal: bool,
    window: int | tuple[int, int] | None,
    softcap: float | None = None,
    scale: float | None = None,
    rate: float = 0.0,
) -> tuple[Array, ...]:
    """Query by query: dropout, weights, softmax, softcap and scores from right to left.

    The gradients of q, k, v, of the bias for every head, query and key, of sinks and slopes.
    """
    q_bar, k_bar, v_bar = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)
    *batch, length, heads, _ = q.shape
    bias_bar = np.zeros((*batch, heads, length, k.shape[-3]))
    sinks_bar, slopes_bar = np.zeros(heads), np.zeros(heads)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    options: dict[str, Any] = {"causal": causal, "window": window, "rate": rate}
    for place, row in attention_rows(q.shape[:-1], k.shape[-3], extras, **options):
        *b, i, head = place
        own = head // (q.shape[-2] // k.shape[-2])
        keys = np.array([k[(*b, j, own)] for j in row.keys])
        added: dict[str, Any] = {"added": row.added, "sink": row.sink}
        scores, weights = attention_row(q[place], keys, scale=factor, softcap=softcap, **added)
        upstream = y_bar[place]
        weights_bar = [
            sum(upstream * v[(*b, j, own)]) * left
            for j, left in zip(row.keys, row.left, strict=True)
        ]
        average = sum(w * w_bar for w, w_bar in zip(weights, weights_bar, strict=True))
        sinks_bar[head] -= (1.0 - sum(weights)) * average
        for n, j in enumerate(row.keys):
            score_bar = weights[n] * (weights_bar[n] - average)
            bias_bar[(*b, head, i, j)] += score_bar
            slopes_bar[head] -= score_bar * abs(i - j)
            if softcap is not None:
                score_bar *= 1.0 - (scores[n] / softcap) ** 2
            v_bar[(*b, j, own)] += weights[n] * row.left[n] * upstream
            q_bar[place] += score_bar * factor * k[(*b, j, own)]
            k_bar[(*b, j, own)] += score_bar * factor * q[place]
    return q_bar, k_bar, v_bar, bias_bar, sinks_bar, slopes_bar


def summed_to(bar: Array, given: Array) -> Array:
    """Summed over the axes along which an argument was broadcast."""
    bar = bar.sum(axis=tuple(range(bar.ndim - given.ndim)))
    axes = tuple(axis for axis, size in enumerate(given.shape) if size == 1)
    return bar.sum(axis=axes, keepdims=True).reshape(given.shape)


def dot_product_attention_backward(
    args: Arguments,
    y_bar: Array,
    *,
    causal: bool = False,
    window: int | tuple[int, int] | None = None,
    softcap: float | None = None,
    scale: float | None = None,
    rate: float = 0.0,
    block: int | None = None,
) -> tuple[Array | None, ...]:
    """The gradients of q, k and v, of bias, sinks and slopes; none of the others."""
    q, k, v, y_bar = (float64(each) for each in (*args[:3], y_bar))
    extras = Extras(*args[3:])
    options: dict[str, Any] = {"causal": causal, "window": window, "rate": rate}
    *bars, bias_bar, sinks_bar, slopes_bar = attention_bars(
        q, k, v, y_bar, extras, softcap=softcap, scale=scale, **options
    )
    more = (
        None if extras.bias is None else summed_to(bias_bar, np.asarray(extras.bias)),
        None if extras.sinks is None else sinks_bar,
        None if extras.slopes is None else slopes_bar,
    )
    return (*bars, None, None, *more, None)[: len(args)]


def project_backward(x: Array, w: Array, y_bar: Array) -> tuple[Array, Array, Array]:
    """The gradients of x, w and b, product by product."""
    x_bar, w_bar = np.zeros(x.shape), np.zeros(w.shape)
    for index in np.ndindex(x.shape):
        x_bar[index] = np.sum(y_bar[index[:-1]] * w[index[-1]])
        w_bar[index[-1]] += x[index] * y_bar[index[:-1]]
    return x_bar, w_bar, y_bar.reshape(-1, *w.shape[1:]).sum(axis=0)


def multi_head_attention_backward(
    args: Arguments,
    y_bar: Array,
    *,
    causal: bool = False,
    window: int | tuple[int, int] | None = None,
    rope_base: float | None = None,
) -> tuple[Array | None, ...]:
    """The steps of the forward pass from right to left; x serves three of them."""
    x, *weights, w_o = (float64(each) for each in args[:5])
    biases = [*args[5:], None, None, None, None][:4]
    heads = [project(x, w, b) for w, b in zip(weights, biases, strict=False)]
    q, k, v = heads
    if rope_base is not None:
        q, k = rope(q, base=rope_base), rope(k, base=rope_base)
    o = dot_product_attention(q, k, v, causal=causal, window=window)
    rows = w_o.reshape(-1, w_o.shape[-1])
    flat = o.reshape(*o.shape[:-2], len(rows))
    flat_bar, rows_bar, b_o_bar = project_backward(flat, rows, float64(y_bar))
    bars = attention_bars(q, k, v, flat_bar.reshape(o.shape), causal=causal, window=window)[:3]
    if rope_base is not None:
        bars = (*(turn_back(bar, None, base=rope_base) for bar in bars[:2]), bars[2])
    pulled = [project_backward(x, w, bar) for w, bar in zip(weights, bars, strict=True)]
    b_bars = [*(b_bar for _, _, b_bar in pulled), b_o_bar]
    whole = (
        np.sum([x_bar for x_bar, _, _ in pulled], axis=0),
        *(w_bar for _, w_bar, _ in pulled),
        rows_bar.reshape(w_o.shape),
        *(None if b is None else b_bar for b, b_bar in zip(biases, b_bars, strict=True)),
    )
    return whole[: len(args)]


BACKWARD: dict[str, Callable] = {
    "embedding": embedding_backward,
    "rope": rope_backward,
    "sinusoidal": sinusoidal_backward,
    "dot_product_attention": dot_product_attention_backward,
    "multi_head_attention": multi_head_attention_backward,
}
