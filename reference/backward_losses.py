"""Backward passes of the losses; see `reference.backward_gates` for how they are called.

Labels are not differentiated: their entry is None. Kinks: svm has slope 0 where a margin is met
exactly, l1 has slope 0 at 0.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.activations import softmax
from reference.backward_gates import Arguments
from reference.backward_layers import affine_backward
from reference.layers import affine
from reference.losses import alignments, ctc_examples
from reference.shapes import Array, Index, float64


def upstream_of_examples(y_bar: ArrayLike, batch: Index, reduction: str) -> Array:
    """The gradient that reaches each example's loss: divided by their number for the mean."""
    y_bar = float64(y_bar)
    if reduction == "none":
        return y_bar
    count = int(np.prod(batch)) if reduction == "mean" else 1
    each = np.empty(batch)
    for index in np.ndindex(batch):
        each[index] = y_bar / count
    return each


def softmax_cross_entropy_backward(
    args: Arguments,
    y_bar: Array,
    *,
    reduction: str = "mean",
    ignore: int | None = None,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> tuple[Array, None]:
    """L = log(sum_j exp(z_j)) - z_label, so z_bar_j = p_j - [j = label], p = softmax(z).

    p_label - 1 is written as minus the sum of the others, which keeps its digits.
    """
    logits, labels = float64(args[0]), np.asarray(args[1])
    if ignore is not None or smoothing or z_loss:
        return extended_cross_entropy_backward(
            args, y_bar, reduction=reduction, ignore=ignore, smoothing=smoothing, z_loss=z_loss
        )
    p = softmax(logits)
    upstream = upstream_of_examples(y_bar, labels.shape, reduction)
    z_bar = np.empty(logits.shape)
    for index in np.ndindex(labels.shape):
        label = labels[index]
        others = 0.0
        for j in range(logits.shape[-1]):
            if j != label:
                z_bar[(*index, j)] = upstream[index] * p[(*index, j)]
                others += p[(*index, j)]
        z_bar[(*index, label)] = -upstream[index] * others
    return z_bar, None


def extended_cross_entropy_backward(
    args: Arguments,
    y_bar: Array,
    *,
    reduction: str,
    ignore: int | None,
    smoothing: float,
    z_loss: float,
) -> tuple[Array, None]:
    """Smoothing: a mixture of the gradients for every label; z-loss: 2 z_loss log_sum p."""
    logits, labels = float64(args[0]), np.asarray(args[1])
    p, classes = softmax(logits), logits.shape[-1]
    counted = np.ones(labels.shape, bool) if ignore is None else labels != ignore
    upstream = upstream_of_examples(y_bar, labels.shape, reduction)
    if ignore is not None and reduction == "mean":
        upstream = np.full(labels.shape, float64(y_bar) / max(np.sum(counted), 1))
    z_bar = np.zeros(logits.shape)
    for index in np.ndindex(labels.shape):
        if not counted[index]:
            continue
        z = logits[index]
        log_sum = np.max(z) + np.log(sum(np.exp(z - np.max(z))))
        for target in range(classes):
            weight = smoothing / classes + (1.0 - smoothing) * (target == labels[index])
            for j in range(classes):
                others = p[index].sum() - p[(*index, j)]
                slope = -others if j == target else p[(*index, j)]
                z_bar[(*index, j)] += upstream[index] * weight * slope
        z_bar[index] += upstream[index] * 2.0 * z_loss * log_sum * p[index]
    return z_bar, None


def soft_cross_entropy_backward(
    args: Arguments, y_bar: Array, *, reduction: str = "mean"
) -> tuple[Array, Array]:
    """z_bar_j = p_j sum_i t_i - t_j and t_bar_j = -log p_j, entry by entry."""
    logits, targets = float64(args[0]), float64(args[1])
    p = softmax(logits)
    upstream = upstream_of_examples(y_bar, logits.shape[:-1], reduction)
    z_bar, t_bar = np.zeros(logits.shape), np.empty(logits.shape)
    for index in np.ndindex(upstream.shape):
        z = logits[index]
        log_sum = np.log(sum(np.exp(z - np.max(z))))
        for j in range(len(z)):
            t_bar[(*index, j)] = upstream[index] * (log_sum - (z[j] - np.max(z)))
            for i in range(len(z)):
                slope = p[(*index, j)] - (i == j)
                z_bar[(*index, j)] += upstream[index] * targets[(*index, i)] * slope
    return z_bar, t_bar


def ctc_backward(
    args: Arguments, y_bar: Array, *, blank: int = 0, reduction: str = "mean"
) -> tuple[Array, None, None, None]:
    """z_bar_t = p_t - the share of the alignments, by probability, that have a class at t."""
    logits = float64(args[0])
    lengths = (*args[2:], None, None)[:2]
    upstream = upstream_of_examples(y_bar, logits.shape[:1], reduction)
    z_bar = np.zeros(logits.shape)
    for n, (p, target) in enumerate(ctc_examples(logits, args[1], *lengths)):
        found = alignments(p, target, blank)
        total = math.fsum(prob for _, prob in found)
        z_bar[n, : len(p)] = p
        for path, prob in found:
            for t, k in enumerate(path):
                z_bar[n, t, k] -= prob / total
        z_bar[n] *= upstream[n]
    return z_bar, None, None, None


def svm_backward(
    args: Arguments, y_bar: Array, *, margin: float = 1.0, reduction: str = "mean"
) -> tuple[Array, None]:
    """Each class j that violates the margin: +1 for s_j, -1 for s_label."""
    scores, labels = float64(args[0]), np.asarray(args[1])
    upstream = upstream_of_examples(y_bar, labels.shape, reduction)
    s_bar = np.zeros(scores.shape)
    for index in np.ndindex(labels.shape):
        label = labels[index]
        for j in range(scores.shape[-1]):
            if j != label and scores[(*index, j)] - scores[(*index, label)] + margin > 0:
                s_bar[(*index, j)] += upstream[index]
                s_bar[(*index, label)] -= upstream[index]
    return s_bar, None


def half_squared_error_backward(
    args: Arguments, y_bar: Array, *, reduction: str = "mean"
) -> tuple[Array, Array]:
    """d 1/2 (y - t)^2 = (y - t) dy - (y - t) dt."""
    y, target = float64(args[0]), float64(args[1])
    upstream = upstream_of_examples(y_bar, y.shape[:-1], reduction)
    own_bar, target_bar = np.empty(y.shape), np.empty(y.shape)
    for index in np.ndindex(y.shape):
        own_bar[index] = upstream[index[:-1]] * (y[index] - target[index])
        target_bar[index] = -own_bar[index]
    return own_bar, target_bar


def l2_backward(args: Arguments, y_bar: Array, *, strength: float = 1.0) -> tuple[Array]:
    """d(strength / 2 * w^2) = strength * w dw."""
    w = float64(args[0])
    w_bar = np.empty(w.shape)
    for index in np.ndindex(w.shape):
        w_bar[index] = y_bar * strength * w[index]
    return (w_bar,)


def l1_backward(args: Arguments, y_bar: Array, *, strength: float = 1.0) -> tuple[Array]:
    """d(strength * |w|) = strength * sign(w) dw."""
    w = float64(args[0])
    w_bar = np.empty(w.shape)
    for index in np.ndindex(w.shape):
        w_bar[index] = y_bar * strength * np.sign(w[index])
    return (w_bar,)


def fused_linear_cross_entropy_backward(
    args: Arguments, y_bar: Array, *, reduction: str = "mean", chunk: int | None = None
) -> tuple[Array, Array, None]:
    """Back through the loss to the logits, then through the products."""
    x, w, labels = args
    logits = (affine(x, w), labels)
    logits_bar, _ = softmax_cross_entropy_backward(logits, y_bar, reduction=reduction)
    x_bar, w_bar, _ = affine_backward((x, w), logits_bar)
    return x_bar, w_bar, None


BACKWARD: dict[str, Callable] = {
    "softmax_cross_entropy": softmax_cross_entropy_backward,
    "fused_linear_cross_entropy": fused_linear_cross_entropy_backward,
    "soft_cross_entropy": soft_cross_entropy_backward,
    "ctc": ctc_backward,
    "svm": svm_backward,
    "half_squared_error": half_squared_error_backward,
    "l2": l2_backward,
    "l1": l1_backward,
}
