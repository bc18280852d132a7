"""The norms, as nested loops."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, float64


def mean_and_variance(values: list[float]) -> tuple[float, float]:
    """m = sum v / n and sum (v - m)^2 / n (biased); NaN for no values."""
    if not values:
        return math.nan, math.nan
    mean = sum(values) / len(values)
    return mean, sum((value - mean) * (value - mean) for value in values) / len(values)


def batch_norm(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5
) -> tuple[Array, tuple[Array, Array]]:
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, mean and var over all axes but the channel.

    Shapes: (n, c, *spatial), (c), (c) -> (n, c, *spatial) and (mean, var) of shape (c) each.
    """
    x = float64(x)
    means, variances = np.empty(x.shape[1]), np.empty(x.shape[1])
    for c in range(x.shape[1]):
        values = [float(x[index]) for index in np.ndindex(x.shape) if index[1] == c]
        means[c], variances[c] = mean_and_variance(values)
    return batch_norm_eval(x, gamma, beta, means, variances, eps=eps), (means, variances)


@np.errstate(all="ignore")
def batch_norm_eval(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    *,
    eps: float = 1e-5,
) -> Array:
    """y = gamma * (x - mean) / sqrt(var + eps) + beta with given mean and var of each channel.

    Shapes: (n, c, *spatial) and four times (c) -> (n, c, *spatial).
    """
    x, gamma, beta, mean, var = map(float64, (x, gamma, beta, mean, var))
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        c = index[1]
        y[index] = gamma[c] * (x[index] - mean[c]) / np.sqrt(var[c] + eps) + beta[c]
    return y


@np.errstate(all="ignore")
def layer_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5) -> Array:
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, mean and var over the last axis.

    Shapes: (*batch, d), (d), (d) -> (*batch, d).
    """
    x, gamma, beta = map(float64, (x, gamma, beta))
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        mean, var = mean_and_variance(x[index].tolist())
        for i, value in enumerate(x[index]):
            y[(*index, i)] = gamma[i] * (value - mean) / np.sqrt(var + eps) + beta[i]
    return y


@np.errstate(all="ignore")
def rms_norm(x: ArrayLike, gamma: ArrayLike, *, eps: float = 1e-6) -> Array:
    """y = gamma * x / sqrt(mean of x^2 + eps), the mean over the last axis.

    Shapes: (*batch, d), (d) -> (*batch, d).
    """
    x, gamma = float64(x), float64(gamma)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        square = sum(value * value for value in x[index]) / x.shape[-1]
        for i, value in enumerate(x[index]):
            y[(*index, i)] = gamma[i] * value / np.sqrt(square + eps)
    return y


def l2_normalize(x: ArrayLike, *, axis: int = -1, eps: float = 1e-12) -> Array:
    """y = x / max(length, eps) for each vector along the axis.

    Shapes: any -> the same.
    """
    x = np.moveaxis(float64(x), axis, -1)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        length = math.sqrt(sum(value * value for value in x[index]))
        for i, value in enumerate(x[index]):
            y[(*index, i)] = value / max(length, eps)
    return np.moveaxis(y, -1, axis)


def group_norm(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, groups: int = 32, eps: float = 1e-5
) -> Array:
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, mean and var over a group of an example.

    A group is c / groups channels in a row, with all positions.
    Shapes: (n, c, *spatial), (c), (c) -> (n, c, *spatial).
    """
    x, gamma, beta = map(float64, (x, gamma, beta))
    width = x.shape[1] // groups
    y = np.empty(x.shape)
    for n in range(x.shape[0]):
        for group in range(groups):
            channels = range(group * width, (group + 1) * width)
            values = [float(v) for c in channels for v in x[n, c].ravel()]
            mean, var = mean_and_variance(values)
            for c in channels:
                for index in np.ndindex(x.shape[2:]):
                    standard = (x[(n, c, *index)] - mean) / np.sqrt(var + eps)
                    y[(n, c, *index)] = gamma[c] * standard + beta[c]
    return y


def instance_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5) -> Array:
    """group_norm with one channel in a group. Shapes: as there."""
    return group_norm(x, gamma, beta, groups=np.shape(x)[1], eps=eps)


def add_rms_norm(
    x: ArrayLike, residual: ArrayLike, gamma: ArrayLike, *, eps: float = 1e-6
) -> tuple[Array, Array]:
    """rms_norm of s = x + residual, and s. Shapes: (*batch, d) twice, (d) -> (*batch, d) twice."""
    s = float64(x) + float64(residual)
    return rms_norm(s, gamma, eps=eps), s


def add_layer_norm(
    x: ArrayLike, residual: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5
) -> tuple[Array, Array]:
    """layer_norm of s = x + residual, and s. Shapes: as add_rms_norm, beta (d)."""
    s = float64(x) + float64(residual)
    return layer_norm(s, gamma, beta, eps=eps), s


DEFINITIONS: dict[str, Callable] = {
    "batch_norm": batch_norm,
    "batch_norm_eval": batch_norm_eval,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "l2_normalize": l2_normalize,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "add_rms_norm": add_rms_norm,
    "add_layer_norm": add_layer_norm,
}
