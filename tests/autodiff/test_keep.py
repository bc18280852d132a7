"""What is kept is enough, and no other choice is smaller."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purebp.autodiff.keep import fewest_bytes


def is_enough(kept, needed, again):
    return all(
        value in kept or (value in again and is_enough(kept, again[value], again))
        for value in needed
    )


def smallest(needed, again, size):
    values = {*needed, *again, *itertools.chain(*again.values())}
    return min(
        sum(size(v) for v in kept)
        for count in range(len(values) + 1)
        for kept in itertools.combinations(values, count)
        if is_enough(kept, needed, again)
    )


@st.composite
def programs(draw):
    """Values 0 to n - 1, each perhaps computed again from earlier ones."""
    count = draw(st.integers(1, 7))
    sizes = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    again = {
        value: draw(st.lists(st.integers(0, value - 1), min_size=1, max_size=3))
        for value in range(1, count)
        if draw(st.booleans())
    }
    return draw(st.lists(st.integers(0, count - 1), max_size=4)), again, sizes


@given(programs())
def test_no_choice_that_is_enough_is_smaller(program):
    needed, again, sizes = program
    kept = fewest_bytes(needed, again, sizes.__getitem__)
    assert is_enough(kept, needed, again)
    assert sum(sizes[v] for v in kept) == smallest(needed, again, sizes.__getitem__)


def test_of_equal_choices_the_one_is_taken_that_computes_least():
    assert fewest_bytes(["c"], {"c": ["b"], "b": ["a"]}, lambda _: 4) == ["c"]
    assert fewest_bytes(["c", "b"], {"c": ["b"]}, lambda _: 4) == ["b"]


@pytest.mark.parametrize("scale", [0, 1, 10**9])
def test_empty_and_huge_arrays_are_weighed_too(scale):
    sizes = {"a": scale, "b": 3 * scale, "c": 2 * scale}
    kept = fewest_bytes(["b", "c"], {"b": ["a"]}, sizes.__getitem__)
    assert set(kept) == {"a", "c"} or not scale


def test_what_needs_nothing_is_not_kept():
    assert fewest_bytes(["zeros"], {"zeros": []}, lambda _: 4) == []
    assert fewest_bytes([], {}, lambda _: 4) == []
