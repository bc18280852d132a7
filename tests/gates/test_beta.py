"""The incomplete beta function against 50 digits, in all three arguments; its ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.compat import enable_x64
from purebp.gates import betainc
from reference.precise import MP
from tests.gates.test_gamma import assert_digits, pulled

DTYPES = ("float32", "float64")
PARAMETERS = (0.05, 1, 3.5, 40)
POINTS = [(a, b, x) for a in PARAMETERS for b in PARAMETERS for x in (0.2, 0.5, 0.97)]


def density(a, b, x):
    return MP.exp((a - 1) * MP.log(x) + (b - 1) * MP.log(1 - x)) / MP.beta(a, b)


def series(a, b, x):
    """I_x(a, b) and its slopes in a and b, term by term; all terms are positive."""
    if x > (a + 1) / (a + b + 2):
        y, in_b, in_a = series(b, a, 1 - x)
        return 1 - y, -in_a, -in_b
    term = total = MP.mpf(1)
    change_a = change_b = in_a = in_b = MP.mpf(0)
    k = 0
    while term > MP.mpf(10) ** -50 or k < 5:
        term *= x * (a + b + k) / (a + 1 + k)
        in_a, in_b = in_a + 1 / (a + b + k) - 1 / (a + 1 + k), in_b + 1 / (a + b + k)
        total, change_a, change_b = total + term, change_a + term * in_a, change_b + term * in_b
        k += 1
    front, both = density(a, b, x) * x * (1 - x) / a, MP.digamma(a + b)
    log_a, log_b = MP.log(x) - MP.digamma(a + 1) + both, MP.log(1 - x) - MP.digamma(b) + both
    return front * total, front * (total * log_a + change_a), front * (total * log_b + change_b)


def of_series(index):
    return lambda a, b, x: series(a, b, x)[index]


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_slopes(dtype) -> None:
    points = [p for p in POINTS if density(*map(MP.mpf, p)) > 1e-25 and series(*p)[0] > 1e-25]
    y, a_bar, b_bar, x_bar = pulled(betainc, *zip(*points, strict=True), dtype=dtype)
    assert len(points) > 35
    assert_digits(y, of_series(0), points, 400)
    assert_digits(x_bar, density, points, 400)
    assert_digits(a_bar, of_series(1), points, 2000)
    assert_digits(b_bar, of_series(2), points, 2000)


def test_large_parameters() -> None:
    points = [(1e4, 1e4, 0.499), (2e3, 8e3, 0.201), (1e3, 0.5, 0.999)]
    y, a_bar, b_bar, x_bar = pulled(betainc, *zip(*points, strict=True), dtype="float64")
    assert_digits(y, of_series(0), points, 1e6)
    assert_digits(x_bar, density, points, 1e6)
    assert_digits(a_bar, of_series(1), points, 1e8)
    assert_digits(b_bar, of_series(2), points, 1e8)


def test_the_ends_and_what_lies_outside() -> None:
    a = jnp.array([0.5, 1, 2, 2, 2, 2, 2, 0, 2])
    b = jnp.array([2, 2, 2, 0.5, 1, 2, 2, 1, 2])
    x = jnp.array([0, 0, 0, 1, 1, 1, -0.1, 0.5, np.nan])
    y, res = betainc.fwd(a, b, x)
    a_bar, b_bar, x_bar = betainc.bwd(res, jnp.ones_like(y))
    np.testing.assert_array_equal(y, [0, 0, 0, 1, 1, 1, np.nan, np.nan, np.nan])
    ends = [np.inf, 2, 0, np.inf, 2, 0, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(x_bar, ends, rtol=1e-6)
    for bar in (a_bar, b_bar):
        np.testing.assert_array_equal(bar, [0] * 6 + [np.nan] * 3)
    assert betainc(jnp.ones((0, 2)), jnp.ones(2), 0.5).shape == (0, 2)


def test_jax_has_no_slopes_in_a_and_b() -> None:
    with pytest.raises(ValueError, match="not supported"):
        jax.grad(jax.scipy.special.betainc)(2.0, 3.0, 0.4)
    with enable_x64(True):
        slope = jax.grad(betainc)(2.0, 3.0, 0.4)
    assert slope == pytest.approx(float(series(MP.mpf(2), MP.mpf(3), MP.mpf("0.4"))[1]), rel=1e-12)
