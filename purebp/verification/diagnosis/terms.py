"""Rules about terms: one of low rank is missing, or one that a sum hides."""

import numpy as np

from purebp.verification.diagnosis.views import Diagnosis, View, equal, scale_of


def low_rank(view: View) -> Diagnosis | None:
    """W - J has a rank far below that of J, as a whole or in each row of the first axis."""
    found = _ranks([view.error], [view.right])
    where = ""
    if found is None:
        errors, rights = _by_row(view.error, view), _by_row(view.right, view)
        found = _ranks(errors, rights) if errors and rights else None
        where = " in each row"
    if found is None:
        return None
    rank, full = found
    return Diagnosis(
        "term missing",
        f"the error of {view.name}_bar has rank {rank}{where} (the Jacobian has {full}): a term "
        "that goes through a sum is missing or wrong, as that of a mean or a variance",
    )


def _ranks(errors: list[np.ndarray], rights: list[np.ndarray]) -> tuple[int, int] | None:
    """The rank of the errors and that of the Jacobians, if all of the first are far below."""
    if min(errors[0].shape) < 3 or not all(np.isfinite(error).all() for error in errors):
        return None
    ranks = [(_rank(e), _rank(r)) for e, r in zip(errors, rights, strict=True)]
    half = min(errors[0].shape) // 2 + 1
    if not all(rank <= max(1, full // 2) and rank < half for rank, full in ranks):
        return None
    return max(ranks) if any(rank for rank, _ in ranks) else None


def _by_row(matrix: np.ndarray, view: View) -> list[np.ndarray]:
    """The blocks of a Jacobian that keeps the rows of the first axis apart; none of another."""
    first = view.output[0][:1]
    if len(view.output) > 1 or not first or first[0] < 2 or view.shape[:1] != first:
        return []
    rows, columns = matrix.shape
    blocks = matrix.reshape(first[0], rows // first[0], first[0], columns // first[0])
    apart = ~np.eye(first[0], dtype=bool)[:, None, :, None] & np.ones(blocks.shape, bool)
    if np.any(np.abs(blocks[apart]) > 1e-12 * scale_of(matrix)):
        return []
    return [blocks[row, :, row] for row in range(first[0])]


def _rank(matrix: np.ndarray) -> int:
    singular = np.linalg.svd(matrix, compute_uv=False)
    return int((singular > 1e-7 * singular[0]).sum()) if singular.size and singular[0] else 0


def small_everywhere(view: View) -> Diagnosis | None:
    """W is nearly right in every entry."""
    size = scale_of(view.right)
    worst = scale_of(view.error)
    if size and 0 < worst < 0.05 * size and not equal(view.wrong, view.right):
        return Diagnosis(
            "eps",
            f"{view.name}_bar is off by {100 * worst / size:.2g}% at most: an eps in the wrong "
            "place, n - 1 for n, or digits lost",
        )
    return None
