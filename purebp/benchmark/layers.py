"""Layers, against lax, flax and plain jnp."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, key, normal, positive
from purebp.layers import (
    affine,
    avg_pool,
    batch_norm,
    batch_norm_eval,
    conv2d,
    dropout,
    fully_connected,
    layer_norm,
    max_pool,
)

SMALL_IMAGES, IMAGES = normal(4, 8, 8, 8), normal(16, 64, 32, 32)
SMALL_ROWS, ROWS = normal(32, 64), normal(4096, 768)


def plain_affine(x: Array, w: Array, b: Array) -> Array:
    return x @ w + b


def plain_fully_connected(x: Array, w: Array, b: Array) -> Array:
    return jax.nn.relu(x @ w + b)


def lax_conv(x: Array, w: Array, b: Array, *, stride: int = 1, padding: int = 1) -> Array:
    edges = ((padding, padding), (padding, padding))
    y = lax.conv_general_dilated(x, w, (stride, stride), edges)
    return y + b[:, None, None]


def lax_max_pool(x: Array, *, window: int, stride: int) -> Array:
    return lax.reduce_window(
        x, -math.inf, lax.max, (1, 1, window, window), (1, 1, stride, stride), "VALID"
    )


def lax_avg_pool(x: Array, *, window: int) -> Array:
    total = lax.reduce_window(
        x, 0.0, lax.add, (1, 1, window, window), (1, 1, window, window), "VALID"
    )
    return total / (window * window)


def flax_layer_norm(x: Array, gamma: Array, beta: Array) -> Any:
    params = {"params": {"scale": gamma, "bias": beta}}
    return linen.LayerNorm(epsilon=1e-5).apply(params, x)


def flax_batch_norm(x: Array, gamma: Array, beta: Array) -> Any:
    """Without momentum: the new running statistics are those of the batch, as the op gives."""
    zeros = jnp.zeros_like(gamma)
    variables = {
        "params": {"scale": gamma, "bias": beta},
        "batch_stats": {"mean": zeros, "var": zeros},
    }
    norm = linen.BatchNorm(use_running_average=False, axis=1, momentum=0.0, epsilon=1e-5)
    y, changed = norm.apply(variables, x, mutable=["batch_stats"])
    return y, (changed["batch_stats"]["mean"], changed["batch_stats"]["var"])


def plain_batch_norm(x: Array, gamma: Array, beta: Array) -> Any:
    mean, var = jnp.mean(x, axis=(0, 2, 3)), jnp.var(x, axis=(0, 2, 3))
    x_hat = (x - mean[:, None, None]) * lax.rsqrt(var + 1e-5)[:, None, None]
    return gamma[:, None, None] * x_hat + beta[:, None, None], (mean, var)


def flax_batch_norm_eval(x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> Any:
    variables = {
        "params": {"scale": gamma, "bias": beta},
        "batch_stats": {"mean": mean, "var": var},
    }
    return linen.BatchNorm(use_running_average=True, axis=1, epsilon=1e-5).apply(variables, x)


def flax_dropout(x: Array, key: Array) -> Array:
    keep = 0.5
    mask = jax.random.bernoulli(key, keep, x.shape)
    return jnp.where(mask, x / keep, 0)


def torch_affine(torch: Any, x: Any, w: Any, b: Any) -> Any:
    return torch.addmm(b, x, w)


def torch_fully_connected(torch: Any, x: Any, w: Any, b: Any) -> Any:
    return torch.relu(torch.addmm(b, x, w))


def torch_conv(torch: Any, x: Any, w: Any, b: Any, *, stride: int = 1, padding: int = 1) -> Any:
    return torch.nn.functional.conv2d(x, w, b, stride, padding)


def torch_max_pool(torch: Any, x: Any, *, window: int, stride: int) -> Any:
    return torch.nn.functional.max_pool2d(x, window, stride)


def torch_avg_pool(torch: Any, x: Any, *, window: int) -> Any:
    return torch.nn.functional.avg_pool2d(x, window)


def torch_layer_norm(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
    return torch.nn.functional.layer_norm(x, x.shape[-1:], gamma, beta)


def torch_batch_norm(torch: Any, x: Any, gamma: Any, beta: Any) -> Any:
    return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True)


def torch_batch_norm_eval(torch: Any, x: Any, gamma: Any, beta: Any, mean: Any, var: Any) -> Any:
    r = torch.rsqrt(var + 1e-5)
    shape = (1, -1, 1, 1)
    return (x - mean.view(shape)) * (gamma * r).view(shape) + beta.view(shape)


def torch_dropout(torch: Any, x: Any, key: None) -> Any:
    return torch.nn.functional.dropout(x, 0.5)


ALL_ROWS = "small: x_hat of all rows at once; many rows are read in blocks"

CASES = (
    Case(
        affine,
        plain_affine,
        "x @ w + b",
        (SMALL_ROWS, normal(64, 32), normal(32)),
        (normal(1024, 768), normal(768, 3072, scale=0.03), normal(3072)),
        torch=torch_affine,
    ),
    Case(
        fully_connected,
        plain_fully_connected,
        "jax.nn.relu(x @ w + b)",
        (SMALL_ROWS, normal(64, 32), normal(32)),
        (normal(1024, 768), normal(768, 3072, scale=0.03), normal(3072)),
        options={"activation": "relu"},
        torch=torch_fully_connected,
    ),
    Case(
        conv2d,
        lax_conv,
        "lax.conv_general_dilated",
        (SMALL_IMAGES, normal(8, 8, 3, 3), normal(8)),
        (IMAGES, normal(64, 64, 3, 3, scale=0.05), normal(64)),
        options={"padding": 1},
        torch=torch_conv,
        label="3x3",
    ),
    Case(
        conv2d,
        partial(lax_conv, stride=2),
        "lax.conv_general_dilated",
        (SMALL_IMAGES, normal(8, 8, 3, 3), normal(8)),
        (IMAGES, normal(64, 64, 3, 3, scale=0.05), normal(64)),
        options={"padding": 1, "stride": 2},
        torch=partial(torch_conv, stride=2),
        label="3x3 stride 2",
    ),
    Case(
        conv2d,
        partial(lax_conv, padding=0),
        "lax.conv_general_dilated",
        (SMALL_IMAGES, normal(8, 8, 1, 1), normal(8)),
        (IMAGES, normal(64, 64, 1, 1, scale=0.1), normal(64)),
        torch=partial(torch_conv, padding=0),
        label="1x1",
    ),
    Case(
        conv2d,
        partial(lax_conv, padding=2),
        "lax.conv_general_dilated",
        (normal(4, 3, 12, 12), normal(8, 3, 5, 5), normal(8)),
        (normal(32, 3, 64, 64), normal(32, 3, 5, 5), normal(32)),
        options={"padding": 2},
        torch=partial(torch_conv, padding=2),
        label="5x5, 3 channels",
    ),
    Case(
        max_pool,
        partial(lax_max_pool, window=2, stride=2),
        "lax.reduce_window",
        (SMALL_IMAGES,),
        (IMAGES,),
        torch=partial(torch_max_pool, window=2, stride=2),
        label="2x2",
    ),
    Case(
        max_pool,
        partial(lax_max_pool, window=3, stride=2),
        "lax.reduce_window",
        (SMALL_IMAGES,),
        (IMAGES,),
        options={"window": 3, "stride": 2},
        torch=partial(torch_max_pool, window=3, stride=2),
        label="3x3 stride 2",
    ),
    Case(
        avg_pool,
        partial(lax_avg_pool, window=2),
        "lax.reduce_window",
        (SMALL_IMAGES,),
        (IMAGES,),
        torch=partial(torch_avg_pool, window=2),
    ),
    Case(
        batch_norm,
        plain_batch_norm,
        "jnp.mean and jnp.var",
        (SMALL_IMAGES, normal(8), normal(8)),
        (IMAGES, normal(64), normal(64)),
        torch=torch_batch_norm,
    ),
    Case(
        batch_norm,
        flax_batch_norm,
        "flax.linen.BatchNorm; its <x^2> - <x>^2 takes a pass less, and cancels",
        (SMALL_IMAGES, normal(8), normal(8)),
        (IMAGES, normal(64), normal(64)),
        torch=torch_batch_norm,
        label="fast variance",
    ),
    Case(
        batch_norm_eval,
        flax_batch_norm_eval,
        "flax.linen.BatchNorm, running averages",
        (SMALL_IMAGES, normal(8), normal(8), normal(8), positive(8)),
        (IMAGES, normal(64), normal(64), normal(64), positive(64)),
        torch=torch_batch_norm_eval,
    ),
    Case(
        layer_norm,
        flax_layer_norm,
        "flax.linen.LayerNorm",
        (SMALL_ROWS, normal(64), normal(64)),
        (ROWS, normal(768), normal(768)),
        torch=torch_layer_norm,
        more_memory=ALL_ROWS,
    ),
    Case(
        dropout,
        flax_dropout,
        "jnp.where with jax.random.bernoulli",
        (SMALL_ROWS, key),
        (ROWS, key),
        torch=torch_dropout,
    ),
)
