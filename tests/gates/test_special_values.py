"""Gates at poles, zeros and the ends of their domains; what JAX does there is in comments."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import DtypeError, OptionError, ShapeError
from purebp.gates import (
    asinh,
    atan2,
    atanh,
    cbrt,
    clamp,
    cosh,
    cumlogsumexp,
    cummax,
    cummin,
    cumprod,
    cumsum,
    digamma,
    erf_inv,
    erfc,
    exp2,
    integer_pow,
    logsumexp,
    norm,
    pow,
    prod,
    reduce_max,
    reduce_min,
    sinh,
    std,
    var,
    where,
)
from reference.precise import MP


def slopes(gate, *args):
    """The cotangents for an upstream gradient of 1."""
    y, res = gate.fwd(*[jnp.asarray(arg, jnp.float32) for arg in args])
    return [float(bar) for bar in gate.bwd(res, jnp.ones_like(y))]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0, 0, (0, 0)),
        (0, 1, (1, 0)),
        (0, 2, (0, 0)),
        (0, 0.5, (np.inf, 0)),
        (0, -1, (-np.inf, -np.inf)),  # JAX: nan for y
        (2, 3, (12, 8 * np.log(2))),
        (-2, 3, (12, np.nan)),
    ],
)
def test_the_power_at_base_zero(x, y, expected) -> None:
    np.testing.assert_allclose(slopes(pow, x, y), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "y"), [(4.15701, -15.637887), (7.0, -31.9), (1e-30, -0.0123), (1e30, 1.0001)]
)
def test_the_power_is_right_where_its_exponent_less_one_is_rounded(x, y) -> None:
    base, exponent = (MP.mpf(float(np.float32(number))) for number in (x, y))
    right = float(exponent * base ** (exponent - 1))  # JAX: off by 63, 24, 18 and 1 roundings
    assert slopes(pow, x, y)[0] == pytest.approx(right, rel=2.0**-22)


def test_the_cube_root_has_the_slope_inf_at_zero() -> None:
    assert slopes(cbrt, 0) == [np.inf]
    x = jnp.array([-27.0, 0.0, 8.0, jnp.inf, -jnp.inf, 1e-30])
    np.testing.assert_allclose(cbrt(x), [-3, 0, 2, np.inf, -np.inf, 1e-10], rtol=1e-6)


def test_slopes_whose_squares_would_overflow_or_vanish() -> None:
    assert slopes(atan2, 1e-25, 1e-25) == pytest.approx([5e24, -5e24])  # JAX: inf or nan
    assert slopes(atan2, 1e25, 1e25) == pytest.approx([5e-26, -5e-26])  # JAX: 0
    assert slopes(asinh, 1e25) == pytest.approx([1e-25])  # JAX: 0


def test_slopes_next_to_the_end_of_a_domain() -> None:
    x = float(np.float32(1) - np.float32(2**-24))
    assert slopes(atanh, x) == pytest.approx([1 / (1 - x * x)], rel=1e-6)
    assert slopes(erf_inv, 1.0) == [np.inf]


def test_trigamma_on_both_sides_of_zero() -> None:
    for x in (-3.3, -0.5, 0.2, 1.0, 17.0, 1e6):
        exact = float(MP.polygamma(1, MP.mpf(float(np.float32(x)))))
        assert slopes(digamma, x) == pytest.approx([exact], rel=2e-5 if x < 0 else 1e-6)


def test_large_arguments_keep_their_digits() -> None:
    for gate, x, exact in (
        (exp2, 120.3, MP.mpf(2) ** float(np.float32(120.3))),
        (sinh, 85.7, MP.sinh(float(np.float32(85.7)))),
        (cosh, -85.7, MP.cosh(float(np.float32(85.7)))),
        (cosh, 89.2, MP.cosh(float(np.float32(89.2)))),
    ):
        assert float(gate(jnp.float32(x))) == pytest.approx(float(exact), rel=4e-7)
    exact = -2 / MP.sqrt(MP.pi) * MP.exp(-(MP.mpf(float(np.float32(8.9))) ** 2))
    assert slopes(erfc, 8.9) == pytest.approx([float(exact)], rel=4e-7)


def test_a_clamp_with_crossed_bounds_gives_the_upper_one_all() -> None:
    assert slopes(clamp, 2, 0, 1) == [0, 0, 1]
    assert slopes(clamp, 0, 0, 1) == [1, 0, 0]
    assert np.isnan(clamp(0.0, jnp.nan, 1.0))


def test_where_asks_for_booleans_and_hides_what_is_not_chosen() -> None:
    with pytest.raises(DtypeError, match="which has dtype int32"):
        where(jnp.array([1, 0]), jnp.ones(2), jnp.ones(2))
    x, which = jnp.array([np.nan, 2.0]), jnp.array([False, True])
    bars = jax.grad(lambda x: jnp.sum(where(which, x, jnp.zeros(2))))(x)
    assert bars.tolist() == [0, 1]


def test_the_exponent_of_integer_pow_is_an_integer() -> None:
    with pytest.raises(OptionError, match=r"exponent is 0\.5, expected an integer; use pow"):
        integer_pow(jnp.ones(2), exponent=0.5)
    assert slopes(integer_pow.with_options(exponent=0), 0) == [0]
    assert slopes(integer_pow.with_options(exponent=1), 0) == [1]


def test_a_row_that_is_masked_altogether_has_gradient_zero() -> None:
    x = jnp.array([[-jnp.inf, -jnp.inf], [0.0, -jnp.inf]])
    y, res = logsumexp.with_options(axis=-1).fwd(x)
    assert y.tolist() == [-np.inf, 0]
    assert logsumexp.bwd(res, jnp.ones(2))[0].tolist() == [[0, 0], [1, 0]]
    y, res = cumlogsumexp.fwd(x)
    assert y.tolist() == [[-np.inf, -np.inf], [0, 0]]
    assert cumlogsumexp.bwd(res, jnp.ones((2, 2)))[0].tolist() == [[0, 0], [2, 0]]


def test_products_with_zeros() -> None:
    x = jnp.array([[2.0, 3.0, 0.0, 5.0], [0.0, 3.0, 0.0, 5.0], [2.0, 1.0, 1.0, 5.0]])
    assert jax.vmap(jax.grad(prod))(x).tolist() == [[0, 0, 30, 0], [0] * 4, [5, 10, 10, 2]]
    bars = cumprod.bwd(cumprod.fwd(x)[1], jnp.ones_like(x))[0]
    assert bars.tolist() == [[4, 2, 36, 0], [4, 0, 0, 0], [8, 14, 12, 2]]


def test_dispersion_of_equal_entries_has_gradient_zero() -> None:
    x = jnp.full(4, 3.0)  # JAX: nan for each
    assert jax.grad(std)(x).tolist() == jax.grad(var)(x).tolist() == [0] * 4
    assert jax.grad(norm)(jnp.zeros(3)).tolist() == [0] * 3
    for op in (var, std, norm):
        y, res = op.fwd(jnp.array([1.0, np.nan]))
        assert np.isnan(y)
        assert np.isnan(op.bwd(res, 1.0)[0]).all()
    x = jnp.array([1e4 + 1, 1e4 - 1])
    assert (float(var(x)), float(std(x, ddof=1))) == pytest.approx((1, 2**0.5))


def test_ties_of_the_extremes() -> None:
    x = jnp.array([1.0, 3.0, 3.0, 2.0, 3.0])
    np.testing.assert_allclose(jax.grad(reduce_max)(x), [0, 1 / 3, 1 / 3, 0, 1 / 3])
    assert jax.grad(reduce_min)(x).tolist() == [1, 0, 0, 0, 0]
    assert jax.grad(lambda x: jnp.sum(cummax(x)))(x).tolist() == [1, 4, 0, 0, 0]
    assert jax.grad(lambda x: jnp.sum(cummin(x)))(x).tolist() == [5, 0, 0, 0, 0]


def test_axes_that_are_not_there_are_refused() -> None:
    for op in (logsumexp, prod, reduce_max, var, norm, cumsum, cummax):
        with pytest.raises(OptionError, match="axis is 2"):
            op(jnp.ones((2, 3)), axis=2)
    with pytest.raises(ShapeError, match="at least one axis"):
        cumsum(1.0)


def test_sixteen_bits_are_added_and_multiplied_in_float32() -> None:
    x = jnp.ones(4096, jnp.bfloat16)
    assert cumsum(x)[-1] == 4096
    assert norm(x) == 64
    assert cumsum(x).dtype == norm(x).dtype == jnp.bfloat16
