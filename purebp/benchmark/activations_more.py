"""The other activations, against jax.nn and optax."""

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
from purebp.benchmark.eager import functional

SMALL = (normal(32, 64, scale=2),)
LARGE = (normal(1024, 3072, scale=2),)


def plain_relu_squared(x: Array) -> Array:
    return jnp.square(jax.nn.relu(x))


def optax_sparsemax(x: Array) -> Array:
    return jax.vmap(optax.projections.projection_simplex)(x)


CASES = (
    Case(relu6, jax.nn.relu6, "jax.nn.relu6", SMALL, LARGE, torch=functional("relu6"), single=True),
    Case(
        hard_sigmoid,
        jax.nn.hard_sigmoid,
        "jax.nn.hard_sigmoid",
        SMALL,
        LARGE,
        torch=functional("hardsigmoid"),
        single=True,
    ),
    Case(
        hard_tanh,
        jax.nn.hard_tanh,
        "jax.nn.hard_tanh",
        SMALL,
        LARGE,
        torch=functional("hardtanh"),
        single=True,
    ),
    Case(
        hard_swish,
        jax.nn.hard_swish,
        "jax.nn.hard_swish",
        SMALL,
        LARGE,
        torch=functional("hardswish"),
        single=True,
    ),
    Case(relu_squared, plain_relu_squared, "jax.nn.relu, squared", SMALL, LARGE, single=True),
    Case(softplus, jax.nn.softplus, "jax.nn.softplus", SMALL, LARGE, torch=functional("softplus")),
    Case(
        log_sigmoid,
        jax.nn.log_sigmoid,
        "jax.nn.log_sigmoid",
        SMALL,
        LARGE,
        torch=functional("logsigmoid"),
    ),
    Case(mish, jax.nn.mish, "jax.nn.mish", SMALL, LARGE, torch=functional("mish")),
    Case(
        softsign,
        jax.nn.soft_sign,
        "jax.nn.soft_sign",
        SMALL,
        LARGE,
        torch=functional("softsign"),
        single=True,
    ),
    Case(squareplus, jax.nn.squareplus, "jax.nn.squareplus", SMALL, LARGE, single=True),
    Case(selu, jax.nn.selu, "jax.nn.selu", SMALL, LARGE, torch=functional("selu")),
    Case(celu, jax.nn.celu, "jax.nn.celu", SMALL, LARGE, torch=functional("celu")),
    Case(
        log_softmax,
        jax.nn.log_softmax,
        "jax.nn.log_softmax",
        SMALL,
        LARGE,
        torch=functional("log_softmax", dim=-1),
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
