"""Loops whose number of turns is known run back; the others are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import purebp
from purebp.errors import NoRuleError

X = jnp.arange(1.0, 4.0)
C = jnp.float32(0.7)


def step(h, x):
    return jnp.sin(h) * C + x


def counted(x):
    return lax.while_loop(lambda s: s[1] < 5, lambda s: (step(s[0], x), s[1] + 1), (x, 0))[0]


def halved(x):
    return lax.while_loop(lambda s: s[1] > 1, lambda s: (step(s[0], x), s[1] // 2), (x, 40))[0]


def bounded(x):
    first, last = jnp.int32(2), jnp.int32(7)
    return lax.fori_loop(first, last, lambda _, h: step(h, x), x)


def by_two(x):
    """What the condition looks at goes on by something else that is carried."""

    def turn(s):
        h, k, by = s
        return step(h, x), k + by, by + 1

    return lax.while_loop(lambda s: s[1] < 10, turn, (x, 0, 0))[0]


def never(x):
    return lax.while_loop(lambda s: s[1] < 0, lambda s: (step(s[0], x), s[1] + 1), (x, 0))[0]


TURNS = [(counted, 5), (halved, 5), (bounded, 5), (by_two, 5), (never, 0)]


@pytest.mark.parametrize(("loop", "turns"), TURNS)
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_a_loop_of_known_length_runs_back(loop, turns, transform):
    def same(x):
        return lax.fori_loop(0, turns, lambda _, h: step(h, x), x)

    found, expected = (
        transform(grad(lambda x, f=f: jnp.sum(f(x) ** 2)))(X)
        for grad, f in ((purebp.grad, loop), (jax.grad, same))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def doubled(x):
    return jnp.sum(lax.while_loop(lambda h: jnp.sum(h) < 30.0, lambda h: 1.5 * h, x))


def test_a_length_that_hangs_on_values_is_known_where_these_are():
    np.testing.assert_allclose(purebp.grad(doubled)(X), [1.5**4] * 3)
    with pytest.raises(NoRuleError, match=r"length is not known beforehand.*test_whiles.py"):
        jax.jit(purebp.grad(doubled))(X)


def test_second_derivatives_go_through():
    def slope(grad):
        return lambda x: jnp.sum(grad(lambda x: jnp.sum(counted(x)))(x) ** 2)

    found = purebp.grad(slope(purebp.grad))(X)
    near = [
        (slope(purebp.grad)(X + h) - slope(purebp.grad)(X - h)) / 2e-2 for h in 1e-2 * jnp.eye(3)
    ]
    np.testing.assert_allclose(found, near, rtol=2e-2, atol=2e-2)
