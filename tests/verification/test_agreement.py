"""Two reverse modes node by node."""

import jax
import jax.numpy as jnp
import pytest

import purebp
from purebp.autodiff import Rule
from purebp.errors import ArgumentError, OptionError

X = jax.random.normal(jax.random.key(0), (4, 3))
W = 0.5 * jnp.eye(3)


@jax.custom_vjp
def right_rule(x):
    return jnp.sin(x)


right_rule.defvjp(lambda x: (jnp.sin(x), x), lambda x, bar: (bar * jnp.cos(x),))


@jax.custom_vjp
def wrong_rule(x):
    return jnp.tanh(x)


wrong_rule.defvjp(lambda x: (jnp.tanh(x), x), lambda x, bar: (bar * jnp.cos(x),))


def network(x, w):
    def step(h, z):
        return wrong_rule(right_rule(h @ w) + z), h

    last, ys = jax.lax.scan(step, jnp.ones(3), x)
    return jnp.sum(right_rule(last)) + jnp.sum(ys**2)


def test_the_guilty_rule_among_many_is_named_with_its_line():
    found = purebp.compare(network, X, W)
    assert not found.agree
    assert [parting.name for parting in found.partings] == ["wrong_rule"]
    assert "test_agreement.py:33" in str(found)


def test_honoured_on_both_sides_they_agree():
    found = purebp.compare(network, X, W, custom_rules="honour")
    assert found.agree
    assert str(found) == f"jax.grad and purebp.grad agree at {found.nodes} nodes"
    assert not found.skipped


def test_a_planted_row_is_found():
    wrong = Rule(lambda _, args: ([jnp.cos(args[0])], None), lambda *given: [given[-1][0]])
    found = purebp.compare(lambda x: jnp.sum(jnp.cos(x) * x), X, rules={"cos": wrong})
    assert [parting.name for parting in found.partings] == ["cos"]
    assert found.partings[0].operand == 0


def test_float64_shows_what_rounding_loses():
    def loss(x):
        return jnp.sum(jnp.log(1 + jnp.exp(20 * x) - jnp.exp(20 * x)) + x)

    found = purebp.compare(loss, jnp.linspace(0, 2, 5), against="float64")
    assert found.partings[0].name == "log"
    assert purebp.compare(network, X, W, against="float64").agree


def test_bad_input_is_refused():
    with pytest.raises(OptionError, match=r"expected 'jax\.grad' or 'float64'"):
        purebp.compare(network, X, W, against="torch")
    with pytest.raises(ArgumentError, match="expected one real number"):
        purebp.compare(jnp.sin, X)
