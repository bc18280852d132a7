"""Training steps of the other models of images, against the same in plain JAX."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, first_params, key, nothing, positive
from purebp.benchmark.layers import flax_layer_norm
from purebp.benchmark.models import cross_entropy, plain_affine, plain_block, step_case
from purebp.models import VaeAux, vae, vit


def plain_vit(params: Any, x: Array, labels: Array) -> Any:
    """ViT with flax's norms and the attention of jax.nn; the patches are those of a convolution."""
    embed = params["embed"]
    p = math.isqrt(embed["w"].shape[0] // x.shape[1])
    kernel = embed["w"].T.reshape(-1, x.shape[1], p, p)
    x = lax.conv_general_dilated(x, kernel, (p, p), "VALID")
    x = x.reshape(*x.shape[:2], -1).swapaxes(1, 2) + embed["b"]
    first = jnp.broadcast_to(params["class"]["token"], (x.shape[0], 1, x.shape[2]))
    x = jnp.concatenate([first, x], axis=1) + params["positions"]["table"]
    for index in range(1, sum(name.startswith("mlp") for name in params) + 1):
        x = plain_block(x, params[f"attention{index}"], params[f"mlp{index}"], is_causal=False)
    x = flax_layer_norm(x[:, 0], params["norm"]["gamma"], params["norm"]["beta"])
    scores = plain_affine(params["affine1"], x)
    return cross_entropy(scores, labels), ({}, scores)


def plain_vae(params: Any, x: Array, state: None, key: Array) -> Any:
    """The VAE with optax's cross-entropy."""
    h = jax.nn.relu(plain_affine(params["encode1"], x))
    mean, log_var = plain_affine(params["mean"], h), plain_affine(params["log_var"], h)
    z = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
    y = plain_affine(params["decode2"], jax.nn.relu(plain_affine(params["decode1"], z)))
    rec = jnp.sum(optax.sigmoid_binary_cross_entropy(y, x)) / len(x)
    kl = -jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var)) / 2 / len(x)
    return rec + kl, VaeAux(rec, kl, y)


VAE = vae(784, 512, 32)

CASES = (
    Case(
        VAE,
        plain_vae,
        "plain JAX and optax",
        (first_params(VAE), positive(2, 784), nothing, key),
        (first_params(VAE), positive(256, 784), nothing, key),
    ),
    step_case(
        vit((3, 32, 32), 10, patch=4, width=128, heads=4, depth=4, expansion=2),
        plain_vit,
        None,
        batch=64,
    ),
)
