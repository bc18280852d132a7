"""Rules about the upstream gradient."""

import numpy as np
import pytest

from purebp.verification.diagnosis.upstream import (
    not_linear,
    output_ignored,
    upstream_as_scalar,
    upstream_ignored,
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

RULES = (upstream_ignored, not_linear, upstream_as_scalar, output_ignored)
SLOPES = np.diag(X4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seen", [RIGHT, RIGHT_BY_ROUNDING, UNRELATED], ids=["right", "near", "no"])
def test_the_rules_are_quiet_on_what_is_right_and_on_what_is_wrong_otherwise(rule, seen):
    assert kind(rule, seen) == "quiet"


def test_a_gradient_that_does_not_depend_on_y_bar_is_named():
    found = upstream_ignored(view(DENSE, DENSE, pull=lambda _: DENSE.sum(0)))
    assert found is not None
    assert found == ("upstream ignored", "x_bar does not depend on y_bar: the factor is missing")


def test_a_part_that_is_not_multiplied_by_y_bar_is_named():
    found = upstream_ignored(view(DENSE, DENSE, pull=lambda y_bar: y_bar @ DENSE + 0.1))
    assert found is not None
    assert "x_bar is not 0 for y_bar = 0" in found.text


@pytest.mark.parametrize(
    "pull",
    [
        lambda _: 0 * X4,
        lambda _: np.nan * X4,
        lambda y_bar: y_bar @ DENSE + 1e-12,
        lambda y_bar: np.abs(y_bar) @ DENSE,
    ],
    ids=["zero", "nan", "rounding", "another"],
)
def test_no_gradient_at_all_rounding_or_another_bug_is_not_an_ignored_one(pull):
    assert upstream_ignored(view(DENSE, DENSE, pull=pull)) is None


@pytest.mark.parametrize("function", [np.abs, np.square, np.sign, np.exp])
def test_what_is_not_linear_in_y_bar_is_named(function):
    assert kind(not_linear, view(DENSE, DENSE, pull=lambda g: function(g) @ DENSE)) == (
        "upstream ignored"
    )


@pytest.mark.parametrize(
    ("right", "wrong", "text"),
    [
        (SLOPES, np.ones((4, 1)) / 4 * X4, "it takes one number for all"),
        (SLOPES, np.eye(4)[:, :1] * X4, "it takes its first entry for all"),
        (SQUARE, np.diag(SQUARE.sum(0)), "applied after a sum"),
    ],
    ids=["mean", "first", "after"],
)
def test_a_y_bar_that_is_used_as_one_number_is_named(right, wrong, text):
    found = upstream_as_scalar(view(right, wrong))
    assert found is not None
    assert found.kind == "upstream as a scalar"
    assert text in found.text


def test_a_y_bar_averaged_over_one_axis_is_named():
    rows = np.repeat(np.eye(2), 3, axis=0)  # y_bar (2, 3), averaged over its last axis
    found = upstream_as_scalar(view(np.diag(RNG.random(6)), rows @ rows.T / 3 * np.arange(1, 7)))
    assert found is None  # not right for equal numbers: nothing is said
    slopes = np.arange(1.0, 7.0)
    assert kind(upstream_as_scalar, view(np.diag(slopes), rows @ rows.T / 3 * slopes)) == (
        "upstream as a scalar"
    )


def test_a_single_output_cannot_be_used_as_one_number():
    assert upstream_as_scalar(view(np.ones((1, 4)), np.ones((1, 4)) * 2)) is None
    assert upstream_as_scalar(view(np.zeros((3, 4)), np.zeros((3, 4)))) is None


@pytest.mark.parametrize(("rows", "index"), [(slice(0, 2), 0), (slice(2, 5), 1)])
def test_the_cotangent_of_an_output_that_is_left_out_is_named(rows, index):
    wrong = DENSE.copy()
    wrong[rows] = 0
    output = ((2,), (3,))
    found = output_ignored(view(DENSE, wrong, output=output))
    assert found is not None
    assert found.kind == "output ignored"
    assert f"output {index} (of 2)" in found.text
    assert output_ignored(view(DENSE, wrong)) is None  # of one output only
    assert output_ignored(view(DENSE, 2 * wrong, output=output)) is None
    assert output_ignored(view(wrong, wrong, output=output)) is None
