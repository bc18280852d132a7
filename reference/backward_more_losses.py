"""Backward passes of the losses of `reference.more_losses`.

Each slope function gives the slopes of one example's loss for each argument. Kinks: slope 0 where
an error is 0, a margin is met exactly, a vector is 0.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from reference.backward_gates import Arguments
from reference.backward_losses import upstream_of_examples
from reference.gates import scalar_sigmoid
from reference.more_losses import cosine_of, length, log_sum_exp, minus, scalar_entropy
from reference.shapes import Array, float64


def entries_backward(
    slopes: Callable[..., tuple[float, ...]],
    args: Arguments,
    y_bar: Array,
    *,
    reduction: str = "mean",
    **options: float,
) -> tuple[Array, ...]:
    """Upstream times slope, entry by entry."""
    wide = [float64(arg) for arg in args]
    upstream = upstream_of_examples(y_bar, wide[0].shape, reduction)
    bars = tuple(np.empty(array.shape) for array in wide)
    for index in np.ndindex(wide[0].shape):
        values = slopes(*(float(array[index]) for array in wide), **options)
        for bar, slope in zip(bars, values, strict=True):
            bar[index] = upstream[index] * slope
    return bars


def vectors_backward(
    slopes: Callable[..., tuple[list[float], ...]],
    args: Arguments,
    y_bar: Array,
    *,
    reduction: str = "mean",
    **options: float,
) -> tuple[Array, ...]:
    """Upstream times slope, vector by vector."""
    wide = [float64(arg) for arg in args]
    upstream = upstream_of_examples(y_bar, wide[0].shape[:-1], reduction)
    bars = tuple(np.empty(array.shape) for array in wide)
    for index in np.ndindex(wide[0].shape[:-1]):
        values = slopes(*(array[index].tolist() for array in wide), **options)
        for bar, slope in zip(bars, values, strict=True):
            bar[index] = [upstream[index] * value for value in slope]
    return bars


def mse_slopes(y: float, target: float) -> tuple[float, float]:
    """2 (y - t)."""
    return 2.0 * (y - target), -2.0 * (y - target)


def l1_slopes(y: float, target: float) -> tuple[float, float]:
    """The sign of y - t."""
    sign = float(y > target) - float(y < target)
    return sign, -sign


def huber_slopes(y: float, target: float, *, delta: float = 1.0) -> tuple[float, float]:
    """y - t, at most delta in size."""
    slope = min(max(y - target, -delta), delta)
    return slope, -slope


def log_cosh_slopes(y: float, target: float) -> tuple[float, float]:
    """tanh(y - t)."""
    return math.tanh(y - target), -math.tanh(y - target)


def gaussian_slopes(mean: float, target: float, var: float) -> tuple[float, float, float]:
    """(m - t) / v, its negative, and (1 - (t - m)^2 / v) / (2 v)."""
    pull = (mean - target) / var
    return pull, -pull, (1.0 - (target - mean) ** 2 / var) / (2.0 * var)


def entropy_slopes(z: float, target: float) -> tuple[float, float]:
    """s(z) - t as (1 - t) s(z) - t s(-z), and -z."""
    return (1.0 - target) * scalar_sigmoid(z) - target * scalar_sigmoid(-z), -z


def focal_slopes(
    z: float, target: float, *, gamma: float = 2.0, alpha: float | None = None
) -> tuple[float, float]:
    """The product rule for weight * wrong^gamma * entropy."""
    p, q = scalar_sigmoid(z), scalar_sigmoid(-z)
    wrong, entropy = target * q + (1.0 - target) * p, scalar_entropy(z, target)
    weight = 1.0 if alpha is None else alpha * target + (1.0 - alpha) * (1.0 - target)
    entropy_z, entropy_t = entropy_slopes(z, target)
    wrong_z, wrong_t = (1.0 - 2.0 * target) * p * q, q - p
    weight_t = 0.0 if alpha is None else 2.0 * alpha - 1.0
    steep = gamma * wrong ** (gamma - 1.0) * entropy
    z_slope = weight * (wrong**gamma * entropy_z + steep * wrong_z)
    t_slope = weight * (wrong**gamma * entropy_t + steep * wrong_t)
    return z_slope, t_slope + weight_t * wrong**gamma * entropy


def hinge_slopes(score: float, target: float) -> tuple[float, float]:
    """-t and -s where 1 - t s is above 0."""
    return (-target, -score) if 1.0 - target * score > 0 else (0.0, 0.0)


def kl_slopes(log_p: list[float], target: list[float]) -> tuple[list[float], list[float]]:
    """-t, and log t + 1 - log p."""
    pairs = list(zip(log_p, target, strict=True))
    return [-t for t in target], [math.log(t) + 1.0 - log if t else 0.0 for log, t in pairs]


def js_slopes(log_p: list[float], log_q: list[float]) -> tuple[list[float], list[float]]:
    """p log(p / m) / 2, and the same of q."""
    first, second = [], []
    for log_a, log_b in zip(log_p, log_q, strict=True):
        a, b = math.exp(log_a), math.exp(log_b)
        m = (a + b) / 2.0
        first.append(a * math.log(a / m) / 2.0 if a else 0.0)
        second.append(b * math.log(b / m) / 2.0 if b else 0.0)
    return first, second


def cosine_slopes(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """(y / |y| - c x / |x|) / |x|, and the other way round."""
    n, m, c = length(x), length(y), cosine_of(x, y)
    if n * m == 0:
        return [0.0] * len(x), [0.0] * len(y)
    pairs = list(zip(x, y, strict=True))
    return [(b / m - c * a / n) / n for a, b in pairs], [(a / n - c * b / m) / m for a, b in pairs]


def cosine_distance_slopes(x: list[float], y: list[float]) -> tuple[list[float], list[float]]:
    """The negative of the cosine's."""
    first, second = cosine_slopes(x, y)
    return [-v for v in first], [-v for v in second]


