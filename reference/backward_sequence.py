"""Backward passes of embedding, positions, attention; see `reference.backward_gates`."""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.shapes import Array, float64


def embedding_backward(args: Arguments, y_bar: Array) -> tuple[None, Array]:
    """Each token adds its gradient to the row that it read."""
    tokens, table, y_bar = np.asarray(args[0]), float64(args[1]), float64(y_bar)
    table_bar = np.zeros(table.shape)
    for index in np.ndindex(tokens.shape):
        if 0 <= tokens[index] < len(table):
            table_bar[int(tokens[index])] += y_bar[index]
    return None, table_bar


BACKWARD: dict[str, Callable] = {
    "embedding": embedding_backward,
}
