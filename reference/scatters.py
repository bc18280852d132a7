"""Gates that combine rows of x with updates: one update after the other, entry by entry."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from reference.shapes import Array, float64

Place = tuple[int, ...]


def meetings(x: Array, indices: Array, updates: Array, mode: str) -> Iterator[tuple[Place, Place]]:
    """Where each entry of the updates comes from, and which entry of x it meets."""
    for place in np.ndindex(updates.shape):
        batch = place[: indices.ndim - 1]
        row = int(indices[(*batch, 0)])
        if mode == "clip":
            row = min(max(row, 0), len(x) - 1)
        if 0 <= row < len(x):
            yield place, (row, *place[indices.ndim - 1 :])


def terms(
    x: Array, indices: Array, updates: Array, mode: str
) -> dict[Place, list[tuple[Place | None, float]]]:
    """For each entry of x all that meets there: itself (None) and the updates."""
    met: dict[Place, list[tuple[Place | None, float]]] = {
        place: [(None, float(x[place]))] for place in np.ndindex(x.shape)
    }
    for source, place in meetings(x, indices, updates, mode):
        met[place].append((source, float(updates[source])))
    return met


def combined(
    combine: Callable[[list[float]], float],
    x: Array,
    indices: Array,
    updates: Array,
    *,
    mode: str = "drop",
) -> Array:
    """All that meets at an entry, combined."""
    x = float64(x)
    y = np.empty(x.shape)
    for place, met in terms(x, indices, float64(updates), mode).items():
        y[place] = combine([value for _, value in met])
    return y


def combined_backward(
    slopes: Callable[[list[float]], list[float]], args: Any, y_bar: Array, *, mode: str = "drop"
) -> tuple[Array, None, Array]:
    """Each term receives the upstream gradient times its slope."""
    x, indices, updates = float64(args[0]), args[1], float64(args[2])
    x_bar, updates_bar = np.zeros(x.shape), np.zeros(updates.shape)
    for place, met in terms(x, indices, updates, mode).items():
        for (source, _), slope in zip(met, slopes([value for _, value in met]), strict=True):
            if source is None:
                x_bar[place] = slope * y_bar[place]
            else:
                updates_bar[source] = slope * y_bar[place]
    return x_bar, None, updates_bar


def sum_slopes(values: list[float]) -> list[float]:
    """1 each."""
    return [1.0] * len(values)


def difference(values: list[float]) -> float:
    """The first one minus the others."""
    return values[0] - sum(values[1:])


def difference_slopes(values: list[float]) -> list[float]:
    """1 for the first one, -1 for the others."""
    return [1.0] + [-1.0] * (len(values) - 1)


def product(values: list[float]) -> float:
    """One factor after the other."""
    return float(np.prod(values))


def product_slopes(values: list[float]) -> list[float]:
    """The product of the others."""
    return [product(values[:k] + values[k + 1 :]) for k in range(len(values))]


def share(values: list[float], best: float) -> list[float]:
    """The winners share equally."""
    count = sum(value == best for value in values)
    return [(value == best) / count for value in values]


def largest_slopes(values: list[float]) -> list[float]:
    """The largest ones share."""
    return share(values, max(values))


def smallest_slopes(values: list[float]) -> list[float]:
    """The smallest ones share."""
    return share(values, min(values))


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "scatter_add": partial(combined, sum),
    "scatter_sub": partial(combined, difference),
    "scatter_mul": partial(combined, product),
    "scatter_max": partial(combined, max),
    "scatter_min": partial(combined, min),
}
BACKWARD: dict[str, Callable[..., Any]] = {
    "scatter_add": partial(combined_backward, sum_slopes),
    "scatter_sub": partial(combined_backward, difference_slopes),
    "scatter_mul": partial(combined_backward, product_slopes),
    "scatter_max": partial(combined_backward, largest_slopes),
    "scatter_min": partial(combined_backward, smallest_slopes),
}
