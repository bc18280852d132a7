"""Samples that a gradient passes: noise is drawn apart from what is learned."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from purebp.compat import explicit_sharding
from purebp.numerics import widen
from purebp.op import KEY, Op
from purebp.residuals import Spec, spec_of


def gaussian_sample_definition(
    mean: Float[Array, "*s"], log_var: Float[Array, "*s"], key: PRNGKeyArray
) -> Float[Array, "*s"]:
    """z = mean + e^(log_var / 2) n, n standard normal noise: the reparametrisation trick.

    Maths: the noise does not depend on what is learned, so that z has slopes: mean_bar = z_bar,
        log_var_bar = z_bar e^(log_var / 2) n / 2.
    Shapes: mean, log_var, z (*s); key is one PRNG key.
    Residuals: log_var and the key, which draws the same noise again.
    Kinks: none.
    Raises: ShapeError if the shapes differ. The noise is drawn in float32 in every precision, so
        that it is the same in each.
    Source: Kingma and Welling 2013, "Auto-encoding variational Bayes", section 2.4.

    Example:
        >>> mean = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> log_var = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> key = jax.random.key(0)
        >>> y, res = gaussian_sample.fwd(mean, log_var, key)
        >>> for bar in gaussian_sample.bwd(res, y): print(bar)
        [[ 3.0835137  0.4566673  1.4962351]
         [ 0.4710783 -1.1272156 -1.1501865]]
        [[ 3.2122717   0.21843934 -0.37687534]
         [-0.00681219 -0.21010423  0.83399254]]
        None
    """
    noise = jax.random.normal(key, mean.shape, jnp.float32)
    spread = jnp.exp(widen(log_var) / 2)
    return (widen(mean) + spread * noise).astype(jnp.result_type(mean, log_var))


def _scaled_noise(log_var: Array, key: PRNGKeyArray) -> Array:
    sharding = explicit_sharding(log_var)
    noise = jax.random.normal(key, log_var.shape, jnp.float32, out_sharding=sharding)
    return jnp.exp(widen(log_var) / 2) * noise


def gaussian_sample_fwd(
    mean: Array, log_var: Array, key: PRNGKeyArray
) -> tuple[Array, tuple[Spec, Array, PRNGKeyArray]]:
    z = (widen(mean) + _scaled_noise(log_var, key)).astype(jnp.result_type(mean, log_var))
    return z, (spec_of(mean), log_var, key)


def gaussian_sample_bwd(
    res: tuple[Spec, Array, PRNGKeyArray], z_bar: Array
) -> tuple[Array, Array, None]:
    mean, log_var, key = res
    log_var_bar = widen(z_bar) * (_scaled_noise(log_var, key) / 2)
    return z_bar.astype(mean.dtype), log_var_bar.astype(log_var.dtype), None


gaussian_sample = Op(
    gaussian_sample_fwd,
    gaussian_sample_bwd,
    definition=gaussian_sample_definition,
    domains={"key": KEY},
)

OPS = (gaussian_sample,)
