"""Rules about terms."""

import numpy as np
import pytest

from purebp.verification.diagnosis.terms import low_rank, small_everywhere
from tests.verification.diagnosis.made import (
    DENSE,
    RIGHT,
    RIGHT_BY_ROUNDING,
    RNG,
    UNRELATED,
    kind,
    view,
)

CENTRED = np.eye(6) - np.ones((6, 6)) / 6
X6 = RNG.standard_normal(6)


@pytest.mark.parametrize("rule", [low_rank, small_everywhere])
@pytest.mark.parametrize("seen", [RIGHT, UNRELATED], ids=["right", "no"])
def test_the_rules_are_quiet_on_what_is_right_and_on_what_is_wrong_otherwise(rule, seen):
    assert kind(rule, seen) == "quiet"


def test_small_errors_that_are_rounding_are_none():
    assert small_everywhere(RIGHT_BY_ROUNDING) is None


def test_a_term_that_goes_through_a_mean_is_missed():
    found = low_rank(view(CENTRED, np.eye(6)))
    assert found is not None
    assert found.kind == "term missing"
    assert "has rank 1 (the Jacobian has 5)" in found.text


def test_a_term_that_goes_through_a_variance_is_missed_in_two_rows():
    rows = [np.linalg.qr(RNG.standard_normal((6, 6)))[0] for _ in range(2)]
    zero = np.zeros((6, 6))
    right = np.block([[rows[0], zero], [zero, rows[1]]])
    error = np.block([[np.outer(X6, X6), zero], [zero, np.outer(X6, -X6)]])
    assert kind(low_rank, view(right, right + error)) == "term missing"


def of_rows(blocks):
    """A Jacobian that keeps the rows of x apart, x and y of the shape (4, 3)."""
    matrix = np.zeros((4, 3, 4, 3))
    for row, block in enumerate(blocks):
        matrix[row, :, row] = block
    return matrix.reshape(12, 12)


def test_a_term_of_each_row_is_missed_where_some_rows_are_much_larger_than_others():
    centred = np.eye(3) - np.ones((3, 3)) / 3
    turns = [size * centred for size in (1.0, 1.0, 1.0, 1e-9)]
    vectors = RNG.standard_normal((2, 4, 3))
    wrong = [turn + np.outer(u, v) for turn, u, v in zip(turns, *vectors, strict=True)]
    shape = (4, 3)
    seen = view(of_rows(turns), of_rows(wrong), output=(shape,))._replace(shape=shape)
    found = low_rank(seen)
    assert found is not None
    assert "has rank 1 in each row (the Jacobian has 2)" in found.text
    wrong[1] = turns[1] + np.diag(vectors[0, 0])
    seen = view(of_rows(turns), of_rows(wrong), output=(shape,))._replace(shape=shape)
    assert low_rank(seen) is None


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (CENTRED, CENTRED + np.diag(X6)),
        (np.ones((2, 6)), np.zeros((2, 6))),
        (CENTRED, np.full((6, 6), np.nan)),
        (np.outer(X6, X6), np.outer(X6, X6) + np.eye(6)),
    ],
    ids=["full rank", "two rows", "nan", "J of rank 1"],
)
def test_an_error_of_full_rank_or_no_number_is_no_missing_term(right, wrong):
    assert low_rank(view(right, wrong)) is None


@pytest.mark.parametrize("size", [1e-2, 1e-4])
def test_a_gradient_that_is_nearly_right_is_blamed_on_an_eps(size):
    found = small_everywhere(view(DENSE, DENSE * (1 + size * np.cos(np.arange(20)).reshape(5, 4))))
    assert found is not None
    assert found.kind == "eps"


@pytest.mark.parametrize("wrong", [1.2 * DENSE, DENSE + 0.2, np.full((5, 4), np.inf)])
def test_a_gradient_that_is_far_off_is_not(wrong):
    assert small_everywhere(view(DENSE, wrong)) is None
