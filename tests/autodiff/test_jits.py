"""Calls of jit: opened or kept, with the same gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import purebp
from purebp.autodiff.jits import SMALL
from purebp.gates import sin
from tests.autodiff.test_api import assert_same
from tests.autodiff.test_shards import assert_near

X = jnp.linspace(-1, 1, 6).reshape(2, 3)
W = jnp.linspace(-1, 2, 9).reshape(3, 3)


@jax.jit
def block(p, x, k):
    """Large enough to be kept; k is a whole number."""
    h = jnp.tanh(x @ p["w"]) * k
    return h / (1 + jnp.sum(jnp.sin(h) ** 2)) + jnp.exp(-x * x) * p["b"], k + 1


def blocks(p, x):
    y, k = x, 2
    for _ in range(3):
        y, k = block(p, y, k)
    return jnp.sum(y**2)


def squared_slope(grad):
    return lambda x: jnp.sum(grad(blocks, 1)(P0, x) ** 2)


P0 = {"w": W, "b": jnp.ones(3)}


def calls_in(program):
    return [e.params["name"] for e in program.jaxpr.eqns if e.primitive.name == "jit"]


def test_the_gradients_of_calls_are_those_of_jax():
    expected = jax.grad(blocks, (0, 1))(P0, X)
    assert_near(purebp.grad(blocks, (0, 1))(P0, X), expected)
    assert_near(jax.jit(purebp.grad(blocks, (0, 1)))(P0, X), expected)
    twice = [g(squared_slope(g))(X) for g in (purebp.grad, jax.grad)]
    assert_near(*twice)
    over = [jax.vmap(g(blocks, 1), (None, 0))(P0, X[:, None]) for g in (purebp.grad, jax.grad)]
    assert_near(*over)


def test_what_is_called_again_and_again_is_called_in_the_gradient_too():
    names = calls_in(jax.make_jaxpr(purebp.grad(blocks))(P0, X))
    assert (names.count("block_fwd"), names.count("block_bwd")) == (3, 3)


def test_what_is_called_once_is_opened():
    names = calls_in(jax.make_jaxpr(purebp.grad(lambda p, x: jnp.sum(block(p, x, 2)[0])))(P0, X))
    assert not any("block" in name for name in names)


def test_what_is_small_is_opened():
    half = jax.jit(lambda x: jnp.sin(x) * 0.5)
    assert len(jax.make_jaxpr(half)(X).jaxpr.eqns) < SMALL
    program = jax.make_jaxpr(purebp.grad(lambda x: jnp.sum(half(half(half(x))))))(X)
    assert not calls_in(program)


def test_a_call_with_numbers_is_derived_once():
    pulled = list[int]()

    def backward(_, x, bars):
        pulled.append(1)
        return [bars[0] * jnp.cos(x)]

    def forward(_, args):
        return [sin(args[0])], args[0]

    row = purebp.autodiff.Rule(forward, backward)
    of_block = purebp.grad(blocks, 1, rules={"sin": row})
    first = of_block(P0, X)
    assert len(pulled) == 1
    assert_same(of_block(P0, X), first)
    assert len(pulled) == 1


def test_other_rules_are_another_derivative():
    plain = purebp.grad(blocks, 1)(P0, X)
    flat = purebp.grad(blocks, 1, rules={"tanh": None})(P0, X)
    assert float(jnp.max(jnp.abs(plain - flat))) > 0.1
    assert_same(purebp.grad(blocks, 1)(P0, X), plain)


def test_a_call_that_closes_over_what_is_traced():
    def loss(x):
        inner = jax.jit(lambda y: jnp.sum(jnp.sin(y * x) ** 2 / (1 + jnp.exp(x - y)) + x * y))
        return inner(x + 1) * inner(x)

    expected = jax.grad(loss)(X)
    assert_near(purebp.grad(loss)(X), expected)
    assert_near(jax.jit(purebp.grad(loss))(X), expected)


def test_a_call_that_prints_is_opened(capfd):
    @jax.jit
    def loud(x):
        jax.debug.print("here {}", jnp.sum(x))
        return jnp.sum(jnp.sin(jnp.cos(jnp.exp(x * x) + 1) / (x + 3)) * 2)

    assert_near(purebp.grad(loud)(X), jax.grad(loud)(X))
    jax.effects_barrier()
    assert capfd.readouterr().out.count("here") == 2


@pytest.mark.parametrize("size", ["kept", "small"])
def test_arguments_and_results_lie_where_the_call_says(size):
    mesh = jax.make_mesh((4, 2), ("i", "j"), axis_types=(AxisType.Auto,) * 2)
    rows, columns = NamedSharding(mesh, P("i")), NamedSharding(mesh, P(None, "j"))
    body = {
        "kept": lambda x: jnp.tanh(jnp.sin(x) * jnp.exp(-x * x) / (1 + x * x)) + x,
        "small": jnp.sin,
    }[size]
    placed = jax.jit(body, in_shardings=rows, out_shardings=columns)
    x = jnp.asarray(np.linspace(-1, 1, 64).reshape(8, 8), jnp.float32)

    def loss(x):
        return jnp.sum(placed(placed(x)) ** 2)

    found, expected = (jax.jit(grad(loss))(x) for grad in (purebp.grad, jax.grad))
    assert_near(np.asarray(found), np.asarray(expected))
    assert found.sharding.is_equivalent_to(expected.sharding, 2)
    text = jax.jit(purebp.grad(loss)).lower(x).as_text()
    assert text.count("@Sharding") + text.count("sharding_constraint") >= 4
