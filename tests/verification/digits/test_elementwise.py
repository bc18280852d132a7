"""Each primitive that takes entries one by one, against JAX in float64."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from purebp.verification.digits import elementwise
from purebp.verification.digits.values import MP
from tests.verification.digits.both_ways import assert_same, by_digits

INF, NAN = np.inf, np.nan
POINTS = np.asarray([0.0, 1.0, -1.0, 0.5, -0.5, 0.3, 2.5, -2.5, 1.5, -3.7, 20.0, -20.5, 1e-20, 1e5])
SPECIAL = np.asarray([INF, -INF, NAN])
BINARY = ("add", "sub", "mul", "div", "rem", "pow", "max", "min", "atan2")
OTHERS = {"add_any", "clamp"}
UNARY = sorted(set(elementwise.FUNCTIONS) - set(BINARY) - OTHERS)
POLES = {"lgamma", "digamma"}
BESSEL = {"bessel_i0e", "bessel_i1e"}


OLD = int(mpmath.__version__.split(".")[1]) < 4


@pytest.mark.parametrize("name", UNARY)
def test_a_function_of_one_number(name):
    points = POINTS + 0.05 * (POINTS <= 0) if name in POLES else POINTS
    assert_same(getattr(lax, name), points, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(set(UNARY) - POLES - BESSEL))
def test_a_function_of_one_number_that_is_not_finite(name):
    assert_same(getattr(lax, name), SPECIAL)


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("digamma", [-1.0, INF, NAN]),
        ("lgamma", [INF, NAN]),
        pytest.param("lgamma", [0.0]),
        pytest.param("lgamma", [-20.0]),
        pytest.param("lgamma", [-INF]),
        ("bessel_i0e", [1e5, NAN]),
        ("bessel_i1e", [-1e5, NAN]),
        pytest.param("bessel_i0e", [INF]),
        pytest.param("bessel_i1e", [-INF]),
        ("erf_inv", [1.0, -1.0, 1.5]),
        ("atanh", [1.0, -1.0, 2.0]),
        ("log1p", [-1.0, -2.0]),
        pytest.param("log1p", [1e-100]),
        ("expm1", [1e-100, -1e-100]),
        ("rsqrt", [0.0, -1.0]),
        ("exp", [800.0, -800.0]),
    ],
)
def test_a_pole_or_a_tail(name, x):
    assert_same(getattr(lax, name), np.asarray(x))


def pairs(numbers):
    x, y = np.meshgrid(numbers, numbers)
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("name", BINARY)
def test_a_function_of_two_numbers(name):
    x, y = pairs([0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, -3.0, 2.5])
    assert_same(getattr(lax, name), x, y)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min"])
def test_a_function_of_two_numbers_that_are_not_finite(name):
    x, y = pairs([0.0, 1.0, -2.0, INF, -INF, NAN])
    assert_same(getattr(lax, name), x, y)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("rem", INF, 2.0),
        pytest.param("rem", 1.0, INF),
        ("atan2", INF, 1.0),
        pytest.param("atan2", INF, -INF),
        ("pow", INF, 0.5),
        ("pow", 0.5, INF),
        pytest.param("pow", 1.0, INF),
        pytest.param("pow", -2.0, -INF),
        pytest.param("pow", NAN, 0.0),
        pytest.param("pow", 1.0, NAN),
    ],
)
def test_two_numbers_of_which_one_is_not_finite(name, x, y):
    assert_same(getattr(lax, name), np.asarray([x]), np.asarray([y]))


def test_powers_by_integers():
    x = np.asarray([0.5, -2.0, 0.0, 3.0])
    assert_same(lax.pow, x, np.asarray([2, 3, 0, -1], np.int32))
    for power in (1, 3, -1, -2):
        assert_same(lambda x, power=power: lax.integer_pow(x, power), np.append(x, SPECIAL))


def test_the_power_zero_is_one_everywhere():
    assert_same(lambda x: lax.integer_pow(x, 0), SPECIAL)


def test_clamp_and_sums_of_cotangents():
    assert_same(lambda x: lax.clamp(-1.0, x, 2.0), np.append(POINTS, SPECIAL))
    assert_same(jax.grad(lambda x: jnp.sum(jnp.sin(x) * x)), POINTS)


HALVES = np.asarray([0.5, -0.5, 1.5, 2.5, -2.5, 0.4, -3.7])


def test_round_away_from_zero():
    assert_same(lax.round, HALVES)


def test_round_to_even():
    assert_same(jnp.round, HALVES)


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_comparisons(name):
    assert_same(getattr(lax, name), *pairs([0.0, 1.0, -2.0, INF, -INF, NAN]))


@pytest.mark.parametrize(
    "function", [jnp.isfinite, jnp.isnan, jnp.isinf, jnp.sign, lax.stop_gradient, jnp.nan_to_num]
)
def test_what_kind_of_number(function):
    assert_same(function, np.append(POINTS, SPECIAL))


def test_comparisons_of_nothing():
    assert_same(lambda x: jnp.where((x > 0) & (x < 1), x, 0), np.zeros((0, 2)))


def test_whether_nothing_is_finite():
    assert_same(lambda x: jnp.isfinite(x) & jnp.isfinite(x), np.zeros((0, 2)))


def test_select_takes_the_case_that_is_named():
    x = np.asarray([[1.0, -2.0], [INF, 3.0]])
    assert_same(lambda x: jnp.where(x > 0, x, 2 * x), x)
    assert_same(lambda x: lax.select_n(x[0, 0] > 0, x, -x), x)
    which = np.asarray([[0, 2], [1, 0]], np.int32)
    assert_same(lambda x, which: lax.select_n(which, x, -x, x * x), x, which)
    assert_same(lambda x: jnp.where(x > 0, 3, 4), x)


def test_numbers_that_only_pass():
    assert_same(lambda x: lax.optimization_barrier(x) * 2, POINTS)
    assert_same(lambda x: jnp.copy(x) + 1, POINTS)
    half = by_digits(lambda x: lax.reduce_precision(x, 5, 2), np.asarray([0.1]))
    np.testing.assert_array_equal(half[0], [0.1])


def test_two_numbers_that_only_pass():
    assert_same(lambda x, y: lax.optimization_barrier((x, y)), POINTS, 2 * POINTS)


@settings(max_examples=10)
@given(st.lists(st.floats(-30, 30), min_size=2, max_size=2))
def test_a_program_of_several_steps(numbers):
    """Random numbers, as JAX has it but for roundings of the largest terms."""
    x = np.asarray(numbers)
    [got] = by_digits(lambda x: jnp.tanh(x) * x + jnp.logaddexp(x, 1.0) - jnp.exp(-x * x), x)
    expected = np.tanh(x) * x + np.logaddexp(x, 1.0) - np.exp(-x * x)
    np.testing.assert_allclose(got, expected, rtol=1e-13, atol=1e-13)


def test_nothing_overflows_or_cancels():
    [got] = by_digits(lambda x: jnp.log(jnp.exp(x)) + (1 + 1e-60 - 1), np.asarray([5e4, -5e4]))
    np.testing.assert_array_equal(got, [5e4, -5e4])
    [got] = by_digits(lambda x: (1 + x) - 1, np.asarray([1e-60]))
    np.testing.assert_allclose(got, [1e-60], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "wrong"), [("sin", MP.cos), ("erf", lambda x: MP.erf(x) * (1 + MP.mpf(10) ** -9))]
)
def test_a_wrong_function_is_seen(monkeypatch, name, wrong):
    monkeypatch.setitem(elementwise.FUNCTIONS, name, wrong)
    with pytest.raises(AssertionError):
        assert_same(getattr(lax, name), POINTS, rtol=1e-12)


def test_other_primitives_are_not_among_these():
    assert elementwise.apply("dot_general", {}, []) is None
