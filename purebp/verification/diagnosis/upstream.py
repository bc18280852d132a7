"""Rules about the upstream gradient: not used, used as one number, one output's part left out."""

import numpy as np

from purebp.verification.diagnosis.views import Diagnosis, View, equal, scale_of


def _two(view: View) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    size = view.right.shape[0]
    return rng.standard_normal(size), rng.standard_normal(size)


def upstream_ignored(view: View) -> Diagnosis | None:
    """The cotangent of an argument is the same for every y_bar."""
    one, two = _two(view)
    first, second, zero = view.pull(one), view.pull(two), view.pull(0 * one)
    if not np.any(first) or not np.any(np.isfinite(first)):
        return None
    if equal(first, second):
        return Diagnosis(
            "upstream ignored", f"{view.name}_bar does not depend on y_bar: the factor is missing"
        )
    if np.any(zero) and scale_of(zero) > 1e-9 * scale_of(first):
        return Diagnosis(
            "upstream ignored",
            f"{view.name}_bar is not 0 for y_bar = 0: a part of it is not multiplied by y_bar",
        )
    return None


def not_linear(view: View) -> Diagnosis | None:
    """bwd(2 y1 - y2) is not 2 bwd(y1) - bwd(y2)."""
    one, two = _two(view)
    first, second = view.pull(one), view.pull(two)
    if equal(view.pull(2 * one - two), 2 * first - second):
        return None
    return Diagnosis("upstream ignored", f"{view.name}_bar is not linear in y_bar")


def upstream_as_scalar(view: View) -> Diagnosis | None:
    """Right for a y_bar of equal numbers, and one number times the same vector for every other."""
    size = view.right.shape[0]
    if size < 2:
        return None
    ones = np.ones(size)
    if not equal(ones @ view.wrong, ones @ view.right) or equal(view.wrong, view.right):
        return None
    singular = np.linalg.svd(view.wrong, compute_uv=False)
    rank = int((singular > 1e-9 * singular[0]).sum()) if singular[0] else 0
    if rank == 1 and not equal(_rank_one(view.right), view.right):
        used = "its first entry" if not np.any(view.wrong[1:]) else "one number"
        return Diagnosis(
            "upstream as a scalar",
            f"{view.name}_bar is right only where all of y_bar is equal: it takes {used} for all",
        )
    if not equal(view.wrong.sum(axis=1), view.right.sum(axis=1)) or _in_groups(view):
        return Diagnosis(
            "upstream as a scalar",
            f"{view.name}_bar is right only where all of y_bar is equal: y_bar is applied after a "
            "sum, or summed itself",
        )
    return None


def _in_groups(view: View) -> bool:
    """Whether rows of W repeat, as if y_bar was averaged over some of its axes."""
    rows = np.round(view.wrong / (scale_of(view.wrong) or 1.0), 9)
    return len(np.unique(rows, axis=0)) < len(np.unique(np.round(view.right, 9), axis=0))


def _rank_one(matrix: np.ndarray) -> np.ndarray:
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    return s[0] * np.outer(u[:, 0], v[0])


def output_ignored(view: View) -> Diagnosis | None:
    """The rows of one output are 0 in W, and the others right."""
    if len(view.output) < 2:
        return None
    ends = np.cumsum([int(np.prod(shape, dtype=int)) for shape in view.output])
    starts = [0, *ends[:-1]]
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        rest = np.r_[0:start, end : len(view.right)]
        dropped = np.any(view.right[start:end]) and not np.any(view.wrong[start:end])
        if dropped and equal(view.wrong[rest], view.right[rest]):
            return Diagnosis(
                "output ignored",
                f"{view.name}_bar leaves out the cotangent of output {index} (of "
                f"{len(view.output)})",
            )
    return None
