"""Numbers that are equal but for rounding, and how a number is written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purebp.verification.diagnosis.views import CLOSE, differs, equal, number, scale_of
from tests.verification.diagnosis.made import DENSE, UNRELATED


def test_the_scale_is_the_largest_finite_magnitude():
    assert scale_of(np.array([1.0, -3.0]), np.array([np.inf, np.nan, 2.0])) == 3.0
    assert scale_of(np.array([np.nan])) == scale_of(np.zeros((0, 2))) == scale_of() == 0.0


def test_equal_is_up_to_rounding_of_the_largest_and_differs_is_entry_by_entry():
    one, two = np.array([1e3, 1e-6]), np.array([1e3, 2e-6])
    assert equal(one, two)
    assert differs(one, two).tolist() == [False, True]
    assert not equal(one, one + 1)
    assert not equal(one, one[:1])
    assert equal(np.zeros(3), np.zeros(3))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_equal_to_nothing(odd):
    one = np.array([1.0, odd])
    assert not equal(one, np.array([1.0, 2.0]))
    assert not equal(one, one)


def test_nan_differs_from_everything():
    assert differs(np.array([1.0, np.nan]), np.array([1.0, 2.0])).tolist() == [False, True]


@pytest.mark.parametrize("odd", [np.inf, -np.inf])
def test_an_infinity_differs_from_a_number(odd):
    assert differs(np.array([1.0, odd]), np.array([1.0, 2.0])).tolist() == [False, True]


@settings(max_examples=30)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6),
    relative=st.floats(-0.5 * CLOSE, 0.5 * CLOSE),
)
def test_a_small_relative_change_is_no_difference(values, relative):
    array = np.array(values)
    moved = array * (1 + relative)
    assert equal(array, moved)
    assert not differs(array, moved).any()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (1.9999999999, "2"),
        (-3.0, "-3"),
        (0.25, "0.25"),
        (1 / 3, "0.3333"),
        (5e7, "5e+07"),
    ],
)
def test_a_number_is_written_as_people_do(value, text):
    assert number(value) == text


def test_the_error_of_a_view_is_wrong_less_right():
    np.testing.assert_array_equal(UNRELATED.error, UNRELATED.wrong - DENSE)
