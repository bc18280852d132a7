"""Norms whose backward pass has the eps in another place than the forward pass, or none."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.norms import centred_part, check_eps, check_shapes, standard

Residuals = Any
Two = tuple[Array, Array]


def batch_renorm_fwd(
    x: Array, r: Array, d: Array, gamma: Array, beta: Array, *, eps: float = 2e-5
) -> tuple[Array, Residuals]:
    """gamma (x_hat r + d) + beta, with the correction r, d towards the running statistics."""
    check_shapes("batch_renorm", x, r, d, gamma, beta)
    check_eps("batch_renorm", eps)
    x_hat, _, var = standard(x, 0, eps)
    return gamma * (x_hat * r + d) + beta, (x_hat, var, r, d, gamma, beta)


def _batch_renorm_bars(residuals: Residuals, y_bar: Array, scale: Array) -> tuple[Array, ...]:
    x_hat, _, r, d, gamma, beta = residuals
    x_bar = scale * centred_part(gamma * r * y_bar, x_hat, 0)
    sum_y, sum_y_hat = jnp.sum(y_bar, axis=0), jnp.sum(y_bar * x_hat, axis=0)
    bars = (gamma * sum_y_hat, gamma * sum_y, r * sum_y_hat + d * sum_y, sum_y)
    pairs = zip(bars, (r, d, gamma, beta), strict=True)
    return x_bar.astype(x_hat.dtype), *(bar.astype(like.dtype) for bar, like in pairs)


def batch_renorm_bwd(residuals: Residuals, y_bar: Array, *, eps: float = 2e-5) -> tuple[Array, ...]:
    """x_bar as of batch norm, with gamma r for gamma and 1 / sqrt(var + eps)."""
    return _batch_renorm_bars(residuals, y_bar, lax.rsqrt(residuals[1] + eps))


def batch_renorm_bwd_no_eps(residuals: Residuals, y_bar: Array) -> tuple[Array, ...]:
    """With 1 / sqrt(var)."""
    return _batch_renorm_bars(residuals, y_bar, lax.rsqrt(residuals[1]))


def _root(square: Array) -> Array:
    """The square root, with slope 0 at 0."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def _unit(x: Array, size: Array) -> Array:
    """x / |x|, and 0 for 0."""
    return x / jnp.where(size > 0, size, 1)


def normalize_fwd(x: Array, *, eps: float = 1e-5) -> tuple[Array, Residuals]:
    """x / (|x| + eps), |x| the length of a row."""
    check_shapes("normalize", x)
    check_eps("normalize", eps)
    size = _root(jnp.sum(x * x, axis=1, keepdims=True))
    return x / (size + eps), (x, size)


def normalize_bwd(residuals: Residuals, y_bar: Array, *, eps: float = 1e-5) -> tuple[Array]:
    """x_bar = (y_bar - u (y_bar . y)) / (|x| + eps), u = x / |x| the slope of |x|."""
    x, size = residuals
    y = x / (size + eps)
    along = jnp.sum(y_bar * y, axis=1, keepdims=True)
    return ((y_bar - _unit(x, size) * along) / (size + eps),)


def normalize_bwd_soft(residuals: Residuals, y_bar: Array, *, eps: float = 1e-5) -> tuple[Array]:
    """With y = x / (|x| + eps) for the slope of |x|."""
    x, size = residuals
    y = x / (size + eps)
    along = jnp.sum(y_bar * y, axis=1, keepdims=True)
    return ((y_bar - y * along) / (size + eps),)


def standardize_fwd(x: Array, *, eps: float = 1e-5) -> tuple[Array, Residuals]:
    """(x - mean) / (std + eps), row by row."""
    check_shapes("standardize", x)
    check_eps("standardize", eps)
    centred = x - jnp.mean(x, axis=1, keepdims=True)
    std = _root(jnp.mean(centred * centred, axis=1, keepdims=True))
    return centred / (std + eps), (centred, std)


