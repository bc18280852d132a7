"""Activations, against jax.nn."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from purebp.activations import (
    elu,
    gelu,
    leaky_relu,
    maxout,
    prelu,
    relu,
    sigmoid,
    softmax,
    swish,
    tanh,
)
from purebp.benchmark.case import Case, normal
from purebp.benchmark.eager import functional, torch_function

SMALL = (normal(32, 64, scale=2),)
LARGE = (normal(1024, 3072, scale=2),)


def plain_prelu(x: Array, alpha: Array) -> Array:
    return jnp.where(x > 0, x, alpha * x)


def plain_maxout(x: Array) -> Array:
    return jnp.max(x.reshape(*x.shape[:-1], -1, 2), axis=-1)


def exact_gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=False)


def torch_maxout(torch: Any, x: Any) -> Any:
    return x.reshape(*x.shape[:-1], -1, 2).amax(dim=-1)


CASES = (
    Case(relu, jax.nn.relu, "jax.nn.relu", SMALL, LARGE, torch=functional("relu")),
    Case(
        leaky_relu,
        jax.nn.leaky_relu,
        "jax.nn.leaky_relu",
        SMALL,
        LARGE,
        torch=functional("leaky_relu"),
    ),
    Case(
        prelu,
        plain_prelu,
        "jnp.where",
        (*SMALL, normal(64)),
        (*LARGE, normal(3072)),
        torch=functional("prelu"),
        more_memory="XLA writes y_bar [x <= 0] before it sums it for alpha",
    ),
    Case(elu, jax.nn.elu, "jax.nn.elu", SMALL, LARGE, torch=functional("elu")),
    Case(swish, jax.nn.silu, "jax.nn.silu", SMALL, LARGE, torch=functional("silu")),
    Case(
        gelu, jax.nn.gelu, "jax.nn.gelu", SMALL, LARGE, torch=functional("gelu", approximate="tanh")
    ),
    Case(
        gelu,
        exact_gelu,
        "jax.nn.gelu, exact",
        SMALL,
        LARGE,
        options={"approximate": False},
        torch=functional("gelu"),
        label="exact",
    ),
    Case(maxout, plain_maxout, "jnp.max over a reshape", SMALL, LARGE, torch=torch_maxout),
    Case(
        softmax,
        jax.nn.softmax,
        "jax.nn.softmax",
        SMALL,
        LARGE,
        torch=functional("softmax", dim=-1),
        more_memory="one number a row: the cotangent of the winner",
    ),
    Case(
        sigmoid,
        jax.nn.sigmoid,
        "jax.nn.sigmoid",
        SMALL,
        LARGE,
        torch=torch_function("sigmoid"),
        single=True,
    ),
    Case(tanh, jnp.tanh, "jnp.tanh", SMALL, LARGE, torch=torch_function("tanh"), single=True),
)
