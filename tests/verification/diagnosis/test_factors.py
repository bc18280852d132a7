"""Rules about factors."""

import numpy as np
import pytest

from purebp.verification.diagnosis.factors import (
    constant_factor,
    factor_by_column,
    factor_by_row,
    factor_in_common,
    no_gradient,
    partly_scaled,
    sign,
)
from tests.verification.diagnosis.made import (
    DENSE,
    RIGHT,
    RIGHT_BY_ROUNDING,
    SQUARE,
    UNRELATED,
    X4,
    kind,
    view,
)

RULES = (
    *(no_gradient, sign, constant_factor, factor_by_column, factor_by_row, partly_scaled),
    factor_in_common,
)
ROWS = np.array([0.5, 1.0, -2.0, 3.0, 1.5])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seen", [RIGHT, RIGHT_BY_ROUNDING, UNRELATED], ids=["right", "near", "no"])
def test_the_rules_are_quiet_on_what_is_right_and_on_what_is_wrong_otherwise(rule, seen):
    assert kind(rule, seen) == "quiet"


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_quiet_where_there_is_no_number_or_no_slope(rule):
    nothing = np.zeros_like(DENSE)
    for right, wrong in ((nothing, nothing), (nothing, DENSE), (DENSE, DENSE * np.nan)):
        assert kind(rule, view(right, wrong)) == "quiet"


@pytest.mark.parametrize(
    ("rule", "factor", "wanted"),
    [
        (no_gradient, 0.0, "no gradient"),
        (no_gradient, 1e-3, "quiet"),
        (sign, -1.0, "sign"),
        (sign, -2.0, "quiet"),
        (constant_factor, 3.0, "factor"),
        (constant_factor, 0.25, "factor"),
        (constant_factor, 1.0001, "factor"),
        (constant_factor, 0.0, "quiet"),
    ],
)
def test_one_factor_for_everything(rule, factor, wanted):
    assert kind(rule, view(DENSE, factor * DENSE)) == wanted


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (7.0, "x_bar is 7 times too large"),
        (1 / 7, "x_bar is 7 times too small"),
        (2.0, "2 times too large: the 2 of a square"),
        (0.5, "2 times too small: the 2 of a square"),
        (3.0, "3 is the size of axis 0 of w: a mean over it is missing"),
        (1 / 3, "3 is the size of axis 0 of w: divided by it once too often"),
        (18.0, "18 is the number of entries along the axes 0, 1 of w"),
        (0.3, "rate is 0.3: it is applied once too often"),
        (1 / 0.3, "rate is 0.3: it is applied once too little"),
        (0.09, "rate is 0.3"),
    ],
)
def test_the_text_says_what_the_factor_is(factor, text):
    seen = view(
        DENSE,
        factor * DENSE,
        arrays={"w": np.ones((3, 6))},
        options={"rate": 0.3, "axis": 0, "flag": True, "name": "a"},
    )
    found = constant_factor(seen)
    assert found is not None
    assert text in found.text


@pytest.mark.parametrize(
    ("factors", "text"),
    [
        (X4, "the factor x is there twice"),
        (1 / X4, "the factor x is missing"),
        (X4**2, "x squared is too much"),
        (np.array([3.0, 1.5, 0.7, 2.0]), "in each entry of x"),
    ],
)
def test_a_factor_for_each_entry_of_the_argument_is_named(factors, text):
    found = factor_by_column(view(DENSE, DENSE * factors, x=X4))
    assert found is not None
    assert found.kind == "scale missing"
    assert found.text.endswith(text)


def test_a_factor_of_another_argument_that_is_broadcast_is_named():
    seen = view(SQUARE, SQUARE * [2.0, 3.0, 2.0, 3.0], x=X4.reshape(2, 2), arrays={"w": [2.0, 3.0]})
    found = factor_by_column(seen)
    assert found is not None
    assert found.text.endswith("the factor w is there twice")


def test_a_factor_for_each_entry_of_the_output_is_named():
    found = factor_by_row(view(DENSE, DENSE * ROWS[:, None], arrays={"v": 1 / ROWS}))
    assert found is not None
    assert found.kind == "scale missing"
    assert found.text.endswith("for each entry of the output: the factor v is missing")
    two = view(DENSE, DENSE * ROWS[:, None], output=((2,), (3,)))
    assert kind(factor_by_row, two) == "scale missing"


@pytest.mark.parametrize(
    ("rule", "axis"), [(factor_by_column, np.ones((1, 4))), (factor_by_row, np.ones((5, 1)))]
)
def test_factors_near_one_come_from_an_eps(rule, axis):
    factors = axis + 1e-3 * np.arange(axis.size).reshape(axis.shape)
    assert kind(rule, view(DENSE, DENSE * factors)) == "eps"


@pytest.mark.parametrize("rule", [factor_by_column, factor_by_row])
def test_equal_factors_single_rows_and_diagonal_matrices_have_none_of_their_own(rule):
    for right, factors in (
        (DENSE, 3.0),
        (DENSE[:1], X4),
        (DENSE[:, :1], ROWS[:, None]),
        (np.diag(X4), np.array([2.0, 3.0, 4.0, 5.0])),
    ):
        assert kind(rule, view(right, right * factors)) == "quiet"


@pytest.mark.parametrize(("factor", "meaning"), [(2.0, True), (0.5, True), (3.0, False)])
def test_some_entries_with_one_factor_are_named(factor, meaning):
    wrong = DENSE.copy()
    wrong[1:3, ::2] *= factor
    found = partly_scaled(view(DENSE, wrong))
    assert found is not None
    assert found.kind == "scale missing"
    assert "4 of 20 entries" in found.text
    assert ("symmetric pairs" in found.text) == meaning


def test_all_entries_several_factors_or_zeros_are_not_some_with_one_factor():
    several = DENSE.copy()
    several[0, 0] *= 2
    several[1, 1] *= 3
    dropped = DENSE.copy()
    dropped[0] = 0
    for wrong in (2 * DENSE, several, dropped):
        assert partly_scaled(view(DENSE, wrong)) is None
    assert partly_scaled(view(np.diag(X4), np.diag(X4) + np.eye(4, k=1))) is None


def test_factors_that_several_entries_share():
    gate = np.array([0.5, 2.0, 3.0, -1.0])[:, None, None] * np.ones((4, 2, 1))
    right = np.einsum("nk,eo->neko", np.outer([1.0, 2.0, -1.0, 3.0], [1.0, 0.5]), np.eye(3))
    wrong = right * gate.reshape(4, 1, 2, 1)
    assert kind(factor_in_common, view(right.reshape(12, 6), wrong.reshape(12, 6))) == (
        "scale missing"
    )
    alone = right * np.arange(1.0, 1.0 + right.size).reshape(right.shape)
    assert kind(factor_in_common, view(right.reshape(12, 6), alone.reshape(12, 6))) == "quiet"


def test_a_conjugate_in_the_parts_of_a_complex_output():
    turned = view(DENSE, np.where(np.arange(len(DENSE)) % 2, 1, -1)[:, None] * DENSE)
    assert kind(factor_by_row, turned._replace(name="x.real")) == "complex"
    assert kind(factor_by_row, turned) == "scale missing"
