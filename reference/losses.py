"""The losses and the regularisers, one example at a time.

`reduction` says what happens to the losses of the examples (all leading axes): "mean", "sum" or
"none". Labels are class numbers 0 ... v - 1.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference.activations import softmax
from reference.layers import affine
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
    logits: ArrayLike,
    labels: NDArray[np.integer],
    *,
    reduction: str = "mean",
    ignore: int | None = None,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> Array:
    """-log softmax(z)_label = log(sum_j exp(z_j)) - z_label.

    With the largest logit m: (m - z_label) + log(1 + sum over the others of exp(z_j - m)).
    With smoothing e: (1 - e) of that and e times the mean over all labels; the z-loss adds
    z_loss * log(sum_j exp(z_j))^2. An ignored label costs 0 and does not count in the mean.
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
        if labels[index] == ignore:
            losses[index] = 0.0
            continue
        costs = [(z[top] - z[j]) + np.log1p(others) for j in range(len(z))]
        uniform = sum(costs) / len(z) if smoothing else 0.0
        log_sum = z[top] + np.log1p(others) if z_loss else 0.0
        own = (1.0 - smoothing) * costs[labels[index]]
        losses[index] = own + smoothing * uniform + z_loss * log_sum**2
    if ignore is not None and reduction == "mean":
        return float64(reduce_examples(losses, "sum") / max(np.sum(labels != ignore), 1))
    return reduce_examples(losses, reduction)


def soft_cross_entropy(logits: ArrayLike, targets: ArrayLike, *, reduction: str = "mean") -> Array:
    """-sum_j t_j log softmax(z)_j. Shapes: (*batch, v), (*batch, v) -> () or (*batch)."""
    logits, targets = float64(logits), float64(targets)
    losses = np.zeros(logits.shape[:-1])
    for index in np.ndindex(losses.shape):
        for j in range(logits.shape[-1]):
            cost = softmax_cross_entropy(logits[index], np.asarray(j), reduction="none")
            losses[index] += targets[(*index, j)] * cost
    return reduce_examples(losses, reduction)


def collapsed(path: tuple[int, ...], blank: int) -> list[int]:
    """What an alignment reads as: repetitions are one, then blanks go."""
    kept = [k for t, k in enumerate(path) if t == 0 or path[t - 1] != k]
    return [k for k in kept if k != blank]


def alignments(p: Array, labels: list[int], blank: int) -> list[tuple[tuple[int, ...], float]]:
    """Every path of classes that reads as the labels, with its probability."""
    times, classes = p.shape
    return [
        (path, math.prod(p[t, k] for t, k in enumerate(path)))
        for path in itertools.product(range(classes), repeat=times)
        if collapsed(path, blank) == labels
    ]


def ctc_examples(
    logits: ArrayLike,
    labels: ArrayLike,
    logit_lengths: ArrayLike | None,
    label_lengths: ArrayLike | None,
) -> list[tuple[Array, list[int]]]:
    """For each example the probabilities of the times that count, and the labels that do."""
    logits, labels = float64(logits), np.asarray(labels)
    n, times, width = len(logits), logits.shape[1], labels.shape[1]
    ends = np.full(n, times) if logit_lengths is None else np.asarray(logit_lengths)
    counts = np.full(n, width) if label_lengths is None else np.asarray(label_lengths)
    return [
        (softmax(logits[i, : ends[i]]), [int(k) for k in labels[i, : counts[i]]]) for i in range(n)
    ]


def ctc(
    logits: ArrayLike,
    labels: ArrayLike,
    logit_lengths: ArrayLike | None = None,
    label_lengths: ArrayLike | None = None,
    *,
    blank: int = 0,
    reduction: str = "mean",
) -> Array:
    """-log of the sum over all alignments, written down one by one.

    Shapes: (n, t, v), (n, s), (n), (n) -> () or (n).
    """
    losses = [
        -math.log(math.fsum(prob for _, prob in alignments(p, target, blank)))
        for p, target in ctc_examples(logits, labels, logit_lengths, label_lengths)
    ]
    return reduce_examples(float64(losses), reduction)


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


def fused_linear_cross_entropy(
    x: ArrayLike,
    w: ArrayLike,
    labels: NDArray[np.integer],
    *,
    reduction: str = "mean",
    chunk: int | None = None,
) -> Array:
    """softmax_cross_entropy of the logits x w; `chunk` changes nothing: it cuts purebp's work.

    Shapes: (*batch, d), (d, v), (*batch) -> ().
    """
    return softmax_cross_entropy(affine(x, w), labels, reduction=reduction)


DEFINITIONS: dict[str, Callable] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "fused_linear_cross_entropy": fused_linear_cross_entropy,
    "soft_cross_entropy": soft_cross_entropy,
    "ctc": ctc,
    "svm": svm,
    "half_squared_error": half_squared_error,
    "l2": l2,
    "l1": l1,
}
