"""Finite differences in float64 that carry their own error bar.

Central differences on a ladder of steps, extrapolated (Ridders 1982, "Accurate computation of
F'(x) and F'(x)F''(x)"). The error bar is the disagreement of the best two estimates, plus the
rounding noise, plus the disagreement of the two one-sided slopes where it does not fade with the
step: at a kink the bar is as large as the kink.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

STEPS = 6
RATIO = 4.0
FIRST = 1e-2
EPS = float(np.finfo(np.float64).eps)

Scalars = Callable[[np.ndarray], np.ndarray]


class Slopes(NamedTuple):
    """Estimated slopes, the error bar of each, and the slope of a change by f's own size.

    `steps` are the largest steps, and `moved` is the most that f changes by within each.
    """

    values: np.ndarray
    bars: np.ndarray
    units: np.ndarray
    steps: np.ndarray
    moved: np.ndarray


def slopes(
    f: Scalars,
    x: np.ndarray,
    indices: np.ndarray,
    magnitude: float,
    steps: np.ndarray | None = None,
) -> Slopes:
    """The slope of a scalar f along each coordinate in `indices`; see `jacobian`."""
    magnitudes = np.array([magnitude])
    found = jacobian(lambda points: f(points)[:, None], x, indices, magnitudes, steps)
    values, bars, units, steps, moved = found
    return Slopes(values[0], bars[0], units[0], steps, moved[0])


def jacobian(
    f: Scalars,
    x: np.ndarray,
    indices: np.ndarray,
    magnitudes: np.ndarray,
    steps: np.ndarray | None = None,
    rungs: int = STEPS,
) -> Slopes:
    """The slope of each output of f (rows) along each coordinate in `indices` (columns).

    f takes a batch of points, and returns a row for each. `magnitudes` bound the terms that an
    output adds up, and what it changes by when x changes relatively by 1: both times the unit of
    rounding are its noise. `steps` are the largest ones, a hundredth of the size of x unless
    given; the ladder has so many `rungs`.
    """
    finite = x[np.isfinite(x)]
    size = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    floor = 0.1 * (size or 1.0)  # nothing but zeros tells no scale
    scale = np.nan_to_num(np.maximum(np.abs(x[indices]), max(floor, 1e-6)), posinf=1.0)
    steps = FIRST * scale if steps is None else steps
    ladder = steps[:, None] / RATIO ** np.arange(rungs)[None, :]
    points = [x[None], _shifted(x, indices, ladder), _shifted(x, indices, -ladder)]
    values = np.moveaxis(f(np.concatenate(points)), 0, -1)  # in one go: their number is compiled
    base, sides = values[:, :1, None], values[:, 1:].reshape(-1, 2, *ladder.shape)
    plus, minus = sides[:, 0], sides[:, 1]
    width = (x[indices][:, None] + ladder) - (x[indices][:, None] - ladder)
    noise = 4 * EPS * (magnitudes[:, None, None] + np.abs(base)) / ladder
    best, error = estimated((plus, minus, base), ladder, width, noise)
    moved = np.abs(np.concatenate([plus, minus], axis=-1) - base).max(axis=-1)
    return Slopes(best, error, magnitudes[:, None] / scale, steps, moved)


def closer(found: Slopes, claimed: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Steps from x so small that f, by what it moved, could have a slope as steep as the claimed.

    A function that turns many times within a step shows none of its slopes. The steps stay where
    the claim is not ten times as steep as what was seen, and where f did not move; they are never
    so small that x + step is rounded.
    """
    steep = (found.moved > 0) & (np.abs(claimed) * found.steps > 10 * found.moved)
    wanted = 0.1 * found.moved / np.where(steep, np.abs(claimed), 1.0)
    least = 16 * RATIO ** (STEPS - 1) * EPS * np.abs(x)
    return np.where(steep, np.clip(wanted, least, found.steps), found.steps)


def estimated(
    values: tuple[Any, Any, Any], ladder: Any, width: Any, noise: Any, xp: Any = np
) -> tuple[Any, Any]:
    """The slope of each ladder, along the last axis, and its error bar.

    `values` are those of f up and down the ladder, and between; `width` is how far apart the first
    two are. `xp` is NumPy or jax.numpy.
    """
    plus, minus, base = values
    central = (plus - minus) / width
    best, error = _extrapolate(central, noise, xp)
    # Where a function turns within a step the coarse estimates agree on a wrong number.
    apart = xp.abs(best - central[..., -1])
    error = xp.where(apart > 3 * noise[..., -1], xp.maximum(error, apart), error)
    split = xp.abs(plus - 2 * base + minus) / ladder
    fades = split[..., -1] <= 0.5 * split[..., -2] + 4 * noise[..., -1]
    return best, error + xp.where(fades, 0.0, split[..., -1])


def _shifted(x: np.ndarray, indices: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """For each step along each coordinate a point."""
    points = np.broadcast_to(x, (*steps.shape, x.size)).copy()
    rows = np.arange(len(indices))
    points[rows, :, indices] = x[indices][:, None] + steps
    return points.reshape(-1, x.size)


def _extrapolate(central: Any, noise: Any, xp: Any) -> tuple[Any, Any]:
    best = central[..., 0]
    error = xp.full(best.shape, xp.inf)
    previous = [central[..., 0]]
    for k in range(1, central.shape[-1]):
        row = [central[..., k]]
        for order in range(1, k + 1):
            factor = RATIO ** (2 * order)
            row.append((factor * row[order - 1] - previous[order - 1]) / (factor - 1))
            gap = xp.maximum(
                xp.abs(row[order] - row[order - 1]), xp.abs(row[order] - previous[order - 1])
            )
            gap = gap + noise[..., k]
            better = gap < error
            best, error = xp.where(better, row[order], best), xp.where(better, gap, error)
        previous = row
    return best, error
