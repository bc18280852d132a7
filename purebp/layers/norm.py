"""Layer norm, over the features; and what it shares with batch norm, over the batch.

Both remove the mean and divide by the standard deviation; so both have the same backward pass,
over other axes. With x_hat = (x - mean) r, r = 1 / sqrt(var + eps), g = gamma y_bar and < > the
mean over the normalised axes,

    x_bar = r (g - <g> - x_hat <g x_hat>)

because a change of x moves the mean (second term) and the standard deviation (third term).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.blocks import by_blocks
from purebp.errors import OptionError
from purebp.numerics import full_product, widen
from purebp.op import Op, conditioned
from purebp.residuals import Spec, spec_of

CANCELS = conditioned(
    "x - mean and g - <g> - x_hat <g x_hat> are differences that cancel", pooled=True
)


class Normalized(NamedTuple):
    """Residuals: x, and the mean and reciprocal standard deviation with axes of size 1."""

    x: Array
    mean: Array
    r: Array
    gamma: Array
    beta: Spec


def normalize(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array]:
    """x_hat, mean and r, in float32 or better; the variance is taken of x - mean."""
    wide = widen(x)
    mean = jnp.mean(wide, axis=axes, keepdims=True)
    centred = wide - mean
    r = lax.rsqrt(jnp.mean(centred * centred, axis=axes, keepdims=True) + eps)
    return centred * r, mean, r


def normalize_x_bar(x_hat: Array, r: Array, g: Array, axes: tuple[int, ...]) -> Array:
    """x_bar = r (g - <g> - (x_hat - <x_hat>) <g x_hat>).

    <x_hat> is 0 but for the rounding of the mean, which r magnifies: without it the entries of
    x_bar would not add up to 0, and a bias before the layer would show it.
    """
    mean = jnp.mean(g, axis=axes, keepdims=True)
    slope = jnp.mean(g * x_hat, axis=axes, keepdims=True)
    centre = jnp.mean(x_hat, axis=axes, keepdims=True)
    return r * (g - mean - (x_hat - centre) * slope)


def layer_norm_definition(
    x: Float[Array, "*batch d"],
    gamma: Float[Array, "d"],
    beta: Float[Array, "d"],
    *,
    eps: float = 1e-5,
) -> Float[Array, "*batch d"]:
    """y = gamma x_hat + beta, x_hat the features of an example with mean 0 and variance 1.

    Maths: x_hat = (x - mean) r, r = 1 / sqrt(var + eps), var the biased variance; with
        g = gamma y_bar: x_bar = r (g - <g> - x_hat <g x_hat>), gamma_bar = sum y_bar x_hat,
        beta_bar = sum y_bar, the sums over the examples.
    Shapes: x, y (*batch, d); gamma, beta (d).
    Residuals: x, and mean and r of each example; x_hat is computed again from them.
    Kinks: none for eps > 0.
    Raises: ShapeError if gamma or beta do not fit x, OptionError unless eps > 0.
    Source: Ba, Kiros and Hinton 2016, "Layer normalization", equation 4; derived by hand.

    Example:
        >>> x, gamma = jnp.array([1.0, -0.5, 2.0]), jnp.array([1.0, 2.0, 0.5])
        >>> y, res = layer_norm.fwd(x, gamma, jnp.zeros(3))
        >>> for bar in layer_norm.bwd(res, y): print(bar)
        [ 1.324437   -0.52980113 -0.79463536]
        [0.02631553 3.3683894  0.6447307 ]
        [ 0.16222061 -2.5955305   0.56777227]
    """
    mean = jnp.mean(x, axis=-1, keepdims=True)
    var = jnp.mean((x - mean) ** 2, axis=-1, keepdims=True)
    return gamma * ((x - mean) / jnp.sqrt(var + eps)) + beta


def layer_norm_fwd(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, Normalized]:
    x_hat, mean, r = normalize(x, (-1,), eps)
    y = (gamma * x_hat + beta).astype(jnp.result_type(x, gamma, beta))
    return y, Normalized(x, mean, r, gamma, spec_of(beta))


def layer_norm_bwd(res: Normalized, y_bar: Array) -> tuple[Array, Array, Array]:
    x, mean, r, gamma, beta = res
    rows = tuple(each.reshape(-1, each.shape[-1]) for each in (y_bar, x, mean, r))
    x_bar, (gamma_bar, beta_bar) = by_blocks(_layer_norm_sums, _layer_norm_products, rows, (gamma,))
    return x_bar.reshape(x.shape), gamma_bar.astype(gamma.dtype), beta_bar.astype(beta.dtype)


LayerNormBars = tuple[Array, tuple[Array, Array]]


def _layer_norm_sums(y_bar: Array, x: Array, mean: Array, r: Array, gamma: Array) -> LayerNormBars:
    """x_bar, and the sums over the rows: gamma_bar and beta_bar."""
    wide = widen(y_bar)
    x_hat = (widen(x) - mean) * r
    x_bar = normalize_x_bar(x_hat, r, wide * gamma, (-1,))
    return x_bar.astype(x.dtype), (jnp.sum(wide * x_hat, axis=0), jnp.sum(wide, axis=0))


def _layer_norm_products(
    y_bar: Array, x: Array, mean: Array, r: Array, gamma: Array
) -> LayerNormBars:
    """The same for a few rows: their sums as products with ones, which are faster in the cache."""
    wide = widen(y_bar)
    x_hat = (widen(x) - mean) * r
    slopes = wide * x_hat
    rows, features = x.shape
    weights = jnp.stack([gamma.astype(wide.dtype), jnp.ones(features, wide.dtype)], axis=1)
    g_mean = full_product(wide, weights[:, :1]) / features
    slope = full_product(slopes, weights[:, :1]) / features
    centre = full_product(x_hat, weights[:, 1:]) / features
    x_bar = r * (wide * gamma - g_mean - (x_hat - centre) * slope)
    ones = jnp.ones((1, rows), wide.dtype)
    sums = full_product(ones, slopes)[0], full_product(ones, wide)[0]
    return x_bar.astype(x.dtype), sums


def check_layer_norm(x: Array, gamma: Array, beta: Array, *, eps: float) -> None:
    """Raise unless eps keeps the division defined."""
    check_eps("layer_norm", eps)


layer_norm = Op(
    layer_norm_fwd,
    layer_norm_bwd,
    definition=layer_norm_definition,
    options={"eps": (1e-5, 1e-2)},
    sizes={"d": (5, 3, 2, 4)},
    check=check_layer_norm,
    tolerance=CANCELS,
)


def check_eps(op: str, eps: float) -> None:
    """Raise unless eps is above 0."""
    if not eps > 0:
        raise OptionError(f"{op}: eps is {eps}, expected a number above 0")


OPS = (layer_norm,)
