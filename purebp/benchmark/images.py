"""Layers of images beside convolutions and pools with windows, against jnp and jax.image."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, key, normal
from purebp.layers import (
    adaptive_avg_pool,
    drop_path,
    global_avg_pool,
    local_response_norm,
    patches,
    pixel_shuffle,
    upsample,
)

SMALL, LARGE = normal(4, 8, 8, 8), normal(16, 64, 32, 32)


def plain_global_avg_pool(x: Array) -> Array:
    return jnp.mean(x, axis=(2, 3))


def plain_adaptive_avg_pool(x: Array) -> Array:
    """3 x 3 windows as jnp.mean of slices."""
    h, w = x.shape[2:]
    rows = [(i * h // 3, -(-(i + 1) * h // 3)) for i in range(3)]
    columns = [(i * w // 3, -(-(i + 1) * w // 3)) for i in range(3)]
    cells = [jnp.mean(x[..., a:b, c:d], axis=(2, 3)) for a, b in rows for c, d in columns]
    return jnp.stack(cells, axis=-1).reshape(*x.shape[:2], 3, 3)


def jax_image_bilinear(x: Array) -> Array:
    n, c, h, w = x.shape
    return jax.image.resize(x, (n, c, 2 * h, 2 * w), "bilinear")


def plain_nearest(x: Array) -> Array:
    return jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)


def plain_pixel_shuffle(x: Array) -> Array:
    n, c, h, w = x.shape
    parts = x.reshape(n, c // 4, 2, 2, h, w)
    return parts.transpose(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)


def lax_local_response_norm(x: Array) -> Array:
    window = (1, 5, 1, 1)
    edges = ((0, 0), (2, 2), (0, 0), (0, 0))
    near = lax.reduce_window(x * x, 0.0, lax.add, window, (1, 1, 1, 1), edges)
    return x / (2.0 + 1e-4 * near) ** 0.75


def plain_drop_path(x: Array, key: Array) -> Array:
    keep = jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1))
    return jnp.where(keep, x / 0.5, 0)


def plain_patches(x: Array) -> Array:
    n, c, h, w = x.shape
    cut = x.reshape(n, c, h // 4, 4, w // 4, 4)
    return jnp.einsum("ncipjq->nijcpq", cut).reshape(n, h * w // 16, c * 16)


def torch_patches(torch: Any, x: Any) -> Any:
    return torch.nn.functional.unfold(x, 4, stride=4).mT


def torch_global_avg_pool(torch: Any, x: Any) -> Any:
    return x.mean((2, 3))


def torch_adaptive_avg_pool(torch: Any, x: Any) -> Any:
    return torch.nn.functional.adaptive_avg_pool2d(x, 3)


def torch_bilinear(torch: Any, x: Any) -> Any:
    return torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear")


def torch_nearest(torch: Any, x: Any) -> Any:
    return torch.nn.functional.interpolate(x, scale_factor=2)


def torch_pixel_shuffle(torch: Any, x: Any) -> Any:
    return torch.nn.functional.pixel_shuffle(x, 2)


def torch_local_response_norm(torch: Any, x: Any) -> Any:
    return torch.nn.functional.local_response_norm(x, 5, 5e-4, 0.75, 2.0)


CASES = (
    Case(
        global_avg_pool, plain_global_avg_pool, "jnp.mean", (SMALL,), (LARGE,),
        torch=torch_global_avg_pool, single=True,
    ),
    Case(
        adaptive_avg_pool, plain_adaptive_avg_pool, "jnp.mean of slices", (SMALL,), (LARGE,),
        options={"size": 3}, torch=torch_adaptive_avg_pool,
        more_memory="the means along the columns, before those along the rows",
    ),
    Case(
        upsample, jax_image_bilinear, "jax.image.resize", (SMALL,), (LARGE,),
        options={"method": "bilinear"}, torch=torch_bilinear, label="bilinear",
        more_memory="the image with its columns enlarged, and its neighbours",
    ),
    Case(
        upsample, plain_nearest, "jnp.repeat", (SMALL,), (LARGE,),
        torch=torch_nearest, label="nearest",
    ),
    Case(
        pixel_shuffle, plain_pixel_shuffle, "transpose", (SMALL,), (LARGE,),
        torch=torch_pixel_shuffle, single=True,
    ),
    Case(
        patches, plain_patches, "transpose", (SMALL,), (LARGE,), torch=torch_patches, single=True,
    ),
    Case(
        local_response_norm, lax_local_response_norm, "lax.reduce_window", (SMALL,), (LARGE,),
        torch=torch_local_response_norm,
        more_memory="the padded squares and products, which five slices each read",
    ),
    Case(
        drop_path, plain_drop_path, "jnp.where with jax.random.bernoulli",
        (SMALL, key), (LARGE, key), single=True,
    ),
)  # fmt: skip
