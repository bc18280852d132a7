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


DEFINITIONS: dict[str, Callable] = {
    "embedding": embedding,
    "rope": rope,
}
