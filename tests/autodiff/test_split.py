"""What a body leaves behind for its backward part."""

import jax
import jax.numpy as jnp
import numpy as np

import purebp
from purebp.autodiff.split import split
from purebp.autodiff.table import RULES


def parts_of(function, *args, free=()):
    program = jax.make_jaxpr(function)(*args)
    use = [True] * len(args)
    return split(program, use, [True], RULES, [k in free for k in range(len(args))])


X = jnp.linspace(0.1, 1.0, 5)


def test_what_is_computed_twice_is_kept_once():
    parts = parts_of(lambda x: jnp.tanh(jnp.sin(x)) * jnp.tanh(jnp.sin(x)), X)
    names = [equation.primitive.name for equation in parts.forward]
    assert names.count("tanh") == names.count("sin") == 1


def test_numbers_written_into_equations_tell_them_apart():
    def function(x):
        return (x + 1.0) * (x + 2.0) * (x + 1.0)

    np.testing.assert_allclose(
        purebp.grad(lambda x: jax.lax.scan(lambda c, e: (c + function(e), None), 0.0, x)[0])(X),
        jax.grad(lambda x: jnp.sum(function(x)))(X),
        rtol=1e-6,
    )
    added = [e for e in parts_of(function, X).forward if e.primitive.name == "add"]
    assert len(added) == 2


def test_of_a_tanh_and_its_slope_only_the_tanh_is_kept():
    parts = parts_of(lambda x: jnp.tanh(x) ** 2, X)
    assert len(parts.residuals) == 1


def test_random_numbers_are_no_repeats_of_each_other():
    def function(x):
        key = jax.random.key(0)
        one, two = jax.random.normal(key, (5,)), jax.random.normal(jax.random.key(1), (5,))
        return x * one * two * x

    hand, other = (
        grad(lambda x: jax.lax.scan(lambda c, _: (function(c), None), x, None, 2)[0].sum())(X)
        for grad in (purebp.grad, jax.grad)
    )
    np.testing.assert_allclose(hand, other, rtol=1e-5)


def test_what_nothing_hangs_on_is_not_kept():
    parts = parts_of(lambda x: jnp.sign(x) * jnp.round(jnp.sin(x)) + x, X)
    assert not parts.residuals
    assert len(parts.backward) <= 1
