"""Backward passes of `reference.sampled`, written out from the Jacobians."""

import math
from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.backward_losses import upstream_of_examples
from reference.sampled import features, gumbel_softmax, like, singular_value
from reference.shapes import Array, float64


def gaussian_sample_backward(args: Arguments, y_bar: Array) -> tuple[Array, Array, None]:
    """z_bar, and z_bar times half of what the noise adds."""
    log_var, noise = float64(args[1]), float64(args[2])
    log_var_bar = np.empty(log_var.shape)
    for index in np.ndindex(log_var.shape):
        log_var_bar[index] = y_bar[index] * math.exp(log_var[index] / 2.0) * noise[index] / 2.0
    return float64(y_bar), log_var_bar, None


def gumbel_softmax_backward(
    args: Arguments, y_bar: Array, *, temperature: float = 1.0
) -> tuple[Array, None]:
    """The rows of the softmax's Jacobian, p_i (1[i = j] - p_j) / temperature."""
    p = gumbel_softmax(args[0], args[1], temperature=temperature)
    bar = np.empty(p.shape)
    for index in np.ndindex(p.shape[:-1]):
        row, up = p[index].tolist(), y_bar[index].tolist()
        for j, q in enumerate(row):
            slopes = [a * (float(i == j) - q) for i, a in enumerate(row)]
            bar[(*index, j)] = math.fsum(u * s for u, s in zip(up, slopes, strict=True))
            bar[(*index, j)] /= temperature
    return bar, None


def weight_norm_backward(args: Arguments, y_bar: Array, *, axis: int = -1) -> tuple[Array, Array]:
    """With the Jacobian of v / |v|, (1[i = j] - u_i u_j) / |v|."""
    v, g = float64(args[0]), float64(args[1])
    rows, ups = features(v, axis), features(float64(y_bar), axis)
    v_bar, g_bar = np.zeros(rows.shape), np.zeros(g.shape)
    for f in range(len(g)):
        row, up = rows[f].tolist(), ups[f].tolist()
        size = math.sqrt(math.fsum(a * a for a in row))
        if not size:
            continue
        u = [a / size for a in row]
        g_bar[f] = math.fsum(a * b for a, b in zip(up, u, strict=True))
        for j, b in enumerate(u):
            terms = [up[i] * (float(i == j) - a * b) for i, a in enumerate(u)]
            v_bar[f, j] = g[f] / size * math.fsum(terms)
    return like(v_bar, v, axis), g_bar


def spectral_norm_backward(args: Arguments, y_bar: Array) -> tuple[Array, None, None]:
    """The quotient rule for each entry, s having the slope u_i v_j."""
    w, u, v = (float64(arg) for arg in args)
    s = singular_value(w, u, v)
    w_bar = np.empty(w.shape)
    along = math.fsum(y_bar[index] * w[index] for index in np.ndindex(w.shape))
    for i, j in np.ndindex(w.shape):
        w_bar[i, j] = y_bar[i, j] / s - along * u[i] * v[j] / s**2
    return w_bar, None, None


def gaussian_kl_backward(
    args: Arguments, y_bar: Array, *, reduction: str = "mean"
) -> tuple[Array, Array]:
    """m, and (e^v - 1) / 2."""
    mean, log_var = float64(args[0]), float64(args[1])
    upstream = upstream_of_examples(y_bar, mean.shape[:-1], reduction)
    bars = np.empty(mean.shape), np.empty(mean.shape)
    for index in np.ndindex(mean.shape):
        bars[0][index] = upstream[index[:-1]] * mean[index]
        bars[1][index] = upstream[index[:-1]] * math.expm1(log_var[index]) / 2.0
    return bars


BACKWARD: dict[str, Callable] = {
    "gaussian_sample": gaussian_sample_backward,
    "gumbel_softmax": gumbel_softmax_backward,
    "weight_norm": weight_norm_backward,
    "spectral_norm": spectral_norm_backward,
    "gaussian_kl": gaussian_kl_backward,
}
