"""Rules about terms: one of low rank is missing, or one that a sum hides."""

import numpy as np

from purebp.verification.diagnosis.views import Diagnosis, View, equal, scale_of


def low_rank(view: View) -> Diagnosis | None:
    """W - J has a rank far below that of J, in each group of rows that belong together."""
    error = view.error
    if not np.isfinite(error).all() or min(error.shape) < 3:
        return None
    rank, full = _rank(error), _rank(view.right)
    if 0 < rank <= max(1, full // 2) and rank < min(error.shape) // 2 + 1:
        return Diagnosis(
            "term missing",
            f"the error of {view.name}_bar has rank {rank} (the Jacobian has {full}): a term that "
            "goes through a sum is missing or wrong, as that of a mean or a variance",
        )
    return None


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
