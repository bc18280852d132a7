"""Rules about factors: a constant one, one by column, one by row, one by entry."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from purebp.verification.diagnosis.views import CLOSE, Diagnosis, View, equal, number, scale_of


def no_gradient(view: View) -> Diagnosis | None:
    """W = 0."""
    if np.any(view.wrong) or not np.any(view.right):
        return None
    return Diagnosis(
        "no gradient", f"{view.name}_bar is 0 everywhere: the gradient of {view.name} is dropped"
    )


def sign(view: View) -> Diagnosis | None:
    """W = -J."""
    if np.any(view.right) and equal(view.wrong, -view.right) and view.name.endswith(".imag"):
        name = view.name.removesuffix(".imag")
        return Diagnosis("complex", f"{name}_bar is the complex conjugate of what it should be")
    if np.any(view.right) and equal(view.wrong, -view.right):
        return Diagnosis("sign", f"{view.name}_bar has the wrong sign everywhere")
    return None


def constant_factor(view: View) -> Diagnosis | None:
    """W = c J."""
    size = float(np.vdot(view.right, view.right))
    if not size or not np.isfinite(size):
        return None
    c = float(np.vdot(view.right, view.wrong)) / size
    if abs(c - 1) < CLOSE or abs(c) < 1e-9 or not equal(view.wrong, c * view.right):
        return None
    name = f"{view.name}_bar"
    times = f"{number(c)} times too large" if abs(c) > 1 else f"{number(1 / c)} times too small"
    return Diagnosis("factor", f"{name} is {times}{_meaning(c, view)}")


def _meaning(c: float, view: View) -> str:
    for value, words in _known_numbers(view):
        if value and abs(c / value - 1) < 1e-5:
            return f"; {number(value)} is {words}: a mean over it is missing, or a sum too many"
        if value and abs(c * value - 1) < 1e-5:
            return f"; {number(value)} is {words}: divided by it once too often"
    for key, value in view.options.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and value not in (0, 1):
            for power in (1, -1, 2, -2):
                if abs(c / float(value) ** power - 1) < 1e-5:
                    much = "too often" if power > 0 else "too little"
                    return f"; {key} is {number(float(value))}: it is applied once {much}"
    if abs(c - 2) < CLOSE or abs(c - 0.5) < CLOSE:
        return ": the 2 of a square, or of a symmetric pair"
    return ""


def _known_numbers(view: View) -> Iterator[tuple[float, str]]:
    arrays = {**view.arrays}
    for name, array in arrays.items():
        for axis, size in enumerate(array.shape):
            if size > 1:
                yield float(size), f"the size of axis {axis} of {name}"
    for name, array in arrays.items():
        for count in range(2, array.ndim + 1):
            for axes in itertools.combinations(range(array.ndim), count):
                size = math.prod(array.shape[axis] for axis in axes)
                if size > 1:
                    listed = ", ".join(map(str, axes))
                    yield float(size), f"the number of entries along the axes {listed} of {name}"


def factor_by_column(view: View) -> Diagnosis | None:
    """W_ij = J_ij c_j: a factor of each entry of the argument."""
    found = _ratios(view.wrong, view.right)
    if found is None:
        return None
    what = _named_factor(found.reshape(view.shape), view)
    return Diagnosis(
        _kind(found),
        f"{view.name}_bar is off by a factor of its own in each entry of {view.name}{what}",
    )


def factor_by_row(view: View) -> Diagnosis | None:
    """W_ij = c_i J_ij: a factor of each entry of the output."""
    found = _ratios(view.wrong.T, view.right.T)
    if found is None:
        return None
    base, _, part = view.name.rpartition(".")
    if part in ("real", "imag") and equal(np.abs(found), np.ones_like(found)):
        return Diagnosis("complex", f"{base}_bar is the complex conjugate of what it should be")
    what = _named_factor(found.reshape(view.output[0]), view) if len(view.output) == 1 else ""
    return Diagnosis(
        _kind(found),
        f"{view.name}_bar is off by a factor of its own for each entry of the output{what}",
    )


def _kind(ratios: np.ndarray) -> str:
    """Factors near 1 come from an eps."""
    return "eps" if np.abs(ratios - 1).max() < 0.02 else "scale missing"


def _ratios(wrong: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """One factor for each column, if there are such factors and they differ."""
    if right.shape[0] < 2 or right.shape[1] < 2:
        return None
    weight = (right**2).sum(axis=0)
    seen = weight > (1e-10 * scale_of(right)) ** 2
    if seen.sum() < 2:
        return None
    ratios = np.where(seen, (wrong * right).sum(axis=0) / np.where(seen, weight, 1.0), 1.0)
    several = (np.abs(right) > 1e-10 * scale_of(right)).sum(axis=0)[seen]
    if not equal(wrong, ratios * right) or several.max(initial=0) < 2 or not ratios.all():
        return None
    return ratios if np.ptp(ratios[seen]) > CLOSE * np.abs(ratios).max() else None


def _named_factor(ratios: np.ndarray, view: View) -> str:
    """The argument that the factors are a power of, if there is one."""
    for name, array in view.arrays.items():
        for power, words in ((-1, "is missing"), (1, "is there twice"), (2, "squared is too much")):
            with np.errstate(all="ignore"):
                candidate = np.asarray(array, np.float64) ** power
            try:
                if equal(np.broadcast_to(candidate, ratios.shape), ratios):
                    return f": the factor {name} {words}"
            except ValueError:
                continue
    return ""


def factor_in_common(view: View) -> Diagnosis | None:
    """W = c J with c different, but the same in many entries: something that varies is missing."""
    seen = np.abs(view.right) > 1e-10 * scale_of(view.right)
    tiny = 1e-10 * scale_of(view.wrong)
    if seen.sum() < 4 or not np.array_equal(seen, np.abs(view.wrong) > tiny):
        return None
    ratios = np.sort(view.wrong[seen] / view.right[seen])
    steps = np.diff(ratios) > CLOSE * np.abs(ratios).max()
    ends = np.flatnonzero(steps) + 1
    counts = np.diff(np.concatenate([[0], ends, [ratios.size]]))
    if len(counts) < 3 or counts.min() < 2:
        return None
    return Diagnosis(
        "scale missing",
        f"the entries of {view.name}_bar are off by {len(counts)} factors, each in several places: "
        "something that they are multiplied with is missing or wrong",
    )


def partly_scaled(view: View) -> Diagnosis | None:
    """W = J in some entries and c J in all others."""
    seen = np.abs(view.right) > 1e-10 * scale_of(view.right)
    if not seen.any() or np.any(view.wrong[~seen]):
        return None
    ratios = view.wrong[seen] / view.right[seen]
    off = ratios[np.abs(ratios - 1) > CLOSE]
    if not off.size or off.size == ratios.size or np.ptp(off) > CLOSE * np.abs(off).max():
        return None
    c = float(off[0])
    if abs(c) < 1e-9:
        return None
    meaning = ": symmetric pairs, ties or overlaps are counted wrong" if c in (2.0, 0.5) else ""
    times = f"{number(c)} times"
    return Diagnosis(
        "scale missing",
        f"{off.size} of {ratios.size} entries of {view.name}_bar are {times} what they should be, "
        f"the others right{meaning}",
    )
