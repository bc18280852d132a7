"""Samples, norms of weights and the divergence of a Gaussian, against plain jnp."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from purebp.activations import gumbel_softmax
from purebp.benchmark.case import Case, key, normal
from purebp.layers import gaussian_sample, spectral_norm, weight_norm
from purebp.losses import gaussian_kl

SMALL, LARGE = (64, 10), (1024, 1024)
TWO = (normal(*SMALL), normal(*SMALL)), (normal(*LARGE), normal(*LARGE))


def plain_gaussian_sample(mean: Array, log_var: Array, key: Array) -> Array:
    return mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)


def plain_gaussian_kl(mean: Array, log_var: Array) -> Array:
    return -jnp.mean(jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var), axis=-1)) / 2


def plain_gumbel_softmax(logits: Array, key: Array) -> Array:
    return jax.nn.softmax(logits + jax.random.gumbel(key, logits.shape))


def plain_weight_norm(v: Array, g: Array) -> Array:
    return g * v / jnp.linalg.norm(v, axis=0)


def plain_spectral_norm(w: Array, left: Array, right: Array) -> Array:
    left, right = jax.lax.stop_gradient((left, right))
    return w / (left @ w @ right)


def torch_weight_norm(torch: Any, v: Any, g: Any) -> Any:
    return g * v / torch.linalg.vector_norm(v, dim=0)


CASES = (
    Case(
        gaussian_sample,
        plain_gaussian_sample,
        "jax.random.normal",
        (*TWO[0], key),
        (*TWO[1], key),
    ),
    Case(
        gaussian_kl,
        plain_gaussian_kl,
        "plain jnp",
        *TWO,
        more_memory="temporaries: the loss of each example",
    ),
    Case(
        gumbel_softmax,
        plain_gumbel_softmax,
        "jax.nn.softmax with jax.random.gumbel",
        (normal(*SMALL), key),
        (normal(*LARGE), key),
    ),
    Case(
        weight_norm,
        plain_weight_norm,
        "jnp.linalg.norm",
        (normal(*SMALL), normal(10)),
        (normal(*LARGE), normal(1024)),
        torch=torch_weight_norm,
    ),
    Case(
        spectral_norm,
        plain_spectral_norm,
        "plain jnp",
        (normal(*SMALL), normal(64), normal(10)),
        (normal(*LARGE), normal(1024), normal(1024)),
    ),
)
