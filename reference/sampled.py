"""Samples, norms of weights and the divergence of a Gaussian, as nested loops.

The samples take the noise, not the key that draws it.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.losses import reduce_examples
from reference.shapes import Array, float64


def gaussian_sample(mean: ArrayLike, log_var: ArrayLike, noise: ArrayLike) -> Array:
    """mean + standard deviation * noise."""
    mean, log_var, noise = float64(mean), float64(log_var), float64(noise)
    z = np.empty(mean.shape)
    for index in np.ndindex(z.shape):
        z[index] = mean[index] + math.sqrt(math.exp(log_var[index])) * noise[index]
    return z


def gumbel_softmax(logits: ArrayLike, noise: ArrayLike, *, temperature: float = 1.0) -> Array:
    """softmax((logits + noise) / temperature) of each row."""
    logits, noise = float64(logits), float64(noise)
    y = np.empty(logits.shape)
    for index in np.ndindex(logits.shape[:-1]):
        scores = [(a + n) / temperature for a, n in zip(logits[index], noise[index], strict=True)]
        most = max(scores)
        total = math.fsum(math.exp(s - most) for s in scores)
        y[index] = [math.exp(s - most) / total for s in scores]
    return y


def features(v: Array, axis: int) -> Array:
    """The weights of each feature as one row: a view where that is possible."""
    moved = np.moveaxis(v, axis, 0)
    return moved.reshape(len(moved), -1)


def like(rows: Array, v: Array, axis: int) -> Array:
    """Rows of features in the shape of v."""
    moved = np.moveaxis(v, axis, 0).shape
    return np.moveaxis(rows.reshape(moved), 0, axis)


def weight_norm(v: ArrayLike, g: ArrayLike, *, axis: int = -1) -> Array:
    """g v / |v| for each feature."""
    v, g = float64(v), float64(g)
    rows = []
    for row, length in zip(features(v, axis).tolist(), g.tolist(), strict=True):
        size = math.sqrt(math.fsum(a * a for a in row))
        rows.append([length * a / size if size else 0.0 for a in row])
    return like(np.array(rows), v, axis)


def singular_value(w: Array, u: Array, v: Array) -> float:
    """u^T w v."""
    return math.fsum(u[i] * w[i, j] * v[j] for i, j in np.ndindex(w.shape))


def spectral_norm(w: ArrayLike, u: ArrayLike, v: ArrayLike) -> Array:
    """w over u^T w v."""
    w = float64(w)
    s = singular_value(w, float64(u), float64(v))
    y = np.empty(w.shape)
    for index in np.ndindex(w.shape):
        y[index] = w[index] / s
    return y


def gaussian_kl(mean: ArrayLike, log_var: ArrayLike, *, reduction: str = "mean") -> Array:
    """The sum of (m^2 + e^v - 1 - v) / 2 over each example's entries."""
    mean, log_var = float64(mean), float64(log_var)
    losses = np.empty(mean.shape[:-1])
    for index in np.ndindex(losses.shape):
        pairs = zip(mean[index].tolist(), log_var[index].tolist(), strict=True)
        losses[index] = math.fsum((m * m + math.expm1(v) - v) / 2.0 for m, v in pairs)
    return reduce_examples(losses, reduction)


DEFINITIONS: dict[str, Callable] = {
    "gaussian_sample": gaussian_sample,
    "gumbel_softmax": gumbel_softmax,
    "weight_norm": weight_norm,
    "spectral_norm": spectral_norm,
    "gaussian_kl": gaussian_kl,
}
