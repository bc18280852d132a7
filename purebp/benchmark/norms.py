"""Norms beside batch and layer norm, against flax and plain jnp."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, normal
from purebp.benchmark.layers import ALL_ROWS
from purebp.layers import (
    add_layer_norm,
    add_rms_norm,
    group_norm,
    instance_norm,
    l2_normalize,
    rms_norm,
)

SMALL_ROWS, ROWS = normal(32, 64), normal(4096, 768)
SMALL_IMAGES, IMAGES = normal(4, 8, 8, 8), normal(16, 64, 32, 32)


def flax_rms_norm(x: Array, gamma: Array) -> Any:
    return linen.RMSNorm(epsilon=1e-6).apply({"params": {"scale": gamma}}, x)


def plain_l2_normalize(x: Array) -> Array:
    return x * lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-24))


def plain_group_norm(x: Array, gamma: Array, beta: Array, *, groups: int) -> Array:
    """flax's wants the channels last; this one reads them where they are, and is faster."""
    parts = x.reshape(len(x), groups, -1)
    mean = jnp.mean(parts, axis=-1, keepdims=True)
    var = jnp.mean((parts - mean) ** 2, axis=-1, keepdims=True)
    x_hat = ((parts - mean) * lax.rsqrt(var + 1e-5)).reshape(x.shape)
    return x_hat * gamma[:, None, None] + beta[:, None, None]


def plain_instance_norm(x: Array, gamma: Array, beta: Array) -> Array:
    return plain_group_norm(x, gamma, beta, groups=x.shape[1])


def flax_add_rms_norm(x: Array, residual: Array, gamma: Array) -> Any:
    return flax_rms_norm(x + residual, gamma), x + residual


def flax_add_layer_norm(x: Array, residual: Array, gamma: Array, beta: Array) -> Any:
    params = {"params": {"scale": gamma, "bias": beta}}
    return linen.LayerNorm(epsilon=1e-5).apply(params, x + residual), x + residual


def torch_rms_norm(torch: Any, x: Any, gamma: Any) -> Any:
    return torch.nn.functional.rms_norm(x, x.shape[-1:], gamma, 1e-6)


def torch_add_rms_norm(torch: Any, x: Any, residual: Any, gamma: Any) -> Any:
    total = x + residual
    return torch_rms_norm(torch, total, gamma), total


def torch_add_layer_norm(torch: Any, x: Any, residual: Any, gamma: Any, beta: Any) -> Any:
    total = x + residual
    return torch.nn.functional.layer_norm(total, total.shape[-1:], gamma, beta), total


def torch_l2_normalize(torch: Any, x: Any) -> Any:
    return torch.nn.functional.normalize(x, dim=-1)


def torch_group_norm(torch: Any, x: Any, gamma: Any, beta: Any, *, groups: int) -> Any:
    return torch.nn.functional.group_norm(x, groups, gamma, beta)


def torch_instance_norm(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
    return torch.nn.functional.instance_norm(x, weight=gamma, bias=beta)


PRODUCT = "small: y_bar x is kept for a product, where autodiff's loop computes it twice"

CASES = (
    Case(
        rms_norm,
        flax_rms_norm,
        "flax.linen.RMSNorm",
        (SMALL_ROWS, normal(64)),
        (ROWS, normal(768)),
        torch=torch_rms_norm,
        more_memory=PRODUCT,
    ),
    Case(
        l2_normalize,
        plain_l2_normalize,
        "x * lax.rsqrt(max(sum of x^2, eps))",
        (SMALL_ROWS,),
        (ROWS,),
        torch=torch_l2_normalize,
    ),
    Case(
        group_norm,
        partial(plain_group_norm, groups=4),
        "jnp.mean and lax.rsqrt",
        (SMALL_IMAGES, normal(8), normal(8)),
        (IMAGES, normal(64), normal(64)),
        options={"groups": 4},
        torch=partial(torch_group_norm, groups=4),
    ),
    Case(
        instance_norm,
        plain_instance_norm,
        "jnp.mean and lax.rsqrt",
        (SMALL_IMAGES, normal(8), normal(8)),
        (IMAGES, normal(64), normal(64)),
        torch=torch_instance_norm,
    ),
    Case(
        add_rms_norm,
        flax_add_rms_norm,
        "x + residual, flax.linen.RMSNorm",
        (SMALL_ROWS, SMALL_ROWS, normal(64)),
        (ROWS, ROWS, normal(768)),
        torch=torch_add_rms_norm,
        more_memory=PRODUCT,
    ),
    Case(
        add_layer_norm,
        flax_add_layer_norm,
        "x + residual, flax.linen.LayerNorm",
        (SMALL_ROWS, SMALL_ROWS, normal(64), normal(64)),
        (ROWS, ROWS, normal(768), normal(768)),
        torch=torch_add_layer_norm,
        more_memory=ALL_ROWS,
    ),
)
