"""Rules about places."""

import numpy as np
import pytest

from purebp.verification.diagnosis.places import (
    entries_missing,
    not_finite,
    rows_mixed,
    same_numbers_elsewhere,
    single_points,
    subdomain,
    swapped,
    transposed,
    zeros_missing,
)
from tests.verification.diagnosis.made import (
    DENSE,
    RIGHT,
    RIGHT_BY_ROUNDING,
    RNG,
    SQUARE,
    UNRELATED,
    X4,
    kind,
    view,
)

RULES = (
    *(not_finite, swapped, transposed, same_numbers_elsewhere),
    *(rows_mixed, zeros_missing, entries_missing, single_points, subdomain),
)
BLOCKS = np.kron(np.eye(3), RNG.standard_normal((2, 2)))  # rows of (3, 2) kept apart
LOWER = np.tril(np.ones((5, 5)))  # a cumulative sum
ORDER = np.array([2, 0, 3, 1])


def placed(wrong, *at, value):
    """A copy with a value at some places."""
    wrong = wrong.copy()
    wrong[at] = value
    return wrong


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seen", [RIGHT, RIGHT_BY_ROUNDING, UNRELATED], ids=["right", "near", "no"])
def test_the_rules_are_quiet_on_what_is_right_and_on_what_is_wrong_otherwise(rule, seen):
    assert kind(rule, seen) == "quiet"


@pytest.mark.parametrize(
    ("x", "column", "value", "text"),
    [
        ([1.0, 0.0, 2.0, 3.0], [1], np.nan, "x_bar is nan where x is 0: divided by it"),
        ([1.0, 0.0, 2.0, 0.0], [1, 3], np.inf, "x_bar is inf where x is 0"),
        ([1.0, 90.0, 2.0, -80.0], [1, 3], np.inf, "is inf where x is large (80 and more)"),
        ([1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3], np.nan, "x_bar is nan everywhere"),
        ([1.0, 2.0, 3.0, 9.0], [0], np.inf, "x_bar is inf"),
    ],
)
def test_where_it_is_not_finite_is_told(x, column, value, text):
    found = not_finite(view(DENSE, placed(DENSE, 0, column, value=value), x=x))
    assert found is not None
    assert found.kind == "not finite"
    assert text in found.text


def test_what_is_not_finite_in_truth_is_not_told():
    both = placed(DENSE, 0, 0, value=np.inf)
    assert not_finite(view(both, both)) is None


def test_two_arguments_that_are_swapped_are_named():
    other = RNG.standard_normal(DENSE.shape)
    found = swapped(view(DENSE, other, others={"v": DENSE[:, :2], "w": other}))
    assert found is not None
    assert found == ("swapped", "x_bar is what belongs to w")
    assert swapped(view(DENSE, 0 * DENSE, others={"w": 0 * DENSE})) is None
    assert swapped(view(DENSE, UNRELATED.wrong, others={"w": other})) is None


def test_a_transposed_jacobian_and_a_permutation_are_told_apart():
    found = transposed(view(SQUARE, SQUARE.T))
    assert found is not None
    assert found.text.endswith("the local Jacobian is transposed")
    turned = np.eye(4)[ORDER]
    found = transposed(view(turned, turned.T))
    assert found is not None
    assert "a permutation is used where its inverse belongs" in found.text


@pytest.mark.parametrize("moves", ["x", "y_bar"])
def test_axes_in_the_wrong_order_are_named(moves):
    places = np.arange(9).reshape(3, 3).T.ravel()
    right = RNG.standard_normal((9, 9))
    wrong = right[:, places] if moves == "x" else right[places]
    found = transposed(view(right, wrong, x=np.ones((3, 3)), output=((3, 3),)))
    assert found is not None
    assert found.kind == "transposed"
    assert found.text.endswith(f"the axes of {moves} are in the wrong order")


def test_a_new_order_of_unequal_axes_is_no_such_thing():
    right = RNG.standard_normal((6, 6))
    places = np.arange(6).reshape(2, 3).T.ravel()
    seen = view(right, right[:, places], x=np.ones((2, 3)), output=((2,), (4,)))
    assert transposed(seen) is None
    assert kind(same_numbers_elsewhere, seen) == "transposed"


def test_the_right_numbers_in_the_wrong_places_are_named():
    found = same_numbers_elsewhere(view(DENSE, DENSE[:, ORDER]))
    assert found is not None
    assert "the right numbers in the wrong places" in found.text
    for right, wrong in (
        (DENSE, DENSE[[1, 0, 2, 3, 4]]),
        (DENSE, placed(DENSE, 0, 0, value=np.nan)),
        (DENSE[:, :1], -DENSE[:, :1]),
    ):
        assert same_numbers_elsewhere(view(right, wrong)) is None


def test_rows_that_are_mixed_are_named():
    seen = view(BLOCKS, RNG.standard_normal((6, 6)), x=np.ones((3, 2)), output=((3, 2),))
    assert kind(rows_mixed, seen) == "transposed"


