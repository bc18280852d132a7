"""The other activations, against jax.nn and optax."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from purebp.activations import (
    celu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    relu_squared,
    selu,
    softplus,
    softsign,
    sparsemax,
    squareplus,
    standardize,
)
from purebp.benchmark.case import Case, normal

SMALL = (normal(32, 64, scale=2),)
LARGE = (normal(1024, 3072, scale=2),)


def plain_relu_squared(x: Array) -> Array:
    return jnp.square(jax.nn.relu(x))


def optax_sparsemax(x: Array) -> Array:
    return jax.vmap(optax.projections.projection_simplex)(x)


def torch_relu6(torch: Any, x: Any) -> Any:
    return torch.nn.functional.relu6(x)


def torch_hard_sigmoid(torch: Any, x: Any) -> Any:
    return torch.nn.functional.hardsigmoid(x)


def torch_hard_tanh(torch: Any, x: Any) -> Any:
    return torch.nn.functional.hardtanh(x)


def torch_hard_swish(torch: Any, x: Any) -> Any:
    return torch.nn.functional.hardswish(x)


def torch_softplus(torch: Any, x: Any) -> Any:
    return torch.nn.functional.softplus(x)


def torch_log_sigmoid(torch: Any, x: Any) -> Any:
    return torch.nn.functional.logsigmoid(x)


def torch_mish(torch: Any, x: Any) -> Any:
    return torch.nn.functional.mish(x)


def torch_softsign(torch: Any, x: Any) -> Any:
    return torch.nn.functional.softsign(x)


def torch_selu(torch: Any, x: Any) -> Any:
    return torch.nn.functional.selu(x)


def torch_celu(torch: Any, x: Any) -> Any:
    return torch.nn.functional.celu(x)


def torch_log_softmax(torch: Any, x: Any) -> Any:
    return torch.log_softmax(x, dim=-1)


CASES = (
    Case(relu6, jax.nn.relu6, "jax.nn.relu6", SMALL, LARGE, torch=torch_relu6, single=True),
    Case(
        hard_sigmoid,
        jax.nn.hard_sigmoid,
        "jax.nn.hard_sigmoid",
        SMALL,
        LARGE,
        torch=torch_hard_sigmoid,
        single=True,
    ),
    Case(
        hard_tanh,
        jax.nn.hard_tanh,
        "jax.nn.hard_tanh",
        SMALL,
        LARGE,
        torch=torch_hard_tanh,
        single=True,
    ),
    Case(
        hard_swish,
        jax.nn.hard_swish,
        "jax.nn.hard_swish",
        SMALL,
        LARGE,
        torch=torch_hard_swish,
        single=True,
    ),
    Case(relu_squared, plain_relu_squared, "jax.nn.relu, squared", SMALL, LARGE, single=True),
    Case(softplus, jax.nn.softplus, "jax.nn.softplus", SMALL, LARGE, torch=torch_softplus),
    Case(
        log_sigmoid, jax.nn.log_sigmoid, "jax.nn.log_sigmoid", SMALL, LARGE, torch=torch_log_sigmoid
    ),
    Case(mish, jax.nn.mish, "jax.nn.mish", SMALL, LARGE, torch=torch_mish),
    Case(
        softsign,
        jax.nn.soft_sign,
        "jax.nn.soft_sign",
        SMALL,
        LARGE,
        torch=torch_softsign,
        single=True,
    ),
    Case(squareplus, jax.nn.squareplus, "jax.nn.squareplus", SMALL, LARGE, single=True),
    Case(selu, jax.nn.selu, "jax.nn.selu", SMALL, LARGE, torch=torch_selu),
    Case(celu, jax.nn.celu, "jax.nn.celu", SMALL, LARGE, torch=torch_celu),
    Case(
        log_softmax,
        jax.nn.log_softmax,
        "jax.nn.log_softmax",
        SMALL,
        LARGE,
        torch=torch_log_softmax,
        single=True,
    ),
    Case(
        sparsemax,
        optax_sparsemax,
        "optax.projections.projection_simplex",
        SMALL,
        (normal(256, 1024, scale=2),),
        more_memory="the loop that finds the support holds two masks beside x - max",
    ),
    Case(standardize, jax.nn.standardize, "jax.nn.standardize", SMALL, LARGE),
)