def standardize_bwd(residuals: Residuals, y_bar: Array, *, eps: float = 1e-5) -> tuple[Array]:
    """x_bar = (y_bar - <y_bar> - u <y_bar y>) / (std + eps), u = (x - mean) / std."""
    centred, std = residuals
    y = centred / (std + eps)
    mean = jnp.mean(y_bar, axis=1, keepdims=True)
    along = jnp.mean(y_bar * y, axis=1, keepdims=True)
    return ((y_bar - mean - _unit(centred, std) * along) / (std + eps),)


def standardize_bwd_soft(residuals: Residuals, y_bar: Array, *, eps: float = 1e-5) -> tuple[Array]:
    """With y for u."""
    centred, std = residuals
    y = centred / (std + eps)
    return (centred_part(y_bar, y, 1) / (std + eps),)


def weight_norm_fwd(v: Array, g: Array, *, eps: float = 1e-6) -> tuple[Array, Residuals]:
    """g v / (|v| + eps), a length for each row of v."""
    if v.ndim != 2 or g.shape != v.shape[:1]:
        raise ValueError(f"weight_norm: v {v.shape} and g {g.shape} do not fit")
    check_eps("weight_norm", eps)
    size = _root(jnp.sum(v * v, axis=1, keepdims=True))
    return g[:, None] * v / (size + eps), (v, g, size)


def weight_norm_bwd(residuals: Residuals, y_bar: Array, *, eps: float = 1e-6) -> Two:
    """g_bar = y_bar . v / (|v| + eps), v_bar = g (y_bar - u (y_bar . v) / (|v| + eps)) / (...)."""
    v, g, size = residuals
    along = jnp.sum(y_bar * v / (size + eps), axis=1)
    v_bar = g[:, None] * (y_bar - _unit(v, size) * along[:, None]) / (size + eps)
    return v_bar.astype(v.dtype), along.astype(g.dtype)


def weight_norm_bwd_cubed(residuals: Residuals, y_bar: Array, *, eps: float = 1e-6) -> Two:
    """With v (y_bar . v) / (|v|^3 + eps) for the second term."""
    v, g, size = residuals
    along = jnp.sum(y_bar * v, axis=1)
    term = v * along[:, None] / (size**3 + eps)
    v_bar = g[:, None] * (y_bar / (size + eps) - term)
    return v_bar.astype(v.dtype), (along / (size[:, 0] + eps)).astype(g.dtype)


def rows_and_correction(rng: np.random.Generator) -> tuple[Any, ...]:
    """x, a correction r, d close to none, gamma and beta."""
    r, d = rng.uniform(0.8, 1.2, 3).astype(np.float32), 0.1 * rng.standard_normal(3, np.float32)
    gamma, beta = rng.standard_normal(3, np.float32), rng.standard_normal(3, np.float32)
    return rng.standard_normal((4, 3), np.float32), r, d, gamma, beta


def one_array(rng: np.random.Generator) -> tuple[Any, ...]:
    """x alone."""
    return (rng.standard_normal((4, 3), np.float32),)


def rows_and_scales(rng: np.random.Generator) -> tuple[Any, ...]:
    """Rows, and a number for each."""
    return rng.standard_normal((4, 3), np.float32), rng.standard_normal(4, np.float32)


LAYERS = (
    Layer(
        "batch_renorm_no_eps",
        "B117",
        (batch_renorm_fwd, batch_renorm_bwd_no_eps),
        (batch_renorm_fwd, batch_renorm_bwd),
        rows_and_correction,
        "eps",
        why="the correction r, d is an argument: the original computes it, and holds it constant",
    ),
    Layer(
        "normalize_eps",
        "B116",
        (normalize_fwd, normalize_bwd_soft),
        (normalize_fwd, normalize_bwd),
        one_array,
        "eps",
    ),
    Layer(
        "standardize_eps",
        "B116",
        (standardize_fwd, standardize_bwd_soft),
        (standardize_fwd, standardize_bwd),
        one_array,
        "eps",
    ),
    Layer(
        "weight_norm_eps",
        "B118",
        (weight_norm_fwd, weight_norm_bwd_cubed),
        (weight_norm_fwd, weight_norm_bwd),
        rows_and_scales,
        "eps",
    ),
)
