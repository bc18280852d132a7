"""The losses and the regularisers, one example at a time.

`reduction` says what happens to the losses of the examples (all leading axes): "mean", "sum" or
"none". Labels are class numbers 0 ... v - 1.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference.shapes import Array, float64


def reduce_examples(losses: Array, reduction: str) -> Array:
    """Mean, sum or all of the losses; the mean of no examples is NaN."""
    if reduction == "none":
        return losses
    total = 0.0
    for index in np.ndindex(losses.shape):
        total += losses[index]
    if reduction == "sum":
        return float64(total)
    if reduction == "mean":
        return float64(total / losses.size if losses.size else math.nan)
    raise ValueError(f'reduction is {reduction!r}, expected "mean", "sum" or "none"')


def softmax_cross_entropy(
    logits: ArrayLike, labels: NDArray[np.integer], *, reduction: str = "mean"
) -> Array:
    """-log softmax(z)_label = log(sum_j exp(z_j)) - z_label.

    With the largest logit m: (m - z_label) + log(1 + sum over the others of exp(z_j - m)).
    Shapes: (*batch, v), (*batch) -> () or (*batch).
    """
    logits, labels = float64(logits), np.asarray(labels)
    losses = np.empty(labels.shape)
    for index in np.ndindex(labels.shape):
        z = logits[index]
        top = 0
        for j in range(1, len(z)):
            if z[j] > z[top]:
                top = j
        others = sum(np.exp(z[j] - z[top]) for j in range(len(z)) if j != top)
        losses[index] = (z[top] - z[labels[index]]) + np.log1p(others)
    return reduce_examples(losses, reduction)


def svm(
    scores: ArrayLike,
    labels: NDArray[np.integer],
    *,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Array:
    """Multiclass SVM: sum over j != label of max(0, s_j - s_label + margin).

    Shapes: (*batch, v), (*batch) -> () or (*batch).
    """
    scores, labels = float64(scores), np.asarray(labels)
    losses = np.zeros(labels.shape)
    for index in np.ndindex(labels.shape):
        s, label = scores[index], labels[index]
        for j in range(len(s)):
            if j != label:
                shortfall = s[j] - s[label] + margin
                losses[index] += 0.0 if shortfall <= 0 else shortfall
    return reduce_examples(losses, reduction)


def half_squared_error(y: ArrayLike, target: ArrayLike, *, reduction: str = "mean") -> Array:
    """1/2 sum_k (y_k - t_k)^2. Shapes: (*batch, k), (*batch, k) -> () or (*batch)."""
    y, target = float64(y), float64(target)
    losses = np.zeros(y.shape[:-1])
    for index in np.ndindex(y.shape):
        losses[index[:-1]] += (y[index] - target[index]) ** 2 / 2.0
    return reduce_examples(losses, reduction)


def l2(w: ArrayLike, *, strength: float = 1.0) -> Array:
    """strength / 2 * sum w^2. Shapes: any -> ()."""
    w = float64(w)
    total = 0.0
    for index in np.ndindex(w.shape):
        total += w[index] ** 2
    return float64(strength / 2.0 * total)


def l1(w: ArrayLike, *, strength: float = 1.0) -> Array:
    """strength * sum |w|. Shapes: any -> ()."""
    w = float64(w)
    total = 0.0
    for index in np.ndindex(w.shape):
        total += abs(w[index])
    return float64(strength * total)


DEFINITIONS: dict[str, Callable] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "svm": svm,
    "half_squared_error": half_squared_error,
    "l2": l2,
    "l1": l1,
}
