"""Losses of differences, decisions, distributions and vectors, one example at a time.

See `reference.losses`; where the losses are of entries, each entry is an example.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from reference.activations import scalar_softplus
from reference.gates import scalar_sigmoid
from reference.losses import reduce_examples
from reference.shapes import Array, float64


def entries(
    scalar: Callable[..., float], *arrays: ArrayLike, reduction: str = "mean", **options: float
) -> Array:
    """A loss for each entry."""
    wide = [float64(array) for array in arrays]
    losses = np.empty(wide[0].shape)
    for index in np.ndindex(losses.shape):
        losses[index] = scalar(*(float(array[index]) for array in wide), **options)
    return reduce_examples(losses, reduction)


def vectors(
    function: Callable[..., float], *arrays: ArrayLike, reduction: str = "mean", **options: float
) -> Array:
    """A loss for each vector along the last axis."""
    wide = [float64(array) for array in arrays]
    losses = np.empty(wide[0].shape[:-1])
    for index in np.ndindex(losses.shape):
        losses[index] = function(*(array[index].tolist() for array in wide), **options)
    return reduce_examples(losses, reduction)


def scalar_mse(y: float, target: float) -> float:
    """(y - t)^2."""
    return (y - target) ** 2


def scalar_l1(y: float, target: float) -> float:
    """|y - t|."""
    return abs(y - target)


def scalar_huber(y: float, target: float, *, delta: float = 1.0) -> float:
    """e^2 / 2 up to |e| = delta, then delta (|e| - delta / 2)."""
    size = abs(y - target)
    return size**2 / 2.0 if size <= delta else delta * (size - delta / 2.0)


def scalar_log_cosh(y: float, target: float) -> float:
    """log(cosh(e)) = |e| + log((1 + exp(-2|e|)) / 2); near 0 log(1 + 2 sinh(e/2)^2)."""
    size = abs(y - target)
    if size < 1:
        return math.log1p(2.0 * math.sinh(size / 2.0) ** 2)
    return size + math.log1p(math.exp(-2.0 * size)) - math.log(2.0)


def scalar_gaussian(mean: float, target: float, var: float) -> float:
    """(log v + (t - m)^2 / v) / 2."""
    return (math.log(var) + (target - mean) ** 2 / var) / 2.0


def scalar_entropy(z: float, target: float) -> float:
    """t softplus(-z) + (1 - t) softplus(z)."""
    return target * scalar_softplus(-z) + (1.0 - target) * scalar_softplus(z)


def scalar_focal(
    z: float, target: float, *, gamma: float = 2.0, alpha: float | None = None
) -> float:
    """Weight times (1 - p_t)^gamma times the cross-entropy."""
    wrong = target * scalar_sigmoid(-z) + (1.0 - target) * scalar_sigmoid(z)
    weight = 1.0 if alpha is None else alpha * target + (1.0 - alpha) * (1.0 - target)
    return weight * wrong**gamma * scalar_entropy(z, target)


def scalar_hinge(score: float, target: float) -> float:
    """max(0, 1 - t s)."""
    return max(0.0, 1.0 - target * score)


def kl_of(log_p: list[float], target: list[float]) -> float:
    """sum t (log t - log p)."""
    pairs = zip(log_p, target, strict=True)
    return math.fsum(t * (math.log(t) - log) for log, t in pairs if t)


def js_of(log_p: list[float], log_q: list[float]) -> float:
    """The mean of KL(p | m) and KL(q | m)."""
    total = 0.0
    for log_a, log_b in zip(log_p, log_q, strict=True):
        a, b = math.exp(log_a), math.exp(log_b)
        m = (a + b) / 2.0
        total += (a * math.log(a / m) if a else 0.0) + (b * math.log(b / m) if b else 0.0)
    return total / 2.0


def length(x: list[float]) -> float:
    """Euclidean length."""
    return math.sqrt(math.fsum(v * v for v in x))


def cosine_of(x: list[float], y: list[float]) -> float:
    """x . y / (|x| |y|), 0 for a zero vector."""
    product = length(x) * length(y)
    return math.fsum(a * b for a, b in zip(x, y, strict=True)) / product if product else 0.0


def cosine_distance_of(x: list[float], y: list[float]) -> float:
    """1 - cosine."""
    return 1.0 - cosine_of(x, y)


def minus(x: list[float], y: list[float]) -> list[float]:
    """x - y."""
    return [a - b for a, b in zip(x, y, strict=True)]


def triplet_of(
    anchor: list[float], positive: list[float], negative: list[float], *, margin: float = 1.0
) -> float:
    """max(0, |a - p| - |a - n| + margin)."""
    return max(0.0, length(minus(anchor, positive)) - length(minus(anchor, negative)) + margin)


def dice_of(p: list[float], target: list[float], *, smooth: float = 1.0) -> float:
    """1 - (2 sum p t + c) / (sum p + sum t + c)."""
    top = 2.0 * math.fsum(a * b for a, b in zip(p, target, strict=True)) + smooth
    return 1.0 - top / (math.fsum(p) + math.fsum(target) + smooth)


def log_sum_exp(values: list[float]) -> float:
    """log(sum exp(v))."""
    most = max(values)
    return most + math.log(math.fsum(math.exp(v - most) for v in values))


def info_nce(
    x: ArrayLike, y: ArrayLike, *, temperature: float = 0.07, reduction: str = "mean"
) -> Array:
    """-log of the share of the pair (i, i) in its row, and in its column, averaged."""
    x, y = float64(x), float64(y)
    n = len(x)
    s = [[float(np.sum(x[i] * y[j])) / temperature for j in range(n)] for i in range(n)]
    losses = np.empty(n)
    for i in range(n):
        row, column = log_sum_exp(s[i]), log_sum_exp([s[j][i] for j in range(n)])
        losses[i] = (row - s[i][i] + column - s[i][i]) / 2.0
    return reduce_examples(losses, reduction)


def elastic_net(w: ArrayLike, *, l1: float = 1.0, l2: float = 1.0) -> Array:
    """l1 sum |w| + l2 / 2 sum w^2."""
    return float64(math.fsum(l1 * abs(v) + l2 / 2.0 * v * v for v in float64(w).ravel().tolist()))


def max_norm(w: ArrayLike, *, limit: float = 1.0, strength: float = 1.0) -> Array:
    """strength / 2 * sum over the columns of max(0, length - limit)^2."""
    columns = float64(w).T.tolist()
    beyond = [max(0.0, length(column) - limit) for column in columns]
    return float64(strength / 2.0 * math.fsum(excess**2 for excess in beyond))


def cosine_similarity(x: ArrayLike, y: ArrayLike) -> Array:
    """The cosine of each pair of vectors."""
    return vectors(cosine_of, x, y, reduction="none")


DEFINITIONS: dict[str, Callable] = {
    "mse": partial(entries, scalar_mse),
    "l1_loss": partial(entries, scalar_l1),
    "huber": partial(entries, scalar_huber),
    "log_cosh": partial(entries, scalar_log_cosh),
    "gaussian_nll": partial(entries, scalar_gaussian),
    "binary_cross_entropy": partial(entries, scalar_entropy),
    "focal": partial(entries, scalar_focal),
    "hinge": partial(entries, scalar_hinge),
    "kl_divergence": partial(vectors, kl_of),
    "js_divergence": partial(vectors, js_of),
    "info_nce": info_nce,
    "cosine_similarity": cosine_similarity,
    "cosine_distance": partial(vectors, cosine_distance_of),
    "triplet": partial(vectors, triplet_of),
    "dice": partial(vectors, dice_of),
    "elastic_net": elastic_net,
    "max_norm": max_norm,
}
