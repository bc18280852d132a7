"""Backward passes of the norms; see `reference.backward_gates` for how they are called."""

import math
from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.shapes import Array, float64


@np.errstate(all="ignore")
def standardize_backward(
    values: list[float], standard_bar: list[float], eps: float
) -> tuple[list[float], list[float]]:
    """standard = (v - mean) / sqrt(var + eps), node by node: returns v_bar and standard itself.

    Forward: centred = v - mean, var = mean of centred^2, r = (var + eps)^(-1/2),
    standard = centred * r. Backward: the same nodes from right to left.
    """
    if not values:
        return [], []
    count = len(values)
    mean = sum(values) / count
    centred = [v - mean for v in values]
    var = sum(c * c for c in centred) / count
    r = 1.0 / np.sqrt(var + eps)
    r_bar = sum(s_bar * c for s_bar, c in zip(standard_bar, centred, strict=True))
    var_bar = r_bar * -0.5 * r**3
    centred_bar = [
        s_bar * r + var_bar * 2.0 * c / count
        for s_bar, c in zip(standard_bar, centred, strict=True)
    ]
    mean_bar = -sum(centred_bar)
    return [c_bar + mean_bar / count for c_bar in centred_bar], [c * r for c in centred]


def batch_norm_backward(
    args: Arguments, y_bar: Array, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Channel by channel: standard_bar = gamma y_bar, gamma_bar = sum y_bar standard, beta_bar."""
    x, gamma, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, gamma_bar, beta_bar = np.empty(x.shape), np.zeros(gamma.shape), np.zeros(gamma.shape)
    for c in range(x.shape[1]):
        indices = [index for index in np.ndindex(x.shape) if index[1] == c]
        if not indices:
            continue
        standard_bar = [gamma[c] * y_bar[index] for index in indices]
        values_bar, standard = standardize_backward(
            [float(x[i]) for i in indices], standard_bar, eps
        )
        for index, value_bar, s in zip(indices, values_bar, standard, strict=True):
            x_bar[index] = value_bar
            gamma_bar[c] += y_bar[index] * s
            beta_bar[c] += y_bar[index]
    return x_bar, gamma_bar, beta_bar


@np.errstate(all="ignore")
def batch_norm_eval_backward(
    args: Arguments, y_bar: Array, *, eps: float = 1e-5
) -> tuple[Array, Array, Array, Array, Array]:
    """y = gamma (x - mean) r + beta with r = (var + eps)^(-1/2), dr = -r^3 / 2 dvar."""
    x, gamma, _, mean, var = map(float64, args)
    y_bar = float64(y_bar)
    x_bar = np.empty(x.shape)
    gamma_bar, beta_bar, mean_bar, var_bar = (np.zeros(gamma.shape) for _ in range(4))
    for index in np.ndindex(x.shape):
        c = index[1]
        r = 1.0 / np.sqrt(var[c] + eps)
        centred = x[index] - mean[c]
        x_bar[index] = y_bar[index] * gamma[c] * r
        gamma_bar[c] += y_bar[index] * centred * r
        beta_bar[c] += y_bar[index]
        mean_bar[c] -= y_bar[index] * gamma[c] * r
        var_bar[c] += y_bar[index] * gamma[c] * centred * -0.5 * r**3
    return x_bar, gamma_bar, beta_bar, mean_bar, var_bar


def layer_norm_backward(
    args: Arguments, y_bar: Array, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Example by example, as batch_norm along the last axis."""
    x, gamma, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, gamma_bar, beta_bar = np.empty(x.shape), np.zeros(gamma.shape), np.zeros(gamma.shape)
    for index in np.ndindex(x.shape[:-1]):
        standard_bar = [g * upstream for g, upstream in zip(gamma, y_bar[index], strict=True)]
        values_bar, standard = standardize_backward(x[index].tolist(), standard_bar, eps)
        for i, value_bar in enumerate(values_bar):
            x_bar[(*index, i)] = value_bar
            gamma_bar[i] += y_bar[(*index, i)] * standard[i]
            beta_bar[i] += y_bar[(*index, i)]
    return x_bar, gamma_bar, beta_bar


@np.errstate(all="ignore")
def rms_norm_backward(args: Arguments, y_bar: Array, *, eps: float = 1e-6) -> tuple[Array, Array]:
    """Node by node: y = gamma * n, n = x * r, r = s^(-1/2), s = mean of x^2 + eps."""
    x, gamma, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, gamma_bar = np.empty(x.shape), np.zeros(gamma.shape)
    for index in np.ndindex(x.shape[:-1]):
        values = x[index].tolist()
        s = sum(v * v for v in values) / len(values) + eps if values else eps
        r = 1.0 / np.sqrt(s)
        n_bar = [upstream * g for upstream, g in zip(y_bar[index], gamma, strict=True)]
        r_bar = sum(bar * v for bar, v in zip(n_bar, values, strict=True))
        s_bar = r_bar * -0.5 * s**-1.5
        for i, v in enumerate(values):
            x_bar[(*index, i)] = n_bar[i] * r + s_bar * 2.0 * v / len(values)
            gamma_bar[i] += y_bar[(*index, i)] * v * r
    return x_bar, gamma_bar


def l2_normalize_backward(
    args: Arguments, y_bar: Array, *, axis: int = -1, eps: float = 1e-12
) -> tuple[Array]:
    """By the quotient rule for y = x / length; y = x / eps where the length is below eps."""
    x = np.moveaxis(float64(args[0]), axis, -1)
    y_bar = np.moveaxis(float64(y_bar), axis, -1)
    x_bar = np.empty(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        length = math.sqrt(sum(v * v for v in x[index]))
        length_bar = 0.0
        if length > eps:
            pairs = zip(x[index], y_bar[index], strict=True)
            length_bar = -sum(v * upstream for v, upstream in pairs) / length**2
        for i, v in enumerate(x[index]):
            x_bar[(*index, i)] = y_bar[(*index, i)] / max(length, eps)
            if length > eps:
                x_bar[(*index, i)] += length_bar * v / length
    return (np.moveaxis(x_bar, -1, axis),)


def group_norm_backward(
    args: Arguments, y_bar: Array, *, groups: int = 32, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Group by group, as batch_norm; gamma and beta change from channel to channel."""
    x, gamma, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, gamma_bar, beta_bar = np.empty(x.shape), np.zeros(gamma.shape), np.zeros(gamma.shape)
    width = x.shape[1] // groups
    for n in range(x.shape[0]):
        for group in range(groups):
            channels = range(group * width, (group + 1) * width)
            places = [(n, c, *index) for c in channels for index in np.ndindex(x.shape[2:])]
            standard_bar = [float(gamma[place[1]] * y_bar[place]) for place in places]
            values = [float(x[place]) for place in places]
            values_bar, standard = standardize_backward(values, standard_bar, eps)
            for place, value_bar, value in zip(places, values_bar, standard, strict=True):
                x_bar[place] = value_bar
                gamma_bar[place[1]] += y_bar[place] * value
                beta_bar[place[1]] += y_bar[place]
    return x_bar, gamma_bar, beta_bar


def instance_norm_backward(
    args: Arguments, y_bar: Array, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """A group for each channel."""
    return group_norm_backward(args, y_bar, groups=np.shape(args[0])[1], eps=eps)


def add_rms_norm_backward(
    args: Arguments, y_bar: tuple[Array, Array], *, eps: float = 1e-6
) -> tuple[Array, Array, Array]:
    """s = x + residual goes two ways, so its gradients add; the sum hands them to both."""
    s = float64(args[0]) + float64(args[1])
    x_bar, gamma_bar = rms_norm_backward((s, args[2]), y_bar[0], eps=eps)
    return x_bar + y_bar[1], x_bar + y_bar[1], gamma_bar


def add_layer_norm_backward(
    args: Arguments, y_bar: tuple[Array, Array], *, eps: float = 1e-5
) -> tuple[Array, Array, Array, Array]:
    """As add_rms_norm."""
    s = float64(args[0]) + float64(args[1])
    x_bar, gamma_bar, beta_bar = layer_norm_backward((s, *args[2:]), y_bar[0], eps=eps)
    return x_bar + y_bar[1], x_bar + y_bar[1], gamma_bar, beta_bar


BACKWARD: dict[str, Callable] = {
    "batch_norm": batch_norm_backward,
    "batch_norm_eval": batch_norm_eval_backward,
    "layer_norm": layer_norm_backward,
    "rms_norm": rms_norm_backward,
    "l2_normalize": l2_normalize_backward,
    "group_norm": group_norm_backward,
    "instance_norm": instance_norm_backward,
    "add_rms_norm": add_rms_norm_backward,
    "add_layer_norm": add_layer_norm_backward,
}
