"""Backward passes of embedding, positions, attention; see `reference.backward_gates`."""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.sequence import attention_row, keys_of, pair_of, rotation_angle
from reference.shapes import Array, float64


def embedding_backward(args: Arguments, y_bar: Array) -> tuple[None, Array]:
    """Each token adds its gradient to the row that it read."""
    tokens, table, y_bar = np.asarray(args[0]), float64(args[1]), float64(y_bar)
    table_bar = np.zeros(table.shape)
    for index in np.ndindex(tokens.shape):
        if 0 <= tokens[index] < len(table):
            table_bar[int(tokens[index])] += y_bar[index]
    return None, table_bar


def rope_backward(
    args: Arguments, y_bar: Array, *, base: float = 10000.0, interleaved: bool = False
) -> tuple[Array, None] | tuple[Array]:
    """y = R x with a matrix of cos and sin for each pair, so x_bar = R^T y_bar."""
    y_bar = float64(y_bar)
    given = args[1] if len(args) > 1 else None
    places = np.arange(y_bar.shape[-3]) if given is None else np.asarray(given)
    places = np.broadcast_to(places, y_bar.shape[:-2])
    x_bar, d = np.empty(y_bar.shape), y_bar.shape[-1]
    for index in np.ndindex(y_bar.shape[:-1]):
        for i in range(d // 2):
            angle = rotation_angle(int(places[index[:-1]]), i, d, base)
            first, second = pair_of(i, d, interleaved)
            g1, g2 = y_bar[(*index, first)], y_bar[(*index, second)]
            x_bar[(*index, first)] = np.cos(angle) * g1 + np.sin(angle) * g2
            x_bar[(*index, second)] = np.cos(angle) * g2 - np.sin(angle) * g1
    return (x_bar, None) if len(args) > 1 else (x_bar,)


def dot_product_attention_backward(
    args: Arguments,
    y_bar: Array,
    *,
    causal: bool = False,
    window: int | tuple[int, int] | None = None,
    softcap: float | None = None,
    scale: float | None = None,
    block: int | None = None,
) -> tuple[Array | None, ...]:
    """Query by query: weights, softmax, softcap and scores from right to left."""
    q, k, v, y_bar = (float64(each) for each in (*args[:3], y_bar))
    q_bar, k_bar, v_bar = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    lengths = args[3] if len(args) > 3 else None
    for *batch, i, head in np.ndindex(q.shape[:-1]):
        length = None if lengths is None else int(np.asarray(lengths)[tuple(batch)])
        keys = keys_of(i, k.shape[-3], length, causal, window)
        own = head // (q.shape[-2] // k.shape[-2])
        rows = np.array([k[(*batch, j, own)] for j in keys])
        query, upstream = q[(*batch, i, head)], y_bar[(*batch, i, head)]
        scores, weights = attention_row(query, rows, scale=factor, softcap=softcap)
        weights_bar = [sum(upstream * v[(*batch, j, own)]) for j in keys]
        average = sum(w * w_bar for w, w_bar in zip(weights, weights_bar, strict=True))
        for j, score, w, w_bar in zip(keys, scores, weights, weights_bar, strict=True):
            score_bar = w * (w_bar - average) * factor
            if softcap is not None:
                score_bar *= 1.0 - (score / softcap) ** 2
            v_bar[(*batch, j, own)] += w * upstream
            q_bar[(*batch, i, head)] += score_bar * k[(*batch, j, own)]
            k_bar[(*batch, j, own)] += score_bar * query
    return (q_bar, k_bar, v_bar, None)[: len(args)]


BACKWARD: dict[str, Callable] = {
    "embedding": embedding_backward,
    "rope": rope_backward,
    "dot_product_attention": dot_product_attention_backward,
}
