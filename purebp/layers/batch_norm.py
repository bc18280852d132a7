"""Batch norm: over the batch in training, with given statistics in use. See `norm`."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import ShapeError
from purebp.layers.norm import CANCELS, check_eps
from purebp.numerics import widen
from purebp.op import POSITIVE, Op, conditioned
from purebp.residuals import Spec, spec_of


class BatchStatistics(NamedTuple):
    """Mean and biased variance of each channel over the batch."""

    mean: Float[Array, "c"]
    var: Float[Array, "c"]


def batch_norm_definition(
    x: Float[Array, "n c *spatial"],
    gamma: Float[Array, "c"],
    beta: Float[Array, "c"],
    *,
    eps: float = 1e-5,
) -> tuple[Float[Array, "n c *spatial"], BatchStatistics]:
    """y = gamma x_hat + beta, each channel with mean 0 and variance 1 over batch and positions.

    Maths: that of layer_norm, with < > and the sums over all axes but axis 1.
    Shapes: x, y (n, c, *spatial); gamma, beta (c). Aux: mean and biased variance (c), not
        differentiated, for the running statistics.
    Residuals: x, gamma, and mean and r of each channel; x_hat is computed again from them.
    Kinks: none for eps > 0. With one entry in a channel x_hat is 0 and so is x_bar.
    Raises: ShapeError if gamma or beta do not fit x or a channel is empty, OptionError unless
        eps > 0.
    Source: Ioffe and Szegedy 2015, "Batch normalization", algorithm 1; CS231n, assignment 2.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (4, 3))
        >>> gamma = jnp.array([0.5, -1.5, 0.3])
        >>> beta = jnp.array([-2.0, 1.5, 0.8])
        >>> (y, aux), res = batch_norm.fwd(x, gamma, beta)
        >>> [jnp.shape(bar) for bar in batch_norm.bwd(res, y * y)]
        [(4, 3), (3,), (3,)]
    """
    axes = _all_but_channel(x.ndim)
    mean = jnp.mean(x, axis=axes, keepdims=True)
    var = jnp.mean((x - mean) ** 2, axis=axes, keepdims=True)
    y = _each(gamma, x) * ((x - mean) / jnp.sqrt(var + eps)) + _each(beta, x)
    return y, BatchStatistics(mean.reshape(-1).astype(y.dtype), var.reshape(-1).astype(y.dtype))


class BatchResiduals(NamedTuple):
    x: Float[Array, "n c *spatial"]
    mean: Float[Array, "c"]
    r: Float[Array, "c"]
    gamma: Float[Array, "c"]
    beta: Spec


def batch_norm_fwd(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[tuple[Array, BatchStatistics], BatchResiduals]:
    axes, wide = _all_but_channel(x.ndim), widen(x)
    mean = jnp.mean(wide, axis=axes)
    centred = wide - _each(mean, x)
    var = jnp.mean(centred * centred, axis=axes)
    r = lax.rsqrt(var + eps)
    dtype = jnp.result_type(x, gamma, beta)
    y = (_each(gamma * r, x) * centred + _each(beta, x)).astype(dtype)
    statistics = BatchStatistics(mean.astype(dtype), var.astype(dtype))
    return (y, statistics), BatchResiduals(x, mean, r, gamma, spec_of(beta))


def batch_norm_bwd(res: BatchResiduals, y_bar: Array) -> tuple[Array, Array, Array]:
    x, mean, r, gamma, beta = res
    axes, wide = _all_but_channel(x.ndim), widen(y_bar)
    centred = widen(x) - _each(mean, x)
    gamma_bar, beta_bar = r * jnp.sum(wide * centred, axis=axes), jnp.sum(wide, axis=axes)
    # gamma is constant over the normalised axes: <g> and <g x_hat> are these sums, scaled.
    # <x_hat> is 0 but for rounding; see normalize_x_bar.
    count = x.size // x.shape[1]
    x_hat = (centred - _each(jnp.mean(centred, axis=axes), x)) * _each(r, x)
    g = wide - _each(beta_bar / count, x) - x_hat * _each(gamma_bar / count, x)
    x_bar = _each(gamma * r, x) * g
    return x_bar.astype(x.dtype), gamma_bar.astype(gamma.dtype), beta_bar.astype(beta.dtype)


def check_batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float) -> None:
    """Raise unless every channel has entries, and eps keeps the division defined."""
    check_eps("batch_norm", eps)
    if x.size == 0:
        raise ShapeError(f"batch_norm: x has shape {x.shape}, expected entries in every channel")


batch_norm = Op(
    batch_norm_fwd,
    batch_norm_bwd,
    definition=batch_norm_definition,
    options={"eps": (1e-5, 1e-2)},
    sizes={"n": (4, 3, 1, 5), "c": (3, 2, 2, 1), "spatial": ((), (2, 3), (2,), (1, 1))},
    check=check_batch_norm,
    tolerance=CANCELS,
    has_aux=True,
)


def batch_norm_eval_definition(
    x: Float[Array, "n c *spatial"],
    gamma: Float[Array, "c"],
    beta: Float[Array, "c"],
    mean: Float[Array, "c"],
    var: Float[Array, "c"],
    *,
    eps: float = 1e-5,
) -> Float[Array, "n c *spatial"]:
    """y = gamma (x - mean) / sqrt(var + eps) + beta, with given statistics: batch norm in use.

    Maths: with r = 1 / sqrt(var + eps), x_hat = (x - mean) r, sums over all axes but axis 1:
        x_bar = gamma r y_bar, gamma_bar = sum y_bar x_hat, beta_bar = sum y_bar,
        mean_bar = -gamma r beta_bar, var_bar = -gamma r^2 gamma_bar / 2.
    Shapes: x, y (n, c, *spatial); gamma, beta, mean, var (c).
    Residuals: x, gamma, mean and r; the sums serve several cotangents.
    Kinks: none for var + eps > 0.
    Raises: ShapeError if an argument does not fit x, OptionError unless eps > 0.
    Source: Ioffe and Szegedy 2015, "Batch normalization", algorithm 2.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (4, 3))
        >>> gamma = jnp.array([0.5, -1.5, 0.3])
        >>> beta = jnp.array([-2.0, 1.5, 0.8])
        >>> mean = jnp.array([-0.2, 0.6, -1.0])
        >>> var = jnp.array([1.5, 3.0, 0.8])
        >>> y, res = batch_norm_eval.fwd(x, gamma, beta, mean, var)
        >>> [jnp.shape(bar) for bar in batch_norm_eval.bwd(res, y)]
        [(4, 3), (3,), (3,), (3,), (3,)]
    """
    x_hat = (x - _each(mean, x)) / jnp.sqrt(_each(var, x) + eps)
    return _each(gamma, x) * x_hat + _each(beta, x)


class EvalResiduals(NamedTuple):
    x: Float[Array, "n c *spatial"]
    gamma: Float[Array, "c"]
    mean: Float[Array, "c"]
    r: Float[Array, "c"]
    beta: Spec
    var: Spec


def batch_norm_eval_fwd(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *, eps: float = 1e-5
) -> tuple[Array, EvalResiduals]:
    r = lax.rsqrt(widen(var) + eps)
    y = _each(gamma * r, x) * (widen(x) - _each(mean, x)) + _each(beta, x)
    dtype = jnp.result_type(x, gamma, beta, mean, var)
    return y.astype(dtype), EvalResiduals(x, gamma, mean, r, spec_of(beta), spec_of(var))


def batch_norm_eval_bwd(
    res: EvalResiduals, y_bar: Array
) -> tuple[Array, Array, Array, Array, Array]:
    x, gamma, mean, r, beta, var = res
    axes, wide = _all_but_channel(x.ndim), widen(y_bar)
    centred = widen(x) - _each(mean, x)
    gamma_bar, beta_bar = r * jnp.sum(wide * centred, axis=axes), jnp.sum(wide, axis=axes)
    mean_bar, var_bar = -gamma * r * beta_bar, -gamma * r * r * gamma_bar / 2
    return (
        (_each(gamma * r, x) * wide).astype(x.dtype),
        gamma_bar.astype(gamma.dtype),
        beta_bar.astype(beta.dtype),
        mean_bar.astype(mean.dtype),
        var_bar.astype(var.dtype),
    )


def check_batch_norm_eval(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *, eps: float
) -> None:
    """Raise unless eps keeps the division defined."""
    check_eps("batch_norm_eval", eps)


batch_norm_eval = Op(
    batch_norm_eval_fwd,
    batch_norm_eval_bwd,
    definition=batch_norm_eval_definition,
    options={"eps": (1e-5, 1e-2)},
    domains={"var": POSITIVE},
    sizes={"n": (4, 3, 1, 5), "c": (3, 2, 2, 1), "spatial": ((), (2, 3), (2,), (1, 1))},
    check=check_batch_norm_eval,
    tolerance=conditioned("x - mean is a difference that cancels"),
)


def _all_but_channel(rank: int) -> tuple[int, ...]:
    return (0, *range(2, rank))


def _each(values: Array, x: Array) -> Array:
    """One value for each channel, shaped to broadcast against x."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


OPS = (batch_norm, batch_norm_eval)
