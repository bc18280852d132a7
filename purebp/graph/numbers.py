"""Values in few characters, and as small drawings: a histogram, or a heat map."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

BINS = 20
HEAT = 144
"""A matrix of at most so many entries is a heat map, a larger one a histogram."""
NUMBERS = (2, 2)
"""A matrix of at most so many rows and columns is written out."""


def short(value: Any) -> str:
    """A number with two decimals, or as many as it needs; of an array its shape."""
    if value is None:
        return ""
    array = numbers_of(value)
    if array.shape:
        return "×".join(map(str, array.shape))
    return _number(array[()])


def numbers_of(value: Any) -> np.ndarray:
    """The numbers of an array, those of a random key too."""
    is_key = isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    array = np.asarray(jax.random.key_data(value) if is_key else value)
    return array.astype(np.float32) if array.dtype.kind == "V" else array  # 16 and 8 bits


def _number(x: Any) -> str:
    if isinstance(x, np.bool_ | np.integer):
        return str(x)
    if isinstance(x, np.complexfloating):
        return f"{x:.3g}"
    x = float(x)
    if not np.isfinite(x):
        return str(x)
    text = f"{x:.2f}" if 0.1 <= abs(x) < 1000 or x == 0 else f"{x:.3g}"
    return text.rstrip("0").rstrip(".") if x == int(x) else text


def norm(value: Any) -> float:
    """The root of the sum of squares."""
    return float(np.linalg.norm(numbers_of(value).astype(np.complex128).ravel()))


def norm_of_all(values: Sequence[Any]) -> float:
    """The norm of all entries of several arrays."""
    return float(np.linalg.norm([norm(value) for value in values]))


def root_mean_square(value: Any) -> float:
    """The size of an ordinary entry."""
    return norm(value) / max(math.prod(value.shape), 1) ** 0.5


def thumbnail(value: Any, left: float, top: float, width: float, height: float, ink: str) -> str:
    """An array as SVG in a rectangle; what is not finite is black, the rest in `ink`."""
    array = numbers_of(value)
    if not array.size or not np.issubdtype(array.dtype, np.number):
        return ""
    if array.ndim <= 2 and array.size <= HEAT:
        matrix = np.atleast_2d(array)
        fits = matrix.shape[0] <= NUMBERS[0] and matrix.shape[1] <= NUMBERS[1]
        draw = _written if fits and not np.iscomplexobj(array) else _heat_map
        return draw(_real(matrix), left, top, width, height, ink)
    return _histogram(_real(array).ravel(), left, top, width, height, ink)


def _real(array: np.ndarray) -> np.ndarray:
    return np.abs(array) if np.iscomplexobj(array) else array.astype(np.float64)


def _written(
    array: np.ndarray, left: float, top: float, width: float, height: float, ink: str
) -> str:
    rows, columns = array.shape
    dx, dy = width / columns, height / rows
    texts = [
        f'<text x="{left + (column + 0.5) * dx:.1f}" y="{top + (row + 0.5) * dy + 3:.1f}" '
        f'fill="{ink}" font-size="8" text-anchor="middle">{x:.3g}</text>'
        for (row, column), x in np.ndenumerate(array)
    ]
    return "".join(texts) + _frame(left, top, width, height)


def _heat_map(
    array: np.ndarray, left: float, top: float, width: float, height: float, ink: str
) -> str:
    rows, columns = array.shape
    finite = np.abs(array[np.isfinite(array)])
    largest = finite.max(initial=0.0) or 1.0
    dx, dy = width / columns, height / rows
    cell = f'width="{dx:.1f}" height="{dy:.1f}"'
    cells = list[str]()
    for (row, column), x in np.ndenumerate(array):
        corner = f'x="{left + column * dx:.1f}" y="{top + row * dy:.1f}"'
        strength = abs(x) / largest if np.isfinite(x) else 1.0
        colour = "#000" if not np.isfinite(x) else ink if x >= 0 else NEGATIVE
        cells.append(f'<rect {corner} {cell} fill="{colour}" fill-opacity="{strength:.2f}"/>')
    return "".join(cells) + _frame(left, top, width, height)


NEGATIVE = "#7a4fbf"
"""Entries of a heat map that are below 0."""


def _histogram(
    array: np.ndarray, left: float, top: float, width: float, height: float, ink: str
) -> str:
    finite = array[np.isfinite(array)]
    bars = ""
    if finite.size:
        counts, _ = np.histogram(finite, BINS)
        dx = width / BINS
        heights = height * counts / counts.max()
        bars = "".join(
            f'<rect x="{left + k * dx:.1f}" y="{top + height - h:.1f}" width="{dx:.1f}" '
            f'height="{h:.1f}" fill="{ink}" fill-opacity="0.7"/>'
            for k, h in enumerate(heights)
            if h
        )
    bad = 1 - finite.size / array.size
    if bad:
        bars += f'<rect x="{left}" y="{top}" width="{width * bad:.1f}" height="3" fill="#000"/>'
    return bars + _frame(left, top, width, height)


def _frame(left: float, top: float, width: float, height: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        'fill="none" stroke="#ccc" stroke-width="0.5"/>'
    )
