"""Who is right: the slopes of the function itself, in 120 digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purebp.verification import settle as module
from purebp.verification.cases import variants
from purebp.verification.digits import one_sided
from purebp.verification.probe import Probe
from purebp.verification.settle import judge, settle
from purebp.verification.target import make_target

NAN, INF = np.nan, np.inf


def judged(function, x, hand, exact):
    """The verdict on two rows of numbers, the Jacobian of `function` at `x`."""
    sides = one_sided(lambda c, _: jax.tree.leaves(function(*c)), [np.asarray(x, float)], [])
    rows = [np.asarray(row, float).reshape(sides.left.shape) for row in (exact, hand)]
    return judge(sides, *rows)


def test_where_the_function_is_smooth_its_slope_is_right():
    settled = judged(jnp.sin, [0.0], hand=[1.0], exact=[NAN])
    assert settled.jacobian[0, 0] == 1.0
    assert settled.autodiff_wrong[0, 0]
    assert not settled.convention


@pytest.mark.parametrize("hand", [0.0, 1 + 1e-9, 1.5, NAN, INF])
def test_a_wrong_derivative_is_not_excused(hand):
    settled = judged(jnp.sin, [0.0], hand=[hand], exact=[NAN])
    assert settled.jacobian[0, 0] == 1.0
    assert not settled.autodiff_wrong.any()


def test_autodiff_that_is_right_is_not_called_wrong():
    settled = judged(jnp.sin, [0.0], hand=[1.0], exact=[1 + 1e-14])
    assert not settled.autodiff_wrong.any()
    assert not settled.convention


@pytest.mark.parametrize("hand", [0.0, 0.3, 1.0])
def test_between_the_two_slopes_of_a_kink_all_are_conventions(hand):
    settled = judged(jax.nn.relu, [0.0], hand=[hand], exact=[0.5])
    assert settled.convention
    assert settled.jacobian[0, 0] == hand
    assert not settled.autodiff_wrong.any()


@pytest.mark.parametrize("hand", [-0.1, 1.0 + 1e-6, 2.0, NAN])
def test_outside_of_the_two_slopes_autodiff_stays_the_oracle(hand):
    settled = judged(jax.nn.relu, [0.0], hand=[hand], exact=[0.5])
    assert settled.jacobian[0, 0] == 0.5
    assert not settled.convention


def test_outside_of_the_two_slopes_nothing_is_excused_where_autodiff_has_no_number():
    settled = judged(lambda x: jnp.sqrt(x * x), [0.0], hand=[5.0], exact=[NAN])
    assert abs(settled.jacobian[0, 0]) <= 1


@settings(max_examples=10)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=4).filter(lambda w: sum(w) > 0.1))
def test_equal_entries_share_one_gradient(weights):
    shares = np.asarray(weights) / sum(weights)
    tied, half = np.ones(len(shares)), np.full(len(shares), 1 / len(shares))
    settled = judged(jnp.max, tied, hand=shares, exact=half)
    np.testing.assert_array_equal(settled.jacobian[0], shares)
    for wrong in (0.9 * shares, 0 * shares, np.ones(len(shares))):
        np.testing.assert_array_equal(judged(jnp.max, tied, wrong, half).jacobian[0], half)


def test_a_kink_in_one_entry_excuses_no_other():
    settled = judged(lambda x: jax.nn.relu(x) + 0 * x[0], [0.0, 1.0], [[1, 0], [0, 2]], np.eye(2))
    np.testing.assert_array_equal(settled.jacobian, np.eye(2))


@pytest.mark.parametrize("hand", [0.0, INF, NAN, 7.0])
@pytest.mark.parametrize(("function", "x"), [(jnp.sqrt, 0.0), (jnp.sign, 0.0), (jnp.log, -1.0)])
def test_without_a_derivative_or_a_value_anything_stands(function, x, hand):
    settled = judged(function, [x], hand=[hand], exact=[INF])
    np.testing.assert_array_equal(settled.jacobian, [[hand]])
    assert not settled.autodiff_wrong.any()


def test_infinity_times_zero_excuses_what_is_not_finite():
    def function(x):
        return jnp.stack([jnp.sqrt(x[0]), 3 * x[0]])

    for hand, expected in ((INF, INF), (NAN, NAN), (5.0, 3.0)):
        settled = judged(function, [0.0], hand=[[INF], [hand]], exact=[[INF], [3.0]])
        np.testing.assert_array_equal(settled.jacobian, [[INF], [expected]])


def sinc(x):
    return jnp.where(x == 0, 1, jnp.sin(x) / jnp.where(x == 0, 1, x))


def hidden(x):
    return jnp.where(jnp.isfinite(x), x * x, 0)


def probe_of(function, slope, *example):
    """The probe of a layer of one argument with a given slope, and the case of the example."""
    pair = (lambda x: (function(x), x)), (lambda x, g: (g * slope(x),))
    made = make_target(pair, None, None, None, example)
    probe = Probe(made, variants(made)[0])
    return probe, probe.first


def root(x):
    return jnp.sqrt(x * x * x * x)


@pytest.mark.parametrize(("wrong", "seen"), [(0.0, True), (0.5, False)])
def test_autodiff_of_a_root_at_zero_has_no_number_and_the_function_has(wrong, seen):
    probe, case = probe_of(root, lambda x: 2 * x + wrong, jnp.asarray([0.0, 1.5], jnp.float32))
    settled = settle(probe, case)
    assert settled is not None
    assert np.isnan(probe.evidence(case).truth.jacobian).any()
    np.testing.assert_allclose(settled.jacobian, np.diag([0.0, 3.0]), rtol=1e-12)
    assert settled.autodiff_wrong[0, 0] == seen


@pytest.mark.parametrize(("slope", "expected"), [(0.0, 0.0), (5.0, 0.0), (NAN, NAN)])
def test_at_an_infinity_that_is_hidden_both_may_be_nan(slope, expected):
    probe, case = probe_of(
        hidden,
        lambda x: jnp.where(jnp.isfinite(x), 2 * x, slope),
        jnp.asarray([jnp.inf, 1.5], jnp.float32),
    )
    settled = settle(probe, case)
    assert settled is not None
    np.testing.assert_allclose(settled.jacobian[0, 0], expected)
    assert settled.jacobian[1, 1] == pytest.approx(3.0)


def test_a_removable_pole_has_its_slope():
    probe, case = probe_of(sinc, lambda x: 0 * x, jnp.asarray([0.0], jnp.float32))
    settled = settle(probe, case)
    assert settled is not None
    assert settled.jacobian[0, 0] == 0.0


def test_the_slopes_are_kept(monkeypatch):
    probe, case = probe_of(jnp.sin, jnp.cos, jnp.asarray([0.5], jnp.float32))
    first = settle(probe, case)
    monkeypatch.setattr(module, "sides_at", None)
    assert first is not None
    second = settle(probe, case)
    assert second is not None
    np.testing.assert_array_equal(second.jacobian, first.jacobian)


def test_what_cannot_be_run_is_not_settled():
    def spectrum(x):
        return jnp.abs(jnp.fft.rfft(x))

    probe, case = probe_of(spectrum, lambda x: 0 * x[:2], jnp.asarray([1.0, 2.0], jnp.float32))
    assert settle(probe, case) is None


def test_too_many_entries_are_not_settled(monkeypatch):
    probe, case = probe_of(jnp.sin, jnp.cos, jnp.asarray([0.5, 1.0], jnp.float32))
    monkeypatch.setattr(module, "COLUMNS", 1)
    assert settle(probe, case) is None
    monkeypatch.setattr(module, "COLUMNS", 2)
    assert settle(probe, case) is not None
