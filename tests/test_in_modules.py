"""Ops inside the modules of flax (linen and nnx) and equinox, and in a step of optax.

Each gradient is held against the one of the plain definitions.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from purebp import Op, chain, skip
from purebp.activations import gelu
from purebp.layers import affine, layer_norm
from purebp.losses import softmax_cross_entropy

BATCH, FEATURES, CLASSES = 6, 4, 3
NET = chain(skip(layer_norm, affine, gelu), affine, name="net")
KEYS = jax.random.split(jax.random.key(0), 4)
X = jax.random.normal(KEYS[0], (BATCH, FEATURES))
LABELS = jax.random.randint(KEYS[1], (BATCH,), 0, CLASSES)
WEIGHTS = {
    "gamma": jnp.linspace(0.5, 1.5, FEATURES),
    "beta": jnp.linspace(-0.5, 0.5, FEATURES),
    "w": jax.random.normal(KEYS[2], (FEATURES, FEATURES)),
    "b": jnp.linspace(0, 1, FEATURES),
    "out": jax.random.normal(KEYS[3], (FEATURES, CLASSES)),
}


def params_of(weights: Any) -> Any:
    """The weights in the order in which the chain takes them."""
    block = ((weights["gamma"], weights["beta"]), (weights["w"], weights["b"]), ())
    return ((block,), (weights["out"],))


def plain_loss(weights: Any) -> Any:
    scores = NET.define(X, params_of(weights))
    return softmax_cross_entropy.define(scores, LABELS)


@cache
def expected() -> dict[str, Any]:
    return jax.jit(jax.grad(plain_loss))(WEIGHTS)


def assert_expected(slopes: dict[str, Any]) -> None:
    assert set(slopes) == set(WEIGHTS)
    for name, slope in slopes.items():
        np.testing.assert_allclose(slope, expected()[name], rtol=2e-5, atol=1e-6, err_msg=name)


class Linen(linen.Module):
    """A linen module whose forward and backward passes are those of the ops."""

    op: Op

    @linen.compact
    def __call__(self, x: Any) -> Any:
        weights = {
            name: self.param(name, lambda _, value=value: value) for name, value in WEIGHTS.items()
        }
        return self.op(x, params_of(weights))


@pytest.mark.parametrize("transform", [jax.grad, lambda f: jax.jit(jax.grad(f))], ids=["", "jit"])
def test_in_a_linen_module(transform: Callable[..., Any]) -> None:
    module = Linen(NET)
    variables = jax.jit(module.init)(jax.random.key(0), X)

    def loss(variables: Any) -> Any:
        return softmax_cross_entropy(module.apply(variables, X), LABELS)

    assert_expected(transform(loss)(variables)["params"])


class Nnx(nnx.Module):
    """An nnx module: its weights are Params, the op is an attribute."""

    def __init__(self) -> None:
        self.op = NET
        self.weights = nnx.Dict({name: nnx.Param(value) for name, value in WEIGHTS.items()})

    def __call__(self, x: Any) -> Any:
        return self.op(x, params_of({name: w[...] for name, w in self.weights.items()}))


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
def test_in_an_nnx_module(jit: bool) -> None:
    def loss(module: Nnx) -> Any:
        return softmax_cross_entropy(module(X), LABELS)

    gradient = nnx.jit(nnx.grad(loss)) if jit else nnx.grad(loss)
    slopes = gradient(Nnx())["weights"]
    assert_expected({name: slopes[name][...] for name in WEIGHTS})


class Equinox(eqx.Module):
    """An equinox module: the op is a static field, or one leaf that is not an array."""

    weights: dict[str, Any]
    op: Op = eqx.field(static=True)
    loss: Op = softmax_cross_entropy

    def __call__(self, x: Any) -> Any:
        return self.loss(self.op(x, params_of(self.weights)), LABELS)


@pytest.mark.parametrize("jit", [False, True], ids=["", "jit"])
def test_in_an_equinox_module(jit: bool) -> None:
    def loss(module: Equinox) -> Any:
        return module(X)

    gradient = eqx.filter_jit(eqx.filter_grad(loss)) if jit else eqx.filter_grad(loss)
    slopes = gradient(Equinox(WEIGHTS, NET))
    assert_expected(slopes.weights)
    assert slopes.loss is None


def test_in_a_vmapped_equinox_module() -> None:
    module = Equinox(WEIGHTS, NET)
    rows = eqx.filter_vmap(lambda x: module.op(x, params_of(module.weights)))(X)
    np.testing.assert_allclose(rows, NET.define(X, params_of(WEIGHTS)), rtol=1e-5, atol=1e-6)


def test_in_a_step_of_optax() -> None:
    def loss(weights: Any) -> Any:
        return softmax_cross_entropy(NET(X, params_of(weights)), LABELS)

    @jax.jit
    def step(weights: Any, state: Any) -> Any:
        value, slopes = jax.value_and_grad(loss)(weights)
        updates, state = optimizer.update(slopes, state)
        return optax.apply_updates(weights, updates), state, value

    optimizer = optax.sgd(0.1)
    moved, _, before = step(WEIGHTS, optimizer.init(WEIGHTS))
    by_hand = {name: WEIGHTS[name] - 0.1 * expected()[name] for name in WEIGHTS}
    for name, weight in moved.items():
        np.testing.assert_allclose(weight, by_hand[name], rtol=1e-5, atol=1e-6)
    assert loss(moved) < before
