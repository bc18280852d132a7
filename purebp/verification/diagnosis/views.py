"""What the rules look at: one argument of a backward pass that is wrong."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

CLOSE = 1e-6
"""Relative difference of numbers that are called equal."""


class Diagnosis(NamedTuple):
    """What is most likely wrong: a kind, and a sentence with the numbers."""

    kind: str
    text: str


class View(NamedTuple):
    """One argument: its name, shape and values, and its columns of both Jacobians.

    `others` are the right columns of the other arguments, by name; `arrays` all floating arguments;
    `output` the shapes of the outputs; `pull(y_bar)` the hand-written cotangent of this argument,
    flat; `options` the settings.
    """

    name: str
    shape: tuple[int, ...]
    x: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    others: Mapping[str, np.ndarray]
    arrays: Mapping[str, np.ndarray]
    output: tuple[tuple[int, ...], ...]
    pull: Callable[[np.ndarray], np.ndarray]
    options: Mapping[str, Any]

    @property
    def error(self) -> np.ndarray:
        """W - J."""
        return self.wrong - self.right


def scale_of(*arrays: np.ndarray) -> float:
    """The largest finite magnitude."""
    finite = [np.abs(array[np.isfinite(array)]).max(initial=0.0) for array in arrays]
    return float(max(finite, default=0.0))


def equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree but for rounding."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(a - b) <= CLOSE * scale_of(a, b)))


def differs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays do not agree, entry by entry."""
    with np.errstate(invalid="ignore"):
        both = np.isfinite(a) & np.isfinite(b)
        close = CLOSE * np.maximum(np.abs(a), np.abs(b)) + 1e-12 * scale_of(a, b)
        return ~both | ~(np.abs(a - b) <= close)


def number(value: float) -> str:
    """A number as people write it."""
    nearest = round(value)
    if abs(value - nearest) < 1e-6 * max(1.0, abs(value)) and abs(value) < 1e6:
        return str(int(nearest))
    return f"{value:.4g}"
