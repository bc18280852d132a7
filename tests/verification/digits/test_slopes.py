"""One-sided slopes against known derivatives, at kinks, and where there are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax
from jax.scipy import special

from purebp.verification.digits import UnsupportedError, elementwise, one_sided
from purebp.verification.digits.values import MP

INF = np.inf


def sides_of(function, *args, rest=()):
    def leaves(chosen, rest):
        return jax.tree.leaves(function(*chosen, *rest))

    return one_sided(leaves, [np.asarray(x, np.float64) for x in args], list(rest))


def both_sides(function, x):
    sides = sides_of(function, x)
    return float(sides.left[0, 0]), float(sides.right[0, 0])


SMOOTH = {
    "sin": (jnp.sin, MP.cos, 1.0),
    "tan": (jnp.tan, lambda x: 1 + MP.tan(x) ** 2, 0.7),
    "exp": (jnp.exp, MP.exp, -700.0),
    "exp2": (jnp.exp2, lambda x: MP.log(2) * 2**x, 5.0),
    "log": (jnp.log, lambda x: 1 / x, 1e-12),
    "log1p": (jnp.log1p, lambda x: 1 / (1 + x), -0.75),
    "expm1": (jnp.expm1, MP.exp, 1e-9),
    "sqrt": (jnp.sqrt, lambda x: 1 / (2 * MP.sqrt(x)), 1e-12),
    "rsqrt": (lax.rsqrt, lambda x: -(x ** MP.mpf(-1.5)) / 2, 0.3),
    "cbrt": (jnp.cbrt, lambda x: MP.cbrt(abs(x)) / (3 * abs(x)), -8.5),
    "cube": (lambda x: x**3, lambda x: 3 * x**2, -1.5),
    "inverse": (lambda x: x**-2, lambda x: -2 / x**3, 0.3),
    "power": (lambda x: jnp.abs(x) ** 1.5, lambda x: 1.5 * MP.sqrt(x), 4.0),
    "tanh": (jnp.tanh, lambda x: MP.sech(x) ** 2, 18.0),
    "sinh": (jnp.sinh, MP.cosh, 2.0),
    "cosh": (jnp.cosh, MP.sinh, 2.0),
    "asinh": (jnp.arcsinh, lambda x: 1 / MP.sqrt(1 + x**2), 2.0),
    "acosh": (jnp.arccosh, lambda x: 1 / MP.sqrt(x**2 - 1), 2.0),
    "atanh": (jnp.arctanh, lambda x: 1 / (1 - x**2), 0.5),
    "asin": (jnp.arcsin, lambda x: 1 / MP.sqrt(1 - x**2), 0.9),
    "acos": (jnp.arccos, lambda x: -1 / MP.sqrt(1 - x**2), 0.9),
    "atan": (jnp.arctan, lambda x: 1 / (1 + x**2), 3.0),
    "atan2": (lambda x: jnp.arctan2(x, 2.0), lambda x: 2 / (4 + x**2), 3.0),
    "erf": (special.erf, lambda x: 2 / MP.sqrt(MP.pi) * MP.exp(-(x**2)), 2.0),
    "erfc": (special.erfc, lambda x: -2 / MP.sqrt(MP.pi) * MP.exp(-(x**2)), 25.0),
    "erf_inv": (
        special.erfinv,
        lambda x: MP.sqrt(MP.pi) / 2 * MP.exp(MP.erfinv(x) ** 2),
        0.3,
    ),
    "lgamma": (special.gammaln, lambda x: MP.psi(0, x), 3.5),
    "digamma": (special.digamma, lambda x: MP.psi(1, x), 2.5),
    "i0": (lambda x: lax.bessel_i0e(x) * jnp.exp(x), lambda x: MP.besseli(1, x), 1.5),
    "logistic": (jax.nn.sigmoid, lambda x: MP.exp(-x) / (1 + MP.exp(-x)) ** 2, -30.0),
    "softplus": (jax.nn.softplus, lambda x: 1 / (1 + MP.exp(-x)), -20.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_has_its_derivative(name):
    function, derivative, x = SMOOTH[name]
    expected = float(derivative(MP.mpf(x)))
    sides = sides_of(function, x)
    assert sides.smooth.all()
    np.testing.assert_allclose([sides.left[0, 0], sides.right[0, 0]], expected, rtol=1e-15)


@settings(max_examples=10)
@given(x=st.floats(0.01, 3.0), quarters=st.integers(-12, 12))
def test_powers_at_any_place(x, quarters):
    power = quarters / 4
    left, right = both_sides(lambda x: x**power, x)
    expected = float(MP.mpf(power) * MP.power(x, MP.mpf(power) - 1))
    np.testing.assert_allclose([left, right], expected, rtol=1e-14, atol=1e-300)


def test_a_wrong_function_has_another_slope(monkeypatch):
    monkeypatch.setitem(elementwise.FUNCTIONS, "sin", lambda x: MP.sin(x) * (1 + MP.mpf(1e-12)))
    left, _ = both_sides(jnp.sin, 1.0)
    assert left != pytest.approx(np.cos(1.0), rel=1e-13, abs=0)


@pytest.mark.parametrize(
    ("function", "x", "left", "right"),
    [
        (jax.nn.relu, 0.0, 0.0, 1.0),
        (jnp.abs, 0.0, -1.0, 1.0),
        (lambda x: jnp.where(x > 1, 3 * x, x + 2), 1.0, 1.0, 3.0),
        (lambda x: jnp.where(x > 0, 3 * x, x), 0.0, 1.0, 3.0),
        (lambda x: jnp.clip(x, -1, 2), 2.0, 1.0, 0.0),
        (lambda x: x + 1e-12 * jnp.abs(x), 0.0, 1 - 1e-12, 1 + 1e-12),
        (lax.bessel_i0e, 0.0, 1.0, -1.0),
    ],
)
def test_a_kink_has_two(function, x, left, right):
    sides = sides_of(function, x)
    assert not sides.smooth.any()
    assert sides.left[0, 0] == pytest.approx(left, rel=1e-15)
    assert sides.right[0, 0] == pytest.approx(right, rel=1e-15)
    assert (sides.left_together[0], sides.right_together[0]) == pytest.approx((left, right))


@pytest.mark.parametrize("offset", [1e-9, -1e-9, 1.2e-38, -1.2e-38])
def test_beside_a_kink_there_is_one(offset):
    assert both_sides(jax.nn.relu, offset) == ((1.0, 1.0) if offset > 0 else (0.0, 0.0))


@pytest.mark.parametrize("power", [1.5, 2, 3, 4])
def test_a_slope_that_fades_is_zero(power):
    sides = sides_of(lambda x: jnp.abs(x) ** power, 0.0)
    assert sides.smooth.all()
    assert sides.left[0, 0] == sides.right[0, 0] == 0.0


@pytest.mark.parametrize(
    ("function", "x", "left", "right"),
    [
        (jnp.sqrt, 0.0, None, INF),
        (jnp.cbrt, 0.0, INF, INF),
        (lambda x: jnp.sqrt(jnp.abs(x)), 0.0, -INF, INF),
        (jnp.sign, 0.0, INF, INF),
        (jnp.floor, 1.0, INF, 0.0),
        (jnp.log, 0.0, None, None),
        (lambda x: 1 / x, 0.0, None, None),
        (jnp.arccos, 1.0, -INF, None),
        (jnp.tanh, INF, None, 0.0),
        (lambda x: jnp.log(-1 - jnp.abs(x)), 0.5, None, None),
    ],
)
def test_no_derivative(function, x, left, right):
    sides = sides_of(function, x)
    expected = [np.nan if side is None else side for side in (left, right)]
    np.testing.assert_array_equal([sides.left[0, 0], sides.right[0, 0]], expected)
    assert not sides.smooth.any()


def test_ties_move_alone_and_together():
    sides = sides_of(jnp.maximum, 1.0, 1.0)
    np.testing.assert_array_equal(sides.left, [[0.0, 0.0]])
    np.testing.assert_array_equal(sides.right, [[1.0, 1.0]])
    assert sides.left_together[0] == sides.right_together[0] == 1.0
    length = sides_of(lambda x: jnp.sqrt(jnp.sum(x**2)), [0.0, 0.0])
    assert length.right_together[0] == pytest.approx(np.sqrt(2), rel=1e-15)


def test_only_the_kinked_entries_move_together():
    sides = sides_of(lambda x: jnp.sum(jnp.abs(x)), [0.0, 0.0, 5.0])
    np.testing.assert_array_equal(sides.smooth, [[False, False, True]])
    assert (sides.left_together[0], sides.right_together[0]) == (-2.0, 2.0)


def test_rows_are_outputs_and_columns_are_entries_of_all_arguments():
    w, x = np.asarray([[1.0, 2.0], [3.0, 4.0], [0.5, 0.25]]), np.asarray([0.1, -0.2])
    sides = sides_of(lambda w, x: (w @ x, jnp.sum(x) ** 2), w, x)
    expected = np.zeros((4, 8))
    for row in range(3):
        expected[row, 2 * row : 2 * row + 2] = x
    expected[:3, 6:], expected[3, 6:] = w, 2 * x.sum()
    assert sides.smooth.all()
    np.testing.assert_allclose(sides.left, expected, rtol=1e-15)
    np.testing.assert_allclose(sides.values, [*(w @ x), x.sum() ** 2], rtol=1e-15)


def test_arguments_that_stay():
    sides = sides_of(lambda x, n: x[n] * 3, [1.0, 2.0], rest=[jnp.asarray(1)])
    np.testing.assert_array_equal(sides.left, [[0.0, 3.0]])


def test_nothing_to_move():
    sides = sides_of(lambda x: x * 2, np.zeros((0,)))
    assert sides.left.shape == (0, 0)


def test_the_digits_are_enough_for_what_float64_cancels():
    left, right = both_sides(lambda x: (1e30 + x) - 1e30, 1.0)
    assert left == right == 1.0
    left, right = both_sides(lambda x: (1 - jnp.cos(x)) / x**2, 1e-6)
    assert left == pytest.approx(-1e-6 / 12, rel=1e-10)
    assert left == right


def test_a_program_that_cannot_be_run_says_so():
    with pytest.raises(UnsupportedError):
        sides_of(jnp.linalg.det, np.eye(4))


@pytest.mark.parametrize(("function", "x"), [(jnp.cos, np.pi), (jnp.square, 1e-30)])
def test_almost_a_critical_point(function, x):
    derivative = {np.pi: -MP.sin(MP.mpf(np.pi)), 1e-30: 2 * MP.mpf(1e-30)}
    assert both_sides(function, x)[0] == pytest.approx(float(derivative[x]), rel=1e-12, abs=0)


def test_softplus_far_to_the_left():
    left, right = both_sides(jax.nn.softplus, -100.0)
    assert left == right == pytest.approx(np.exp(-100.0), rel=1e-12, abs=0)


@pytest.mark.parametrize("function", [jax.nn.relu, jnp.sqrt])
def test_a_number_that_float32_cannot_tell_from_zero(function):
    assert sides_of(function, 1e-42).smooth.all()


def test_a_step_that_is_lost_is_no_slope_of_zero():
    left, _ = both_sides(lambda x: (1e60 + x) - 1e60, 1.0)
    assert left == 1.0 or np.isnan(left)
