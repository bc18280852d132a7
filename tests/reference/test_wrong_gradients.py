"""The known wrong gradients: a list in order, and a few of them found and named."""

import re

import jax
import numpy as np
import pytest

import purebp
from reference.wrong_gradients import LAYERS, LEFT_OUT

BY_NAME = {layer.name: layer for layer in LAYERS}
FOUND = ("atan2", "huber_upstream", "elu_twice", "concat", "linear_activation")


def test_each_has_a_name_of_its_own_and_a_number():
    assert len(BY_NAME) == len(LAYERS)
    numbers = {layer.bug for layer in LAYERS}
    assert len(numbers) >= 70
    assert not numbers & set(LEFT_OUT)
    assert all(re.fullmatch(r"B\d{3}", bug) for bug in (*numbers, *LEFT_OUT))
    assert all(LEFT_OUT.values())


@pytest.mark.parametrize("name", BY_NAME)
def test_the_example_is_ordinary_and_the_same_each_time(name):
    first, second = (BY_NAME[name].example(np.random.default_rng(0)) for _ in range(2))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.size(a) <= 4096


@pytest.mark.parametrize("name", FOUND)
def test_a_wrong_one_is_found_and_named(name):
    layer = BY_NAME[name]
    example = layer.example(np.random.default_rng(0))
    report = purebp.verify(layer.wrong, *example, reference=layer.reference, max_examples=1)
    assert report.verdict == "fail"
    assert report.diagnosis is not None
    assert report.diagnosis.kind == layer.diagnosis


@pytest.mark.parametrize("name", ["concat"])
def test_its_twin_is_right(name):
    layer = BY_NAME[name]
    example = layer.example(np.random.default_rng(0))
    report = purebp.verify(layer.right, *example, reference=layer.reference, max_examples=1)
    assert report.ok, str(report)
