"""Where the first nan or infinity is born."""

import jax
import jax.numpy as jnp
import pytest

import purebp
from purebp.errors import ArgumentError

X = jnp.array([0.0, 1.0, 2.0])


def births(function, x):
    """The first value and the first cotangent, which both are there."""
    found = purebp.find_nonfinite(function, x)
    assert found.value is not None
    assert found.cotangent is not None
    return found.value, found.cotangent


def cotangent_alone(function, x):
    found = purebp.find_nonfinite(function, x)
    assert found.value is None
    assert found.cotangent is not None
    return found.cotangent


def guarded(x):
    return jnp.sum(jnp.where(x > 0, jnp.log(x), 0.0))


def test_the_value_and_the_cotangent_and_the_cure_are_named():
    value, cotangent = births(guarded, X)
    assert (value.primitive, cotangent.primitive) == ("log", "log")
    assert "test_nonfinite.py" in value.line
    assert "(guarded)" in value.line
    assert value.after == ("float32[3], 1 of 3 not finite, as [0]: -inf",)
    text = str(purebp.find_nonfinite(guarded, X))
    assert "the first cotangent that is not finite: log" in text
    assert "usual  the logarithm of 0 or less" in text


def norm_of_nothing(x):
    return jnp.linalg.norm(0 * x)


def test_a_root_at_zero_has_a_value_and_no_slope():
    cotangent = cotangent_alone(norm_of_nothing, X)
    assert cotangent.primitive == "sqrt"
    assert "(norm_of_nothing)" in cotangent.line  # though JAX's own code calls it


def grow(carry, z):
    return jnp.exp(carry * z) * carry, jnp.sqrt(z)


def divided(x):
    return jnp.sum(x / x[0] * 0)


BORN = {
    "scan": (lambda x: jax.lax.scan(grow, 3.0, 2 * x)[0], "exp"),
    "scan back": (lambda x: jax.lax.scan(grow, 3.0, 2 * x, reverse=True)[0], "exp"),
    "cond": (lambda x: jax.lax.cond(x[0] > 0, jnp.sum, divided, x), "div"),
    "calls": (jax.jit(lambda x: jnp.sum(jax.checkpoint(jnp.log)(x))), "log"),
    "while": (
        lambda x: jax.lax.while_loop(lambda y: y[1] < 99, lambda y: y / y[0], x)[0],
        "div",
    ),
}


@pytest.mark.parametrize("name", BORN)
def test_loops_and_branches_are_gone_through(name):
    function, primitive = BORN[name]
    assert births(function, X)[0].primitive == primitive


def test_while_loops_have_a_slope_step_by_step():
    def loss(x):
        return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.sqrt(c[1])), (0, x))[
            1
        ]

    assert not purebp.find_nonfinite(loss, 2.0)
    assert cotangent_alone(loss, 0.0).primitive == "sqrt"


def test_all_is_well_or_came_so():
    assert str(purebp.find_nonfinite(jnp.sum, X)) == "all values and all cotangents are finite"
    found = purebp.find_nonfinite(jnp.sum, X / 0)
    assert found.arguments == (0,)
    assert "argument array 0 is not finite itself" in str(found)


def test_bad_input_is_refused():
    with pytest.raises(ArgumentError, match=r"shape \(3,\), expected one real number"):
        purebp.find_nonfinite(jnp.sin, X)
    with pytest.raises(ArgumentError, match="2 arrays, expected one real number"):
        purebp.find_nonfinite(lambda x: (x[0], x[1]), X)
    with pytest.raises(ArgumentError, match=r"outside of jax\.jit"):
        jax.jit(lambda x: purebp.find_nonfinite(guarded, x).arguments)(X)
