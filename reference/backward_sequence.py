"""Backward passes of embedding, positions, attention; see `reference.backward_gates`."""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.sequence import pair_of, rotation_angle
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


BACKWARD: dict[str, Callable] = {
    "embedding": embedding_backward,
    "rope": rope_backward,
}
