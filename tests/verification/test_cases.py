"""Variants and cases of a target that is known by an example."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import TargetError
from purebp.verification.budget import NORMAL
from purebp.verification.cases import (
    COTANGENTS,
    PATTERNS,
    Case,
    Variant,
    fixed_cases,
    make_args,
    patterns_of,
    variants,
)
from purebp.verification.natures import FLOATS, INTEGERS
from purebp.verification.target import make_target

X = jnp.array([[1.0, -2.0, 0.5], [0.25, -1.0, 2.0]])
W = jnp.array([[1.0, -0.5], [0.5, 2.0], [-1.5, 0.75]])


def affine_fwd(x, w, *, factor=2.0, transposed=False):
    return factor * (x.T @ w if transposed else x @ w), None


def picked_fwd(x, labels):
    if labels.ndim != 1:
        raise ValueError("labels of one axis, please")
    return x[jnp.arange(len(labels)), labels], None


def no_bwd(res, g):
    return (None,)


def known_by(*examples, fwd=affine_fwd, **more):
    return make_target((fwd, no_bwd), examples=examples, **more)


def test_the_first_variant_is_the_example_at_the_defaults():
    first = variants(known_by(X, W))[0]
    assert first == Variant((), ((2, 3), (3, 2)))


def test_other_shapes_come_at_the_defaults_and_some_for_each_other_setting():
    found = variants(known_by(X, W))
    by_setting = {}
    for variant in found:
        by_setting.setdefault(variant.settings, []).append(variant.shapes)
    assert len(found) == len(set(found))
    defaults = by_setting.pop(())
    assert 4 <= len(defaults) <= NORMAL.shapes
    assert set(by_setting) == {
        (("factor", 1.2),),
        (("factor", 0.5),),
        (("transposed", True),),
        (("factor", 0.5), ("transposed", True)),
    }
    assert all(0 < len(each) <= NORMAL.shapes_by_option for each in by_setting.values())


def test_a_setting_meets_only_shapes_that_it_takes():
    found: list[Any] = [
        v.shapes for v in variants(known_by(X, W)) if ("transposed", True) in v.settings
    ]
    assert found
    assert all(shapes and shapes[0] and shapes[1] for shapes in found)
    assert all(x[0] == w[0] for x, w in found)


def test_a_setting_that_takes_none_is_left_out():
    def fussy_fwd(x, *, stride=1):
        if stride != 1:
            raise ValueError("stride 1, please")
        return x, None

    assert {v.settings for v in variants(known_by(X, fwd=fussy_fwd))} == {()}


def test_an_example_that_does_not_run_is_refused_with_the_reason():
    with pytest.raises(TargetError, match=r"affine: its function does not run: TypeError"):
        variants(known_by(X, X))


def test_an_example_that_is_no_array_is_refused_in_one_line():
    with pytest.raises(TargetError, match="mean"):
        known_by(X, "mean")


def test_static_options_replace_what_was_guessed():
    found = variants(known_by(X, W, static={"factor": [2.0, 7.0], "transposed": False}))
    assert {v.settings for v in found} == {
        (),
        (("factor", 7.0),),
        (("factor", 7.0), ("transposed", False)),
    }


def test_an_option_without_a_default_that_static_gives_is_passed():
    def scaled_fwd(x, *, scale):
        return scale * x, None

    found = variants(known_by(X, fwd=scaled_fwd, static={"scale": 2.0}))
    assert found[0].settings == (("scale", 2.0),)


def test_patterns_are_those_of_the_example_and_the_few_where_shapes_are_known():
    assert patterns_of(known_by(X, W)) == FLOATS
    labelled = known_by(X, jnp.array([0, 2]), fwd=picked_fwd)
    assert patterns_of(labelled) == (*FLOATS, *INTEGERS[1:])
    assert patterns_of(known_by(shapes="a b, b c")) == PATTERNS


def test_each_pattern_and_each_cotangent_has_a_case_and_the_example_is_the_first():
    variant = Variant((), None)
    cases = fixed_cases(variant, FLOATS)
    assert cases[0] == Case(variant, "normal", "normal", 0)
    assert [case.pattern for case in cases[: len(FLOATS)]] == [*FLOATS]
    assert {case.cotangent for case in cases} == {*COTANGENTS}
    assert len(set(cases)) == len(cases)


def test_arguments_are_the_example_or_like_it_in_the_shapes_of_the_variant():
    target = known_by(X, jnp.array([0, 2]), fwd=picked_fwd)
    first, *others = variants(target)
    example = make_args(target, Case(first, "normal", "normal", 0))
    np.testing.assert_array_equal(example[0], X)
    np.testing.assert_array_equal(example[1], [0, 2])
    for variant in others:
        for case in fixed_cases(variant, patterns_of(target)):
            x, labels = make_args(target, case)
            assert (x.shape, labels.shape) == variant.shapes
            plain = "special" not in case.pattern
            assert not plain or labels.max(initial=0) < x.shape[1]


def test_a_case_without_shapes_has_those_of_the_example():
    target = known_by(X, W)
    args = make_args(target, Case(Variant((), None), "wide", "normal", 1))
    assert [arg.shape for arg in args] == [X.shape, W.shape]


def test_a_case_says_what_it_is():
    described = Case(
        Variant((("factor", 0.5),), ((2, 3), (3, 2))), "zeros", "one-hot", 7
    ).describe()
    assert described == (
        "factor=0.5, shapes [(2, 3), (3, 2)], zeros values, one-hot cotangent, seed 7"
    )
    assert (
        Case(Variant((), None), "ties", "normal", 0).describe().startswith("the example's shapes")
    )
