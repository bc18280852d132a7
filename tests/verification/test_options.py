"""Values to try for the options of somebody's layer."""

import enum
from typing import Literal, Optional

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from purebp.errors import OptionError
from purebp.verification.options import TINY, alternatives, guess_options, listed
from purebp.verification.strategies import DRAWN


class Mode(enum.Enum):
    MEAN = 1
    SUM = 2
    NONE = 3


def layer(
    x,
    w=None,
    *,
    needed,
    reduction: Literal["mean", "sum"] = "mean",
    mode: Mode = Mode.SUM,
    axis: int | None = None,
    clip: Optional[float] = None,  # noqa: UP045 - the older spelling is what is tested
    eps=1e-5,
    slope=0.2,
    keepdims=False,
    stride=1,
    window=(2, 3),
    act=abs,
    name="a",
    empty=(),
    mixed=(1, 2.0),
):
    return x


GUESSED = {
    "reduction": ("mean", "sum"),
    "mode": (Mode.SUM, Mode.MEAN, Mode.NONE),
    "axis": (None, 1, 2),
    "clip": (None, 0.3),
    "eps": (1e-5, 0.1),
    "slope": (0.2, pytest.approx(0.12), pytest.approx(0.05)),
    "keepdims": (False, True),
    "stride": (1, 2, 0, 3, -1),
    "window": ((2, 3), (2, 4), (3, 3), (1, 3), (2, 2)),
}


@pytest.mark.parametrize("name", GUESSED)
def test_an_option_is_guessed_from_its_annotation_or_its_default(name):
    assert guess_options(layer).values[name] == GUESSED[name]


def test_what_nobody_can_guess_is_listed_and_the_rest_left_alone():
    found = guess_options(layer)
    assert found.unexplored == ("act", "name", "empty", "mixed")
    assert set(found.values) == set(GUESSED)  # no arguments, and no option without a default


def test_a_bad_annotation_does_not_matter():
    def odd(x, *, stride: "no_such_type" = 2):  # type: ignore[reportUndefinedVariable]
        return x

    assert guess_options(odd).values["stride"] == (2, 3, 1, 0, -1)


def test_an_annotation_says_more_than_the_default():
    assert alternatives("sum", Literal["mean", "sum", "none"]) == ("mean", "none")
    assert alternatives("sum", Literal["mean", "sum"] | None) == ("mean",)
    assert alternatives(None, Literal["a", "b"] | None) == ("a", "b")
    assert alternatives(None, Mode | None) == tuple(Mode)
    assert alternatives(Mode.MEAN) == (Mode.SUM, Mode.NONE)


@pytest.mark.parametrize("default", ["valid", abs, None, (), (True, 1), [1, 2], {"a": 1}, 1j])
def test_nothing_is_tried_where_nothing_is_safe(default):
    assert alternatives(default) == ()


def test_a_tuple_has_its_entries_moved_one_at_a_time_and_all_different():
    assert (1, 2) in alternatives((1, 1))
    assert {(2, 1), (0, 1)} <= set(alternatives((1, 1)))


def test_a_number_that_is_small_is_an_epsilon_and_a_large_one_shows_where_it_belongs():
    assert alternatives(TINY / 2) == alternatives(-TINY / 2) == (0.1,)
    assert alternatives(0.0) == (0.3,)


NUMBERS = st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
DEFAULTS = NUMBERS | st.booleans() | st.lists(st.integers(-3, 3), min_size=1, max_size=4).map(tuple)


@settings(max_examples=60)
@given(default=DEFAULTS)
@example(default=0)
@example(default=1)
def test_alternatives_are_others_of_the_same_kind_each_once_and_few(default):
    found = alternatives(default)
    assert 0 < len(found) <= 4
    assert default not in found
    assert len(set(found)) == len(found)
    assert all(type(value) is type(default) for value in found)


def test_no_limit_at_all_has_a_finite_alternative():
    assert all(value < float("inf") for value in alternatives(float("inf")))


def test_somebody_names_a_value_or_a_list_of_values():
    assert listed(2) == (2,)
    assert listed([2, 3]) == (2, 3)
    assert listed((2, 3)) == ((2, 3),)  # one value: a window
    assert listed("same") == ("same",)


def test_a_strategy_gives_different_values_and_the_same_ones_again():
    strides = listed(st.integers(1, 3))
    assert strides[0] == 1
    assert set(strides) == {1, 2, 3}
    wide = listed(st.floats(0.5, 1e6))
    assert len(set(wide)) == DRAWN
    assert listed(st.floats(0.5, 1e6)) == wide


@given(st.integers(1, 3))
@settings(max_examples=2)
def test_inside_of_another_test_the_values_are_drawn_there(stride):
    assert listed(stride) == (stride,)
    with pytest.raises(OptionError, match="expected a value that the test itself draws"):
        listed(st.integers(1, 3))
