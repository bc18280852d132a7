"""Checkpoints with policies, and custom rules honoured or opened."""

import jax
import jax.numpy as jnp
import pytest
from jax import checkpoint_policies as policies
from jax.ad_checkpoint import checkpoint_name

import purebp
from purebp.autodiff import EXACT_TAILS
from purebp.compat import jit_once
from purebp.errors import OptionError
from tests.autodiff.test_api import assert_same

W = jnp.linspace(-1, 1, 9).reshape(3, 3)
X = 2 * W.T
POLICIES = {
    "none": None,
    "nothing": policies.nothing_saveable,
    "everything": policies.everything_saveable,
    "products": policies.dots_saveable,
    "names": policies.save_only_these_names("h"),
    "offloaded": policies.save_and_offload_only_these_names(
        names_which_can_be_saved=["h"],
        names_which_can_be_offloaded=[],
        offload_src="device",
        offload_dst="pinned_host",
    ),
}


def layers(w, x):
    h = jax.jit(lambda x, w: jnp.tanh(x @ w))(x, w)
    h = checkpoint_name(jnp.sin(h), "h")
    return jnp.sum(jnp.sin(jnp.exp(jnp.cos(h @ w)) @ w))


def loss_with(policy):
    block = jax.checkpoint(layers, policy=policy)
    return lambda w, x: jnp.sin(block(w, block(w, x) * x))


def cost_of(derive, loss):
    cost = jax.jit(derive(loss, (0, 1))).lower(W, X).compile().cost_analysis()
    assert cost is not None
    return cost


@pytest.mark.parametrize("name", POLICIES)
def test_what_a_policy_keeps_is_not_computed_again(name):
    loss = loss_with(POLICIES[name])
    ours, plain = (cost_of(derive, loss) for derive in (purebp.grad, jax.grad))
    assert_same(
        jax.jit(purebp.grad(loss, (0, 1)))(W, X), jit_once(jax.grad(loss_with(None), (0, 1)))(W, X)
    )
    for figure in ("flops", "transcendentals"):
        assert ours[figure] <= plain[figure]


def test_policies_that_keep_more_compute_less():
    def exponentials(name):
        return cost_of(purebp.grad, loss_with(POLICIES[name]))["transcendentals"]

    assert exponentials("everything") < exponentials("names") < exponentials("nothing")


@jax.custom_vjp
def tripled(x):
    return jnp.sin(x)


tripled.defvjp(lambda x: (jnp.sin(x), x), lambda x, bar: (3 * bar * jnp.cos(x),))


@jax.custom_jvp
def doubled(x):
    return jnp.sin(x)


doubled.defjvp(lambda x, dx: (jnp.sin(x[0]), 2 * jnp.cos(x[0]) * dx[0]))


@pytest.mark.parametrize(("function", "factor"), [(tripled, 3), (doubled, 2)])
def test_custom_rules_are_honoured_or_opened(function, factor):
    slopes = [
        purebp.grad(function, custom_rules="honour")(0.5),
        purebp.value_and_grad(function, custom_rules="open")(0.5)[1],
        purebp.jacobian(function, custom_rules="open")(jnp.ones(1) * 0.5)[0, 0],
        purebp.vjp(function, 0.5, custom_rules="open")[1](1.0)[0],
    ]
    expected = [factor * jnp.cos(0.5), *3 * [jnp.cos(0.5)]]
    for came, right in zip(slopes, expected, strict=True):
        assert float(came) == pytest.approx(float(right), rel=1e-6)


def test_rules_are_opened_inside_of_loops_too():
    def loss(x):
        return jax.lax.scan(lambda c, _: (tripled(c), None), x, None, length=2)[0]

    right = jnp.cos(jnp.sin(0.5)) * jnp.cos(0.5)
    assert float(purebp.grad(loss, custom_rules="open")(0.5)) == pytest.approx(float(right))
    assert float(purebp.grad(loss)(0.5)) == pytest.approx(9 * float(right))


def test_another_word_is_refused():
    with pytest.raises(OptionError, match="'close', expected 'honour' or 'open'"):
        purebp.grad(jnp.sin, custom_rules="close")(0.5)


def test_tails_are_exact_where_asked_for():
    x = 20.0
    assert float(purebp.grad(jnp.tanh)(x)) == 0
    exact = float(purebp.grad(jnp.tanh, rules=EXACT_TAILS)(x))
    assert exact == pytest.approx(4 * 4.248354255291589e-18, rel=1e-5)
