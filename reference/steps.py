"""Functions that are flat between steps, and where the largest entry is."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference.backward_gates import each_backward
from reference.gates import each
from reference.shapes import Array, float64


def scalar_sign(x: float) -> float:
    """1, -1, or x itself where it is 0."""
    return float(x > 0) - float(x < 0)


def scalar_round(x: float, half: str) -> float:
    """The nearest integer; of two as near the even one or the one further from 0."""
    low = math.floor(x)
    if x - low != 0.5:
        return low if x - low < 0.5 else low + 1
    if half == "even":
        return low if low % 2 == 0 else low + 1
    return low if x < 0 else low + 1


def rounded(x: ArrayLike, *, half: str = "even") -> Array:
    """Each entry by itself."""
    return each(partial(scalar_round, half=half), x)


def flat_slope(x: float, **options: Any) -> float:
    """0."""
    return 0.0


def place_of(
    better: Callable[[float, float], bool],
    x: ArrayLike,
    *,
    axis: int | None = None,
    keepdims: bool = False,
) -> Any:
    """The first place whose entry no other one along the axis is better than."""
    x = float64(x)
    if axis is None:
        best = _first(better, x.ravel())
        return np.full((1,) * x.ndim, best) if keepdims else np.asarray(best)
    lines = np.moveaxis(x, axis, -1)
    best = np.zeros(lines.shape[:-1], int)
    for index in np.ndindex(best.shape):
        best[index] = _first(better, lines[index])
    return np.expand_dims(best, axis) if keepdims else best


def _first(better: Callable[[float, float], bool], line: Array) -> int:
    best = 0
    for place in range(len(line)):
        best = place if better(line[place], line[best]) else best
    return best


def larger(x: float, y: float) -> bool:
    """Whether x is larger."""
    return bool(x > y)


def smaller(x: float, y: float) -> bool:
    """Whether x is smaller."""
    return bool(x < y)


def no_gradient(args: Any, y_bar: Any, **options: Any) -> tuple[None]:
    """Integers have no gradient."""
    return (None,)


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "sign": partial(each, scalar_sign),
    "floor": partial(each, math.floor),
    "ceil": partial(each, math.ceil),
    "round": rounded,
    "argmax": partial(place_of, larger),
    "argmin": partial(place_of, smaller),
}
BACKWARD: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("sign", "floor", "ceil", "round"), partial(each_backward, flat_slope)),
    **dict.fromkeys(("argmax", "argmin"), no_gradient),
}
