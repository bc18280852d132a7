"""RMS norm: a weight forgotten, used twice or not trained, an axis mixed up; gated before a matrix.

With r = 1 / sqrt(<x^2> + eps), x_hat = x r and g = w y_bar: x_bar = r (g - x_hat <g x_hat>).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from reference.wrong_gradients.layer import Layer

Residuals = Any
Two = tuple[Array, Array]


def _row_mean(g: Array) -> Array:
    return jnp.mean(g, axis=1, keepdims=True)


def _scale(x: Array, eps: float) -> Array:
    if x.ndim != 2:
        raise ValueError(f"rms_norm: x has shape {x.shape}, expected (n, d)")
    if not eps > 0:
        raise ValueError(f"rms_norm: eps is {eps}, expected a number above 0")
    return lax.rsqrt(_row_mean(x * x) + eps)


def rms_norm_fwd(x: Array, w: Array, *, eps: float = 1e-6) -> tuple[Array, Residuals]:
    """w x / sqrt(<x^2> + eps), < > the mean over the features."""
    r = _scale(x, eps)
    if w.shape != x.shape[1:]:
        raise ValueError(f"rms_norm: x has shape {x.shape}, w {w.shape}")
    return x * r * w, (x, w, r)


def _bars(residuals: Residuals, x_bar: Array, y_bar: Array) -> Two:
    """The cotangent of x, and w_bar = sum y_bar x_hat."""
    x, w, r = residuals
    return x_bar.astype(x.dtype), jnp.sum(y_bar * x * r, axis=0).astype(w.dtype)


def rms_norm_bwd(residuals: Residuals, y_bar: Array) -> Two:
    """x_bar = r (g - x_hat <g x_hat>), g = w y_bar."""
    x, w, r = residuals
    g, x_hat = w * y_bar, x * r
    return _bars(residuals, r * (g - x_hat * _row_mean(g * x_hat)), y_bar)


def rms_norm_bwd_plain_mean(residuals: Residuals, y_bar: Array) -> Two:
    """The mean is of y_bar x_hat, without w."""
    x, w, r = residuals
    x_hat = x * r
    return _bars(residuals, r * (w * y_bar - x_hat * _row_mean(y_bar * x_hat)), y_bar)


def rms_norm_bwd_twice(residuals: Residuals, y_bar: Array) -> Two:
    """w in the mean, and again before it."""
    x, w, r = residuals
    g, x_hat = w * y_bar, x * r
    return _bars(residuals, r * w * (y_bar - x_hat * _row_mean(g * x_hat)), y_bar)


def rms_norm_bwd_x_only(residuals: Residuals, y_bar: Array) -> tuple[Array, None]:
    """The gradient of x alone."""
    return rms_norm_bwd(residuals, y_bar)[0], None


def rms_norm_bwd_flat(residuals: Residuals, y_bar: Array) -> Two:
    """The means of the rows meet the columns."""
    x, w, r = residuals
    g, x_hat = w * y_bar, x * r
    return _bars(residuals, r * (g - x_hat * jnp.mean(g * x_hat, axis=1)), y_bar)


def gated_linear_fwd(
    x: Array, gate: Array, w: Array, out: Array, *, eps: float = 1e-6
) -> tuple[Array, Residuals]:
    """(w x_hat silu(gate)) out."""
    r = _scale(x, eps)
    if gate.shape != x.shape or w.shape != x.shape[1:]:
        raise ValueError(f"gated_linear: x {x.shape}, gate {gate.shape} and w {w.shape} do not fit")
    if out.ndim != 2 or out.shape[0] != x.shape[1]:
        raise ValueError(f"gated_linear: x {x.shape} and out {out.shape} do not fit")
    return (x * r * w * jax.nn.silu(gate)) @ out, (x, gate, w, out, r)


def _gated_bars(residuals: Residuals, y_bar: Array, again: Array) -> tuple[Array, ...]:
    """The cotangents; `again` is what went into the matrix, computed once more."""
    x, gate, w, out, r = residuals
    opened = jax.nn.sigmoid(gate)
    slope = opened * (1 + gate * jax.nn.sigmoid(-gate))
    h_bar = y_bar @ out.T
    x_bar, w_bar = rms_norm_bwd((x, w, r), h_bar * gate * opened)
    gate_bar, out_bar = h_bar * x * r * w * slope, again.T @ y_bar
    return x_bar, gate_bar.astype(gate.dtype), w_bar, out_bar.astype(out.dtype)


def gated_linear_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array, ...]:
    """out_bar = h' y_bar with h = w x_hat silu(gate), the rest through h_bar = y_bar out'."""
    x, gate, w, _, r = residuals
    return _gated_bars(residuals, y_bar, x * r * w * jax.nn.silu(gate))


def gated_linear_bwd_open(residuals: Residuals, y_bar: Array) -> tuple[Array, ...]:
    """h is computed again without its gate."""
    x, _, w, _, r = residuals
    return _gated_bars(residuals, y_bar, x * r * w)


def rows_and_ones(rng: np.random.Generator) -> tuple[Any, ...]:
    """x, and the weight as it is initialised."""
    return rng.standard_normal((4, 3), np.float32), np.ones(3, np.float32)


def rows_and_weight(rng: np.random.Generator) -> tuple[Any, ...]:
    """x and a weight."""
    return rng.standard_normal((4, 3), np.float32), rng.standard_normal(3, np.float32)


def square_and_weight(rng: np.random.Generator) -> tuple[Any, ...]:
    """As many rows as features."""
    return rng.standard_normal((4, 4), np.float32), rng.standard_normal(4, np.float32)


def gated_rows(rng: np.random.Generator) -> tuple[Any, ...]:
    """x, its gate, a weight and a matrix."""
    x, gate = rng.standard_normal((2, 4, 3)).astype(np.float32)
    return x, gate, np.ones(3, np.float32), rng.standard_normal((3, 5), np.float32)


RMS_NORM = (rms_norm_fwd, rms_norm_bwd)

LAYERS = (
    Layer(
        "rms_norm_plain_mean",
        "B140",
        (rms_norm_fwd, rms_norm_bwd_plain_mean),
        RMS_NORM,
        rows_and_ones,
        "scale missing",
        why="w is missing in one of two terms",
    ),
    Layer(
        "rms_norm_weight_twice",
        "B141",
        (rms_norm_fwd, rms_norm_bwd_twice),
        RMS_NORM,
        rows_and_ones,
        "term missing",
        why="w is once too often in one of two terms: the error has rank one in each row",
    ),
    Layer(
        "rms_norm_frozen_weight",
        "B163",
        (rms_norm_fwd, rms_norm_bwd_x_only),
        RMS_NORM,
        rows_and_weight,
        "no gradient",
    ),
    Layer(
        "rms_norm_flat_mean",
        "B167",
        (rms_norm_fwd, rms_norm_bwd_flat),
        RMS_NORM,
        square_and_weight,
        "transposed",
        why="the square tile is the whole array: other shapes raise",
    ),
    Layer(
        "gated_linear_open",
        "B154",
        (gated_linear_fwd, gated_linear_bwd_open),
        (gated_linear_fwd, gated_linear_bwd),
        gated_rows,
        "scale missing",
    ),
)
