"""Finite differences: the error bar is honest, and as large as a kink."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from purebp.verification.differences import closer, slopes

SMOOTH = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
}


def slope_of(f, x):
    found = slopes(lambda points: f(points[:, 0]), np.array([x]), np.array([0]), abs(float(f(x))))
    return float(found.values[0]), float(found.bars[0])


@pytest.mark.parametrize("name", SMOOTH)
@given(x=st.floats(-3, 3))
def test_the_right_slope_is_within_the_bar_and_the_bar_is_small(name, x):
    f, derivative = SMOOTH[name]
    value, bar = slope_of(f, x)
    assert abs(value - derivative(x)) <= 3 * bar + 1e-13
    assert bar <= 1e-6 * (1 + abs(derivative(x)))


@pytest.mark.parametrize("x", [0.0, 1.0, -2.5])
def test_at_a_kink_the_bar_is_as_large_as_the_kink(x):
    _, bar = slope_of(lambda points: np.abs(points - x), x)
    assert bar >= 1.0


def test_a_wrong_slope_is_outside_of_the_bar():
    value, bar = slope_of(np.exp, 1.0)
    assert abs(value - 1.0001 * np.e) > 3 * bar


def test_zeros_alone_are_moved_by_ordinary_steps():
    found = slopes(lambda p: 3.3 + p @ np.array([1.0, 2.0]), np.zeros(2), np.arange(2), 3.3)
    np.testing.assert_allclose(found.values, [1.0, 2.0], rtol=1e-10)
    assert np.all(found.bars <= 1e-9)


def test_each_coordinate_is_moved_alone():
    x = np.array([1.0, 2.0, 3.0])
    found = slopes(lambda p: p[:, 0] * p[:, 1] ** 2 + p[:, 2], x, np.array([0, 1]), 10.0)
    np.testing.assert_allclose(found.values, [4.0, 4.0], rtol=1e-9)


def test_smaller_steps_show_the_slope_of_a_function_that_turns_within_the_larger_ones():
    f, x, indices = lambda p: np.sin(1e6 * p[:, 0]), np.array([0.7]), np.array([0])
    right = 1e6 * np.cos(0.7e6)
    far = slopes(f, x, indices, 1.0)
    near = slopes(f, x, indices, 1.0, closer(far, np.array([right]), x))
    assert abs(far.values[0] - right) > 0.1 * abs(right)
    assert abs(near.values[0] - right) <= 3 * near.bars[0] <= 1e-4 * abs(right)


@pytest.mark.parametrize("claimed", [0.0, 1.0, 3.0])
def test_steps_stay_where_they_show_what_is_claimed_or_where_nothing_moves(claimed):
    x, indices = np.array([1.0]), np.array([0])
    for f in (lambda p: 2 * p[:, 0], lambda p: 0 * p[:, 0]):
        far = slopes(f, x, indices, 1.0)
        np.testing.assert_array_equal(closer(far, np.array([claimed]), x), far.steps)
