"""`verify` inside of somebody's own Hypothesis test."""

import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import purebp


def power_fwd(x, *, exponent):
    return x**exponent, x


def power_bwd(x, y_bar, *, exponent):
    return (exponent * x ** (exponent - 1) * y_bar,)


def always_squared_bwd(x, y_bar, *, exponent):
    return (2 * x * y_bar,)


@given(exponent=st.integers(2, 3))
@settings(max_examples=2, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_right_layer_passes_for_every_option_that_is_drawn(exponent):
    x = jnp.array([0.5, -1.0, 2.0])
    static = {"exponent": exponent}
    purebp.verify((power_fwd, power_bwd), x, static=static, budget="quick").raise_if_failed()


def test_a_wrong_option_is_found():
    @given(exponent=st.sampled_from([3]))
    @settings(max_examples=1, suppress_health_check=list(HealthCheck), deadline=None, database=None)
    def check(exponent):
        x = jnp.array([0.5, -1.0, 2.0])
        pair = (power_fwd, always_squared_bwd)
        report = purebp.verify(pair, x, static={"exponent": exponent}, budget="quick")
        report.raise_if_failed()

    with pytest.raises(purebp.VerificationError, match="x_bar"):
        check()
