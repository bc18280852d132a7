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


DEFINITIONS: dict[str, Callable] = {
    "embedding": embedding,
}