def triplet_slopes(
    anchor: list[float], positive: list[float], negative: list[float], *, margin: float = 1.0
) -> tuple[list[float], list[float], list[float]]:
    """u - v, -u and v with the directions u to the positive and v to the negative."""
    near, far = minus(anchor, positive), minus(anchor, negative)
    n, f = length(near), length(far)
    counts = float(n - f + margin > 0)
    u = [counts * a / n if n else 0.0 for a in near]
    v = [counts * a / f if f else 0.0 for a in far]
    return minus(u, v), [-a for a in u], v


def dice_slopes(
    p: list[float], target: list[float], *, smooth: float = 1.0
) -> tuple[list[float], list[float]]:
    """1 - N / D: (N / D - 2t) / D and (N / D - 2p) / D."""
    top = 2.0 * math.fsum(a * b for a, b in zip(p, target, strict=True)) + smooth
    below = math.fsum(p) + math.fsum(target) + smooth
    first = [(top / below - 2.0 * t) / below for t in target]
    return first, [(top / below - 2.0 * a) / below for a in p]


def info_nce_backward(
    args: Arguments, y_bar: Array, *, temperature: float = 0.07, reduction: str = "mean"
) -> tuple[Array, Array]:
    """Each pair (i, j) pulls x_i and y_j by its share in row i and in column j."""
    x, y = float64(args[0]), float64(args[1])
    n = len(x)
    g = upstream_of_examples(y_bar, (n,), reduction)
    s = [[float(np.sum(x[i] * y[j])) / temperature for j in range(n)] for i in range(n)]
    x_bar, y_bar = np.zeros(x.shape), np.zeros(y.shape)
    for i, j in np.ndindex(n, n):
        row = math.exp(s[i][j] - log_sum_exp(s[i]))
        column = math.exp(s[i][j] - log_sum_exp([s[k][j] for k in range(n)]))
        pull = (g[i] * (row - (i == j)) + g[j] * (column - (i == j))) / 2.0 / temperature
        x_bar[i] += pull * y[j]
        y_bar[j] += pull * x[i]
    return x_bar, y_bar


def elastic_net_backward(
    args: Arguments, y_bar: Array, *, l1: float = 1.0, l2: float = 1.0
) -> tuple[Array]:
    """l1 sign(w) + l2 w."""
    w = float64(args[0])
    w_bar = np.empty(w.shape)
    for index in np.ndindex(w.shape):
        w_bar[index] = y_bar * (l1 * np.sign(w[index]) + l2 * w[index])
    return (w_bar,)


def max_norm_backward(
    args: Arguments, y_bar: Array, *, limit: float = 1.0, strength: float = 1.0
) -> tuple[Array]:
    """(length - limit) times the direction, for each column that is too long."""
    w = float64(args[0])
    w_bar = np.zeros(w.shape)
    for j in range(w.shape[1]):
        size = length(w[:, j].tolist())
        if size > limit:
            for i in range(w.shape[0]):
                w_bar[i, j] = y_bar * strength * (size - limit) * w[i, j] / size
    return (w_bar,)


def cosine_similarity_backward(args: Arguments, y_bar: Array) -> tuple[Array, ...]:
    """Pair by pair."""
    return vectors_backward(cosine_slopes, args, y_bar, reduction="none")


BACKWARD: dict[str, Callable] = {
    "mse": partial(entries_backward, mse_slopes),
    "l1_loss": partial(entries_backward, l1_slopes),
    "huber": partial(entries_backward, huber_slopes),
    "log_cosh": partial(entries_backward, log_cosh_slopes),
    "gaussian_nll": partial(entries_backward, gaussian_slopes),
    "binary_cross_entropy": partial(entries_backward, entropy_slopes),
    "focal": partial(entries_backward, focal_slopes),
    "hinge": partial(entries_backward, hinge_slopes),
    "kl_divergence": partial(vectors_backward, kl_slopes),
    "js_divergence": partial(vectors_backward, js_slopes),
    "info_nce": info_nce_backward,
    "cosine_similarity": cosine_similarity_backward,
    "cosine_distance": partial(vectors_backward, cosine_distance_slopes),
    "triplet": partial(vectors_backward, triplet_slopes),
    "dice": partial(vectors_backward, dice_slopes),
    "elastic_net": elastic_net_backward,
    "max_norm": max_norm_backward,
}
