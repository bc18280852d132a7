"""Where there are no 120 digits and autodiff is wrong, differences settle who is right."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.verification.cases import variants
from purebp.verification.checks import CHECKS
from purebp.verification.diagnosis import in_context
from purebp.verification.probe import Probe
from purebp.verification.second_order import check_second_order
from purebp.verification.target import make_target

X = np.asarray([0.7, -1.2, 2.0], np.float32)


def through_bits(factor):
    """3 x, made from bits: autodiff takes it for a constant."""

    @jax.custom_jvp
    def layer(x):
        words = jnp.int64 if x.dtype == jnp.float64 else jnp.int32
        return 3 * lax.bitcast_convert_type(lax.bitcast_convert_type(x, words), x.dtype)

    layer.defjvp(lambda x, dx: (layer(*x), factor * dx[0]))
    return layer


def outcome_of(check, layer, example=X):
    made = make_target(layer, examples=(example,))
    probe = Probe(made, variants(made)[0], quick=True)
    return CHECKS[check](probe, probe.first)


@pytest.mark.parametrize("check", ["jacobian", "gradient float64"])
def test_a_right_rule_is_right_though_autodiff_sees_a_constant(check):
    outcome = outcome_of(check, through_bits(3.0))
    assert outcome.failure is None
    assert outcome.autodiff_wrong


@pytest.mark.parametrize("factor", [0.0, 1.5, -3.0, 3.001])
def test_a_wrong_rule_is_not_saved_by_it(factor):
    found = [
        outcome_of(check, through_bits(factor)) for check in ("jacobian", "finite differences")
    ]
    assert any(outcome.failure is not None for outcome in found)


def test_autodiff_is_blamed_where_the_function_is_wrong_with_all_rules_opened():
    @jax.custom_jvp
    def sine(x):
        return jnp.sin(x)

    sine.defjvp(lambda x, dx: (jnp.sin(*x), jnp.cos(*x) * dx[0]))

    def norm(x):  # 0/0 at 0, for autodiff
        return jnp.sqrt(jnp.sum(sine(x) ** 2))

    made = make_target(norm, examples=(X,))
    probe = Probe(made, variants(made)[0], quick=True)
    case = probe.first._replace(pattern="nothing")
    assert CHECKS["jacobian"](probe, case).failure is not None
    found = in_context(made, probe, case)
    assert found.kind == "autodiff"
    assert "wrong with every hand-written rule opened too, by autodiff alone" in found.text


def sinc(x):
    """sin(x)/x, whose derivatives at 0 are those of its series, one rule for each order."""
    safe = jnp.where(x == 0, 1.0, x)
    return jnp.where(x == 0, at_zero(0, x), jnp.sin(safe) / safe)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def at_zero(order, x):
    return 0 * x + (0.0 if order % 2 else (-1) ** (order // 2) / (order + 1))


@at_zero.defjvp
def at_zero_jvp(order, primals, tangents):
    (x,), (dx,) = primals, tangents
    return at_zero(order, x), at_zero(order + 1, x) * dx


def test_a_second_derivative_beside_a_point_that_is_set_apart():
    made = make_target(sinc, examples=(X,))
    probe = Probe(made, variants(made)[0], quick=True)
    assert check_second_order(probe, probe.first).failure is None