@pytest.mark.parametrize(
    ("right", "wrong", "shape", "output"),
    [
        (BLOCKS, 2 * BLOCKS, (3, 2), ((3, 2),)),  # apart in both
        (BLOCKS, BLOCKS + np.eye(6, k=2), (3, 2), ((3, 2),)),  # a few entries only
        (SQUARE, UNRELATED.wrong[:4], (2, 2), ((2, 2),)),  # mixed in truth
        (BLOCKS, np.ones((6, 6)), (6,), ((3, 2),)),  # another first axis
        (BLOCKS, np.ones((6, 6)), (3, 2), ((3,), (3,))),  # two outputs
        (BLOCKS, np.ones((6, 6)), (1, 6), ((1, 6),)),  # one row
    ],
)
def test_rows_that_are_not_mixed_are_not(right, wrong, shape, output):
    assert rows_mixed(view(right, wrong, x=np.ones(shape), output=output)) is None


def test_a_mask_that_is_missing_is_named():
    found = zeros_missing(view(LOWER, np.ones((5, 5))))
    assert found is not None
    assert found.kind == "mask missing"
    assert "10 of 25 entries of the Jacobian of x" in found.text
    assert zeros_missing(view(LOWER, 1 + np.ones((5, 5)))) is None


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (placed(LOWER, slice(None), slice(3, 5), value=0), "the tail of it is dropped"),
        (placed(LOWER, 4, [0, 2], value=0), "a cross term is missing"),
    ],
)
def test_entries_that_are_missing_are_named(wrong, text):
    found = entries_missing(view(LOWER, wrong))
    assert found is not None
    assert found.kind == "overwritten"
    assert text in found.text


@pytest.mark.parametrize(
    "wrong", [0 * LOWER, 2 * LOWER, placed(2 * LOWER, 4, 0, value=0)], ids=["all", "none", "other"]
)
def test_everything_nothing_or_more_than_missing_entries_is_told_by_others(wrong):
    assert entries_missing(view(LOWER, wrong)) is None


@pytest.mark.parametrize(
    ("x", "columns", "wanted", "text"),
    [
        ([0.0, 1.5, 0.0, 2.0], [0, 2], "isolated point", "exactly where |x| is 0"),
        ([6.0, 1.5, -6.0, 2.0], [0, 2], "isolated point", "exactly where |x| is 6"),
        ([30.0, 1.5, -40.0, 2.0], [0, 2], "cancellation", "where |x| is 30 and more"),
    ],
)
def test_values_at_which_it_is_wrong_are_named(x, columns, wanted, text):
    wrong = placed(np.diag(X4), columns, columns, value=0.123)
    found = single_points(view(np.diag(X4), wrong, x=x))
    assert found is not None
    assert found.kind == wanted
    assert text in found.text


@pytest.mark.parametrize(
    ("x", "columns"),
    [
        ([1.0, -1.5, 2.0, -2.5], [0, 1]),  # of both signs, not the largest
        ([6.0, 1.5, -6.0, 2.0], [0, 1]),
        ([0.0, 0.0, 0.0, 2.0], [0, 1, 3]),
        ([1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3]),  # everywhere
    ],
)
def test_where_values_do_not_tell_nothing_is_said(x, columns):
    wrong = placed(np.diag(X4), columns, columns, value=0.123)
    assert single_points(view(np.diag(X4), wrong, x=x)) is None


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ([0, 2], "where x is positive"),
        ([1, 3], "where x is negative"),
        ([0, 1], "where z is positive"),
        ([2, 3], "where z is negative"),
        ([0, 3], "where x and z have the same sign"),
        ([1, 2], "where x and z have different signs"),
    ],
)
def test_the_side_of_zero_on_which_it_is_wrong_is_named(columns, text):
    x, z = np.array([1.0, -1.5, 2.0, -2.5]), np.array([3.0, 0.5, -1.0, -2.0])
    wrong = placed(np.diag(X4), columns, columns, value=0.123)
    found = subdomain(view(np.diag(X4), wrong, x=x, arrays={"z": z}))
    assert found is not None
    assert found.kind == "subdomain"
    assert text in found.text


@pytest.mark.parametrize("columns", [[0], [0, 1, 2], [0, 1, 2, 3], []])
def test_where_no_side_tells_nothing_is_said(columns):
    x, z = np.array([1.0, -1.5, 2.0, -2.5]), np.array([3.0, 0.5, -1.0, -2.0])
    wrong = placed(np.diag(X4), columns, columns, value=0.123)
    assert subdomain(view(np.diag(X4), wrong, x=x, arrays={"z": z})) is None


def test_one_entry_of_no_special_value_is_not_isolated():
    wrong = placed(np.diag(X4), 3, 3, value=0.0)
    assert single_points(view(np.diag(X4), wrong, x=X4)) is None
