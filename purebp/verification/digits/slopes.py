"""One-sided slopes: a kink has two, a smooth point has one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from purebp.compat import enable_x64
from purebp.verification.digits.interpreter import run
from purebp.verification.digits.values import MP, Exact, exact, rounded, value_of

STEP = MP.mpf(2) ** -100
SHORTER = MP.mpf(2) ** -110
SHORTEST = MP.mpf(2) ** -120
RATIO = 2**10
AGREE = MP.mpf(10) ** -18


class Sides(NamedTuple):
    """The derivative of each output (rows) in each entry of the arguments (columns).

    `left` and `right` differ at a kink; both are infinite or nan where there is no derivative.
    `left_together` and `right_together` are the slopes of each output when all entries move at
    once at which it has a kink. `values` are the outputs.
    """

    values: np.ndarray
    left: np.ndarray
    right: np.ndarray
    left_together: np.ndarray
    right_together: np.ndarray

    @property
    def smooth(self) -> np.ndarray:
        """Where both sides have one derivative."""
        size = np.maximum(np.abs(self.left), np.abs(self.right))
        with np.errstate(invalid="ignore"):
            return np.isfinite(size) & (np.abs(self.left - self.right) <= 1e-15 * size)


def one_sided(
    function: Callable[[list[Any], list[Any]], list[Any]], chosen: list[Any], rest: list[Any]
) -> Sides:
    """The slopes of the floating outputs of `function(chosen, rest)` at float64 arrays `chosen`."""
    wide = [np.asarray(leaf, np.float64) for leaf in chosen]
    with enable_x64(True):
        f = _of_vectors(function, wide, rest)
        start = np.concatenate([exact(leaf).ravel() for leaf in wide])
        base = f(start)
        left, right = (np.full((base.size, start.size), np.nan) for _ in range(2))
        for index in range(start.size):
            direction = np.arange(start.size) == index
            left[:, index] = _slope(f, start, base, direction, -1)
            right[:, index] = _slope(f, start, base, direction, 1)
        nothing = np.zeros(base.size)
        sides = Sides(rounded(base), left, right, nothing, nothing)
        left_all, right_all = np.zeros(base.size), np.zeros(base.size)
        kinked = np.isfinite(left) & np.isfinite(right) & ~sides.smooth
        for row in np.flatnonzero(kinked.any(axis=1)):
            left_all[row] = _slope(f, start, base, kinked[row], -1)[row]
            right_all[row] = _slope(f, start, base, kinked[row], 1)[row]
    return sides._replace(left_together=left_all, right_together=right_all)


def _of_vectors(
    function: Callable[..., list[Any]], wide: list[np.ndarray], rest: list[Any]
) -> Callable[[Exact], Exact]:
    """The function of one vector of mpmath numbers."""
    jaxpr = jax.make_jaxpr(function)(wide, rest)
    fixed = [value_of(leaf, leaf.dtype) for leaf in jax.tree.leaves(rest)]
    ends = np.cumsum([leaf.size for leaf in wide])[:-1]

    def f(point: Exact) -> Exact:
        parts = zip(np.split(point, ends), wide, strict=True)
        out = run(jaxpr, [*(part.reshape(leaf.shape) for part, leaf in parts), *fixed])
        return np.concatenate([np.asarray(leaf, object).ravel() for leaf in out])

    return f


def _slope(
    f: Callable[[Exact], Exact], start: Exact, base: Exact, direction: np.ndarray, sign: int
) -> list[float]:
    """The slopes to one side, by two steps; by a third where these two differ."""
    scale = max([abs(number) for number in start[direction]] + [MP.mpf(10) ** -20])

    def by(step: Any) -> Exact:
        return (f(_moved(start, direction, sign * step * scale)) - base) / (sign * step * scale)

    far, near = by(STEP), by(SHORTER)
    if all(map(_agree, far, near)):
        return [float(slope) for slope in near]
    return [_settled(*three) for three in zip(far, near, by(SHORTEST), strict=True)]


def _moved(start: Exact, direction: np.ndarray, step: Any) -> Exact:
    moved = start.copy()
    moved[direction] += step
    return moved


def _agree(far: Any, near: Any) -> bool:
    """Whether two slopes are one, by their first 18 digits."""
    return bool(MP.isfinite(far) and MP.isfinite(near) and abs(far - near) <= AGREE * abs(near))


def _settled(far: Any, near: Any, nearest: Any) -> float:
    """The slope that three steps tell; infinite where it grows as the step shrinks."""
    if not all(map(MP.isfinite, (far, near, nearest))):
        return float("nan")
    first, second = near + (near - far) / (RATIO - 1), nearest + (nearest - near) / (RATIO - 1)
    if abs(first - second) <= AGREE * abs(second):  # without what is linear in the step
        return float(second)
    if 2 * abs(near) <= abs(far):
        return 0.0
    if abs(far - near) <= AGREE * max(abs(near), MP.mpf(10) ** -40):
        return float(near)
    return float("inf") * float(MP.sign(near)) if abs(near) > 2 * abs(far) else float("nan")
