"""Functions of JAX that are calls of their own, run by the ops of purebp."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.autodiff import fused
from purebp.autodiff.fusion import CALLS
from purebp.errors import OptionError
from tests.autodiff.test_shards import assert_near

X = jnp.linspace(-3, 3, 48).reshape(4, 12)

FUNCTIONS = {
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "log_sigmoid": jax.nn.log_sigmoid,
    "mish": jax.nn.mish,
    "elu": lambda x: jax.nn.elu(x) + jax.nn.elu(x, 0.3),
    "celu": lambda x: jax.nn.celu(x) + jax.nn.celu(x, 0.3),
    "selu": jax.nn.selu,
    "leaky_relu": lambda x: jax.nn.leaky_relu(x) + jax.nn.leaky_relu(x, 0.2),
    "gelu": lambda x: jax.jit(jax.nn.gelu)(x) + jax.jit(jax.nn.gelu, static_argnums=1)(x, False),
    "glu": lambda x: jax.nn.glu(x)[0] + jax.nn.glu(x, 0)[0, :6],
    "softmax": lambda x: (
        jax.jit(jax.nn.softmax, static_argnums=1)(x, 0) + jax.jit(jax.nn.softmax)(x)
    ),
    "log_softmax": lambda x: jax.nn.log_softmax(x) + jax.nn.log_softmax(x, 0),
    "standardize": lambda x: jax.nn.standardize(x, 0, epsilon=1e-2) + jax.nn.standardize(x),
    "logsumexp": jax.jit(jax.nn.logsumexp),
    "norm": lambda x: jnp.linalg.norm(x, axis=0)[:4] + jnp.linalg.norm(x, axis=1),
    "_var": lambda x: jnp.var(x) + jnp.var(x, axis=0, keepdims=True, ddof=1),
    "_std": lambda x: jnp.std(x) + jnp.std(x, axis=0, keepdims=True, ddof=1),
}
"""A function for each row of the table, in several ways where it has options."""


def loss_of(function):
    def loss(x):
        y = function(x)
        return jnp.sum(y**2 * jnp.cos(jnp.arange(y.size)).reshape(y.shape))

    return loss


def ops_in(function, monkeypatch):
    """The names of the rows whose ops are run."""
    run = list[str]()
    for name, call in CALLS.items():
        op = type("Spy", (), {})()

        def fwd(*args, name=name, call=call, **options):
            run.append(name)
            return call.op.fwd(*args, **options)

        op.fwd, op.bwd = fwd, call.op.bwd
        monkeypatch.setitem(CALLS, name, call._replace(op=op))
    fused.cache_clear()
    purebp.grad(function, rules=fused())(X)
    fused.cache_clear()
    return run


def test_every_row_has_its_function():
    assert set(FUNCTIONS) == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_the_call_is_run_by_its_op(name, monkeypatch):
    loss = loss_of(FUNCTIONS[name])
    assert_near(purebp.grad(loss, rules=fused())(X), jax.grad(loss)(X), 2e-5)
    assert_near(jax.jit(purebp.grad(loss, rules=fused(name)))(X), jax.grad(loss)(X), 2e-5)
    text = jax.make_jaxpr(loss)(X).pretty_print(use_color=False)
    ways = text.count(f"name={name}\n") + text.count(f"name={name} ")
    assert ops_in(loss, monkeypatch).count(name) == ways > 0


OTHERS = {
    "over two axes": lambda x: jax.nn.log_softmax(x, (0, 1)),
    "another norm": lambda x: jnp.linalg.norm(x, ord=1, axis=0),
    "a given mean": lambda x: jax.nn.standardize(x, mean=0.0),
    "where": lambda x: jax.nn.log_softmax(x, where=x > 0) * (x > 0),
    "a number that is computed": lambda x: jax.nn.elu(x, jnp.max(x)),
    "complex": lambda x: jnp.var(x + 1j * x),
}


@pytest.mark.parametrize("way", OTHERS)
def test_other_ways_to_call_it_go_by_the_gates(way, monkeypatch):
    loss = loss_of(lambda x: jnp.real(OTHERS[way](x)))
    assert_near(purebp.grad(loss, rules=fused())(X), jax.grad(loss)(X), 2e-5)
    assert not ops_in(loss, monkeypatch)


def test_a_function_of_the_users_of_the_same_name_is_not_taken_for_it():
    @jax.jit
    def softmax(x):
        return 2 * jnp.exp(x)

    found = purebp.grad(lambda x: jnp.sum(softmax(x)), rules=fused())(X)
    assert_near(found, 2 * jnp.exp(X))


def test_slopes_hold_where_the_gates_have_none():
    zero = jnp.zeros(3)
    assert bool(jnp.isnan(purebp.grad(jnp.linalg.norm)(zero)).all())
    assert purebp.grad(jnp.linalg.norm, rules=fused())(zero).tolist() == [0, 0, 0]
    assert purebp.grad(jnp.linalg.norm, rules=fused("softplus"))(zero).tolist() != [0, 0, 0]


def test_inside_of_loops_and_of_derivatives():
    def loss(x):
        h, _ = jax.lax.scan(lambda h, _: (jax.nn.softplus(jax.nn.standardize(h)), None), x, None, 3)
        return jnp.sum(h**2)

    rules = fused()
    assert_near(purebp.grad(loss, rules=rules)(X), jax.grad(loss)(X), 1e-4)
    second = purebp.grad(lambda x: jnp.sum(purebp.grad(loss, rules=rules)(x) ** 2), rules=rules)(X)
    expected = jax.grad(lambda x: jnp.sum(jax.grad(loss)(x) ** 2))(X)
    assert_near(np.asarray(second), np.asarray(expected), 1e-3)


def test_a_name_that_is_not_in_the_table_is_refused():
    with pytest.raises(OptionError, match="'relu', expected some of silu, softplus"):
        fused("relu")
