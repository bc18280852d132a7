"""The constants of a program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.verification.literals import MOST, literals_of


def constants(function, *args):
    return literals_of(jax.make_jaxpr(function)(*args))


X = jnp.ones((2, 3))


def clipped(x):
    return jnp.minimum(jnp.maximum(x * -0.75, 0.0), 6.0)


def looped(x):
    return jax.lax.fori_loop(0, 5, lambda _, y: jnp.where(y > 1.25, y * 0.125, y), x)


def branched(x):
    return jax.lax.cond(x[0, 0] > 0.3, lambda y: y * 7.5, lambda y: y - 8.5, x)


@jax.custom_vjp
def with_rule(x):
    return x * 2.5


with_rule.defvjp(lambda x: (x * 2.5, None), lambda _, g: (2.5 * g,))


@pytest.mark.parametrize(
    ("function", "floats"),
    [
        (clipped, {0.75, 6.0}),
        (looped, {1.25, 0.125}),
        (branched, {0.3, 7.5, 8.5}),
        (jax.jit(clipped), {0.75, 6.0}),
        (jax.checkpoint(clipped), {0.75, 6.0}),
        (with_rule, {2.5}),
    ],
)
def test_numbers_are_found_in_every_part_of_a_program(function, floats):
    assert {round(number, 6) for number in constants(function, X)[0]} >= floats


def test_numbers_are_positive_once_each_and_in_order():
    floats, integers = constants(lambda x: (x * 3.5 - 0.5) * -3.5, X)
    assert floats == (3.5, 0.5)
    assert integers == ()


def test_integers_are_told_apart_and_keep_their_sign():
    labels = jnp.array([1, -100])
    floats, integers = constants(lambda t: jnp.where(t == -100, 0, t + 4), labels)
    assert {-100, 4} <= set(integers)
    assert floats == ()


def test_scalars_that_a_function_closes_over_count_and_arrays_do_not():
    scalar, array = jnp.asarray(0.875), jnp.asarray([0.625, 0.375])
    assert 0.875 in constants(lambda x: x[:, :2] * array + scalar, X)[0]
    assert not {0.625, 0.375} & set(constants(lambda x: x[:, :2] * array + scalar, X)[0])


@pytest.mark.parametrize("number", [0.0, np.inf, -np.inf, np.nan, -1e30, 3e9])
def test_zero_and_what_is_not_finite_or_stands_for_it_are_left_out(number):
    assert constants(lambda x: jnp.where(x > 0.5, x, number), X)[0] == (0.5,)


def test_a_program_without_constants_has_none():
    assert constants(jnp.sin, X) == ((), ())


def test_of_many_the_first_are_kept():
    def many(x):
        for k in range(2 * MOST):
            x = x * (k + 1.5)
        return x

    assert constants(many, X)[0] == tuple(k + 1.5 for k in range(MOST))


def test_a_key_that_a_function_closes_over_is_no_number():
    key = jax.random.key(0)
    constants(lambda x: x * jax.random.normal(key, x.shape), X)
