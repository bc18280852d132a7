"""Whole programs: constants, integers, casts, random numbers, and what cannot be run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from purebp.compat import enable_x64
from purebp.verification.digits import UnsupportedError, elementwise, run
from purebp.verification.digits.values import exact, is_exact
from tests.verification.digits.both_ways import assert_same, by_digits

V = np.asarray([0.5, -1.25, 2.0, 0.1])
SPD = np.asarray([[2.0, 1.0], [1.0, 3.0]])


def test_an_open_program_and_one_that_gives_back_its_inputs():
    closed = jax.make_jaxpr(lambda x, y: (y, x, 3.0, x))(1.0, 2.0)
    for program in (closed, closed.jaxpr):
        out = run(program, [exact(np.asarray(1.0)), exact(np.asarray(2.0))])
        assert [float(leaf) for leaf in out] == [2, 1, 3, 1]


def test_constants_and_literals():
    table = np.asarray([1.0, 2.0, 3.0, 4.0])
    assert_same(lambda x: x * jnp.asarray(table) + 0.1, V)
    assert_same(lambda x: x * jnp.linspace(0, 1, 4) + jnp.arange(4), V)
    assert_same(lambda x: (jnp.zeros(3), x), V)


def test_a_constant_in_float32_is_the_number_it_is():
    [got] = by_digits(lambda x: x * np.float32(0.1), np.asarray([1.0], np.float32))
    np.testing.assert_array_equal(got, [np.float64(np.float32(0.1))])


def test_integers_follow_their_own_rules():
    n = np.asarray([3, -7, 2, 250], np.int32)
    assert_same(lambda x, n: x * (n // 2) + n % 3 + (n & 1), V, n)
    assert_same(lambda x, n: (n.astype(jnp.int8), x), V, n)
    assert_same(lambda x, n: (x[n % 4], (x > 0) & (n > 0), ~(x > 0), jnp.any(x > 1)), V, n)
    assert_same(lambda x, n: x[n[2] + 1] + n[0], V, n)


def test_casts():
    x = np.asarray([1.7, -1.7, 0.0, 2.0])
    assert_same(lambda x: (x.astype(jnp.int32), x.astype(bool), x.astype(jnp.uint8) * 2), np.abs(x))
    assert_same(lambda x: x.astype(jnp.int32), x)
    assert_same(lambda x: (x > 0).astype(x.dtype) * 2 + jnp.arange(4).astype(x.dtype), x)


def test_a_cast_between_floats_does_not_round():
    [got] = by_digits(lambda x: x.astype(jnp.bfloat16).astype(jnp.float64), V)
    np.testing.assert_array_equal(got, V)


@pytest.mark.parametrize("x", [1e30, -1e30, np.inf, -np.inf])
def test_a_cast_to_integers_takes_the_nearest(x):
    assert_same(lambda x: x.astype(jnp.int32), np.asarray([x]))


def test_a_nan_is_the_integer_zero():
    assert_same(lambda x: x.astype(jnp.int32), np.asarray([np.nan]))


def test_random_numbers_are_those_of_jax():
    key = jax.random.key(3)
    assert_same(lambda x: jnp.where(jax.random.bernoulli(key, 0.5, (4,)), x, 0), V)


def test_a_key_may_be_an_argument():
    with enable_x64(True):
        key = jax.random.key(5)
        jaxpr = jax.make_jaxpr(lambda x, key: x + jax.random.bits(key, (2,)).astype(x.dtype))(
            V[:2], key
        )
        [got] = run(jaxpr, [exact(V[:2]), key])
        expected = V[:2] + np.asarray(jax.random.bits(key, (2,)), np.float64)
    np.testing.assert_array_equal(got.astype(np.float64), expected)


def test_everything_that_floats_has_many_digits():
    with enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda x: (x / 3, x > 0, jnp.argmax(x), jnp.arange(2.0)))(V)
        out = run(jaxpr, [exact(V)])
    assert [is_exact(leaf) for leaf in out] == [True, False, False, True]


UNSUPPORTED = {
    "lu": lambda x: jnp.linalg.solve(SPD, x[:2]),
    "complex": lambda x: jnp.abs(lax.complex(x, x)),
    "fft": lambda x: jnp.abs(jnp.fft.rfft(x)),
    "eigh": lambda x: jnp.linalg.eigvalsh(SPD * x[0]),
    "igamma": lambda x: lax.igamma(x, x),
    "bitcast": lambda x: lax.bitcast_convert_type(x, jnp.int64),
    "nextafter": lambda x: jnp.nextafter(x, 2 * x),
    "callback": lambda x: jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x),
    "svd": lambda x: jnp.linalg.svd(SPD * x[0], compute_uv=False),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_cannot_be_run_says_so(name):
    with pytest.raises(UnsupportedError):
        by_digits(UNSUPPORTED[name], V)


def test_the_primitive_is_named():
    with pytest.raises(UnsupportedError, match="the primitive lu"):
        by_digits(UNSUPPORTED["lu"], V)


def test_a_name_that_checkpoint_knows_is_passed_over():
    assert_same(lambda x: checkpoint_name(x, "hidden") * 2, V)


def test_a_primitive_that_is_not_in_the_tables_is_never_guessed(monkeypatch):
    monkeypatch.delitem(elementwise.FUNCTIONS, "sin")
    with pytest.raises(UnsupportedError, match="the primitive sin"):
        by_digits(jnp.sin, V)
