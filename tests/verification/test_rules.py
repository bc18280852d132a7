"""The rules inside of a function: found, opened one by one or all, wherever they are called."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.compat import enable_x64
from purebp.verification.rules import first_call, open_rules, rules_of


@jax.custom_vjp
def tripled(x):
    return jnp.sin(x)


def tripled_fwd(x):
    return jnp.sin(x), x


def tripled_bwd(x, g):
    return (3 * jnp.cos(x) * g,)


tripled.defvjp(tripled_fwd, tripled_bwd)


@jax.custom_jvp
def doubled(x, w):
    return x * w


@doubled.defjvp
def doubled_jvp(primals, tangents):
    (x, w), (dx, dw) = primals, tangents
    return x * w, 2 * (dx * w + x * dw)


X = jnp.asarray([0.3, -1.2, 2.0])


def in_scan(f, x):
    return lax.scan(lambda carry, t: (f(carry) + t, carry), x, jnp.stack([x, x]))


PLACES = {
    "plain": lambda f, x: f(x),
    "jit": lambda f, x: jax.jit(f)(x) + 1,
    "vmap": lambda f, x: jax.vmap(f)(x),
    "scan": in_scan,
    "scan with constants": lambda f, x: lax.scan(lambda c, t: (f(c * x[0]) + t, None), x, x)[0],
    "cond": lambda f, x: lax.cond(x.sum() > 0, f, lambda x: x, x),
    "switch": lambda f, x: lax.switch(1, [jnp.cos, f, jnp.tanh], x),
    "fori_loop": lambda f, x: lax.fori_loop(0, 3, lambda _, x: f(x), x),
    "checkpoint": lambda f, x: jax.checkpoint(lambda x: 2 * f(x))(x),
    "jit in scan in cond": lambda f, x: lax.cond(
        x[0] > 0, lambda x: in_scan(jax.jit(f), x)[0], jnp.cos, x
    ),
    "map": lax.map,
    "gather": lambda f, x: jnp.take_along_axis(f(x), jnp.asarray([0, 0, 2]), 0),
}


def slopes(function, x):
    y, pull = jax.vjp(function, x)
    return pull(jax.tree.map(lambda leaf: jnp.cos(leaf) + 1, y))[0]


@pytest.mark.parametrize("place", PLACES)
def test_a_rule_is_found_and_opened_wherever_it_is_called(place):
    def function(x):
        return PLACES[place](tripled, x)

    def plain(x):
        return PLACES[place](jnp.sin, x)

    (rule,) = rules_of(function, X)
    assert (rule.name, str(rule).startswith("tripled (test_rules.py:")) == ("tripled", True)
    opened = open_rules(function)
    assert rules_of(opened, X) == ()
    np.testing.assert_allclose(slopes(opened, X), slopes(plain, X), rtol=1e-6)
    np.testing.assert_allclose(slopes(open_rules(function, []), X), slopes(function, X), rtol=1e-6)
    assert not np.allclose(slopes(opened, X), slopes(function, X))


def test_opened_functions_can_be_compiled_mapped_and_run_in_float64():
    def function(x):
        return in_scan(tripled, x)[0]

    opened = open_rules(function)
    with enable_x64(True):
        x = jnp.asarray(np.asarray(X, np.float64))
        got = jax.jit(jax.vmap(jax.grad(lambda x: opened(x).sum())))(jnp.stack([x, 2 * x]))
        assert got.dtype == jnp.float64
        right = jax.grad(lambda x: in_scan(jnp.sin, x)[0].sum())(2 * x)
        np.testing.assert_allclose(got[1], right, rtol=1e-13)


def two(x):
    return doubled(tripled(x), jnp.cos(x))


def test_one_rule_is_opened_and_the_other_kept():
    first, second = rules_of(two, X)
    assert (first.name, second.name) == ("tripled", "doubled")
    assert first.line != second.line

    def pulled(which):
        return slopes(open_rules(two, which), X)

    by_hand = jnp.cos(jnp.sin(X) * jnp.cos(X)) + 1
    of_first, of_second = jnp.cos(X) ** 2 * by_hand, -(jnp.sin(X) ** 2) * by_hand
    np.testing.assert_allclose(pulled([first, second]), of_first + of_second, rtol=1e-5)
    np.testing.assert_allclose(pulled([second]), 3 * of_first + of_second, rtol=1e-5)
    np.testing.assert_allclose(pulled([first]), 2 * of_first + 2 * of_second, rtol=1e-5)
    assert rules_of(open_rules(two, [first]), X) == (second,)


def test_a_rule_inside_of_a_rule_is_not_listed_and_opened_with_it():
    @jax.custom_jvp
    def outer(x):
        return tripled(x) ** 2

    outer.defjvp(lambda x, dx: (outer(*x), dx[0]))
    (rule,) = rules_of(outer, X)
    assert rule.name == "outer"
    right = 2 * jnp.sin(X) * jnp.cos(X)
    np.testing.assert_allclose(jax.grad(lambda x: open_rules(outer)(x).sum())(X), right, rtol=1e-5)


def test_several_arguments_and_outputs_keep_their_trees():
    def function(params, x, *, scale):
        return {"y": tripled(params["w"] * x) * scale, "n": x.shape[0]}

    opened = open_rules(lambda params, x: function(params, x, scale=2.0))
    out = opened({"w": X, "unused": jnp.arange(2)}, X)
    np.testing.assert_allclose(out["y"], 2 * jnp.sin(X * X), rtol=1e-6)
    assert out["n"] == 3


@pytest.mark.parametrize("place", ["plain", "jit", "scan", "cond", "fori_loop", "checkpoint"])
def test_the_values_that_reach_a_rule_are_those_of_its_first_call(place):
    def function(x):
        return PLACES[place](tripled, x)

    (rule,) = rules_of(function, X)
    call = first_call(function, rule, X)
    assert call is not None
    (reached,) = call.values
    np.testing.assert_allclose(reached, X, rtol=1e-6)
    np.testing.assert_allclose(call(X)[0], jnp.sin(X), rtol=1e-6)
    with enable_x64(True):
        (y,) = call(np.asarray(X, np.float64))
    assert y.dtype == np.float64


def test_a_while_loop_is_opened_and_its_first_step_seen():
    def function(x):
        return lax.while_loop(lambda x: x.sum() < 2, lambda x: tripled(x) + 1, x)

    (rule,) = rules_of(function, X)
    np.testing.assert_allclose(open_rules(function)(X), function(X), rtol=1e-6)
    assert rules_of(open_rules(function), X) == ()
    call = first_call(function, rule, X)
    assert call is not None
    np.testing.assert_allclose(call.values[0], X)


def test_a_branch_that_is_not_taken_reaches_nothing():
    def function(x):
        return lax.cond(x.sum() > 100, tripled, jnp.cos, x)

    (rule,) = rules_of(function, X)
    assert first_call(function, rule, X) is None
