"""Polygamma, zeta and the incomplete gamma functions against 50 digits; their ends and tails."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.compat import enable_x64
from purebp.errors import OptionError
from purebp.gates import igamma, igammac, polygamma, zeta
from reference.precise import MP

DTYPES = ("float32", "float64")


def pulled(op, *args, dtype, **options):
    """The value and the slopes for vectors of arguments."""
    with enable_x64(True):
        arrays = [jnp.asarray(arg, dtype) for arg in args]
        y, res = op.fwd(*arrays, **options)
        return [np.asarray(out) for out in (y, *op.bwd(res, jnp.ones_like(y)))]


def assert_digits(came, exact, points, epsilons):
    """Each entry within some roundings of the exact value at the rounded points."""
    for number, point in zip(came, points, strict=True):
        right = exact(*(MP.mpf(float(came.dtype.type(x))) for x in point))
        error = abs(MP.mpf(float(number)) - right) / abs(right)
        assert error <= epsilons * np.finfo(came.dtype).eps, (point, float(number), MP.nstr(right))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_polygamma_on_both_sides_of_zero(n, dtype) -> None:
    points = [(x,) for x in (-100.5, -20.75, -12.25, -5.5, -1.5, -0.25, 1e-3, 0.5, 2.5, 20, 1e4)]
    y, slope = pulled(polygamma, *zip(*points, strict=True), dtype=dtype, n=n)
    assert_digits(y, lambda x: MP.polygamma(n, x), points, 20 * n)
    assert_digits(slope, lambda x: MP.polygamma(n + 1, x), points, 20 * n)


def test_poles_of_polygamma_and_orders_that_are_none() -> None:
    assert polygamma(0.0) == np.inf
    assert polygamma(jnp.array([1e30, np.inf]), n=2).tolist() == [0, 0]
    assert np.isnan(polygamma(np.nan))
    for n in (-1, 0.5, 101):
        with pytest.raises(OptionError, match="expected an integer from 0 to 100"):
            polygamma(1.0, n=n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_zeta_in_both_arguments(dtype) -> None:
    points = [(x, q) for x in (1.01, 1.5, 2, 3.7, 9) for q in (1e-3, 0.1, 0.5, 1, 2.5, 20, 1e3)]
    y, x_bar, q_bar = pulled(zeta, *zip(*points, strict=True), dtype=dtype)
    assert_digits(y, MP.zeta, points, 60)
    assert_digits(x_bar, lambda x, q: MP.zeta(x, q, 1), points, 200)
    assert_digits(q_bar, lambda x, q: -x * MP.zeta(x + 1, q), points, 60)


def density(a, x):
    return MP.exp((a - 1) * MP.log(x) - x - MP.loggamma(a))


def slope_in_a(a, x):
    """The series of P(a, x), term by term, with as many digits as it loses."""
    with MP.workdps(80):
        front = MP.exp(a * MP.log(x) - x - MP.loggamma(a + 1))
        term, total, change, harmonic, n = MP.mpf(1), MP.mpf(1), MP.mpf(0), MP.mpf(0), 0
        while n <= x - a or n == 0 or term * harmonic > abs(change) * MP.mpf(10) ** -70:
            n += 1
            term, harmonic = term * x / (a + n), harmonic + 1 / (a + n)
            total, change = total + term, change - term * harmonic
        return front * (total * (MP.log(x) - MP.digamma(a + 1)) + change)


SHAPES = (0.01, 0.3, 1, 2.5, 9.9, 10, 15, 100)
RATIOS = (0.01, 0.3, 0.9, 1, 1.1, 2, 6)
POINTS = [(a, a * ratio) for a in SHAPES for ratio in RATIOS if a < 100 or 0.3 <= ratio < 2]
LARGE = [(1e4, 9.9e3), (1e4, 1e4), (1e4, 1.01e4), (1e6, 9.99e5), (1e6, 1e6)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [igamma, igammac], ids=lambda op: op.name)
def test_incomplete_gamma_functions_in_both_arguments(op, dtype) -> None:
    sign = 1 if op is igamma else -1
    _, a_bar, x_bar = pulled(op, *zip(*POINTS, strict=True), dtype=dtype)
    assert_digits(sign * x_bar, density, POINTS, 100)
    assert_digits(sign * a_bar, slope_in_a, POINTS, 100)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_density_for_large_a_where_its_terms_cancel(dtype) -> None:
    _, a_bar, x_bar = pulled(igamma, *zip(*LARGE, strict=True), dtype=dtype)
    assert_digits(x_bar, density, LARGE, 30)
    assert_digits(a_bar[:3], slope_in_a, LARGE[:3], 5000)  # JAX: 12,000 in float32, 120,000


def test_the_ends_of_the_incomplete_gamma_functions() -> None:
    a, x = jnp.array([0.5, 1, 2, 20, 2, 2, -1, np.nan]), jnp.array([0, 0, 0, 0, np.inf, 1e6, 1, 1])
    p, res = igamma.fwd(a, x)
    a_bar, x_bar = igamma.bwd(res, jnp.ones_like(p))
    np.testing.assert_array_equal(p, [0, 0, 0, 0, 1, 1, np.nan, np.nan])
    np.testing.assert_allclose(x_bar, [np.inf, 1, 0, 0, 0, 0, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_array_equal(a_bar[3:], [0, 0, 0, np.nan, np.nan])
    assert igamma(jnp.ones((0, 2)), jnp.ones(2)).shape == (0, 2)


def test_twice_in_x_is_right_and_twice_in_a_says_that_it_is_not() -> None:
    a, x = 2.5, 1.5
    f = float(density(MP.mpf(a), MP.mpf(x)))
    assert jax.grad(jax.grad(igamma, 1), 1)(a, x) == pytest.approx(f * (1.5 / x - 1), rel=1e-5)
    mixed = f * float(MP.log(x) - MP.digamma(a))
    assert jax.grad(jax.grad(igamma, 1), 0)(a, x) == pytest.approx(mixed, rel=1e-5)
    assert jax.grad(jax.grad(igamma, 0), 1)(a, x) == pytest.approx(mixed, rel=1e-5)
    assert np.isnan(jax.grad(jax.grad(igamma, 0), 0)(a, x))


def test_broadcasting_and_sixteen_bits() -> None:
    a, x = jnp.array([[0.5], [3.0]], jnp.bfloat16), jnp.array([0.5, 4.0, 90.0], jnp.float32)
    y, res = igammac.fwd(a, x)
    bars = igammac.bwd(res, jnp.ones_like(y))
    assert [(bar.shape, bar.dtype) for bar in bars] == [(v.shape, v.dtype) for v in (a, x)]
    np.testing.assert_allclose(y, lax.igammac(*jnp.broadcast_arrays(a.astype(x.dtype), x)))
