"""Loops whose number of turns is known run back; the others are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import purebp
from purebp.compat import enable_x64
from purebp.errors import NoRuleError, OptionError
from tests.autodiff.test_shards import assert_near

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


def doubled_until(x, end):
    """As many turns as x needs."""
    return lax.while_loop(lambda y: y < end, lambda y: 2 * y + jnp.sin(x), x)


def chased(x, w):
    """Constants of the condition and of the body, several that are carried, numbers beside."""

    def goes_on(s):
        return (jnp.sum(s[0]) < 5 * C) & (s[1] < 30)

    return lax.while_loop(goes_on, lambda s: (s[0] * w + jnp.abs(x), s[1] + 1), (x, 0))[0]


def unrolled(x, end):
    """In Python: the condition looks at numbers."""
    y, slope = float(x), 1.0
    while y < end:
        y, slope = 2 * y + float(np.sin(x)), 2 * slope + float(np.cos(x))
    return slope


def test_a_loop_of_any_length_has_a_gradient_within_a_bound():
    slope = jax.jit(purebp.grad(doubled_until, rules=purebp.autodiff.bounded(8)))
    for x in (1.0, 3.0, 20.0):
        assert float(slope(x, 15.0)) == pytest.approx(unrolled(x, 15.0), rel=1e-5)
    assert_near(jax.vmap(slope, (0, None))(X, 15.0), jnp.stack([slope(x, 15.0) for x in X]))


def test_a_bounded_loop_has_the_gradients_of_finite_differences():
    w = jnp.asarray([1.5, 1.1, 0.9])
    with enable_x64(True):
        args = tuple(jnp.asarray(each, jnp.float64) for each in (X / 10, w))

        def total(x, w):
            return jnp.sum(chased(x, w) ** 2)

        bars = jax.jit(purebp.grad(total, (0, 1), rules=purebp.autodiff.bounded(40)))(*args)
        for place, bar in enumerate(bars):
            for k in range(3):
                step = jnp.zeros(3).at[k].set(1e-6)
                up, down = (
                    total(*(a + s * step if p == place else a for p, a in enumerate(args)))
                    for s in (1, -1)
                )
                assert float(bar[k]) == pytest.approx(float(up - down) / 2e-6, rel=1e-6)


def test_more_turns_than_the_bound_are_nan():
    slope = purebp.value_and_grad(doubled_until, rules=purebp.autodiff.bounded(3))
    y, x_bar = jax.jit(slope)(1.0, 15.0)
    assert bool(jnp.isnan(y))
    assert bool(jnp.isnan(x_bar))


def test_a_known_length_needs_no_bound():
    of_two = purebp.grad(lambda x: jnp.sum(counted(x)), rules=purebp.autodiff.bounded(2))
    found = jax.jit(of_two)(X)
    assert_near(found, purebp.grad(lambda x: jnp.sum(counted(x)))(X))


@pytest.mark.parametrize("limit", [0, 2.5, "many"])
def test_a_bound_that_is_no_number_of_turns_is_refused(limit):
    with pytest.raises(OptionError, match="expected the most turns"):
        purebp.autodiff.bounded(limit)
