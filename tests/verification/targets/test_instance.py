"""Objects with methods forward and backward."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

import purebp
from purebp.errors import TargetError
from purebp.verification.targets.instance import is_instance, layer_pair, methods_of
from tests.verification.targets import objects
from tests.verification.targets.objects import X

QUICK = {"budget": "quick", "max_examples": 1}


def names_of(layer, *examples):
    pair = layer_pair(layer, examples or (X,), {})
    return list(inspect.signature(pair.forward).parameters)


def text_of(report):
    assert report.diagnosis is not None
    return report.diagnosis.text


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (objects.Linear(4, 3), ["x", "W", "b"]),
        (objects.Listed(), ["x", "params_0", "params_1"]),
        (objects.Named(), ["x", "W", "b"]),
        (objects.OfParameters(), ["x", "weight"]),
        (objects.Learning(), ["x", "weights", "bias"]),
    ],
)
def test_parameters_are_found_by_their_gradients(layer, names):
    assert names_of(layer) == names
    report = purebp.verify(layer, X, **QUICK)
    assert report.ok, report
    assert not report.without_gradient


def test_a_layer_is_left_as_it_was():
    layer = objects.Linear(4, 3)
    before = {name: np.array(value) for name, value in vars(layer).items()}
    pair = layer_pair(layer, (X,), {})
    pair.backward(np.ones((5, 3)), pair.forward(X, *pair.parameters)[1])
    assert set(vars(layer)) == set(before)
    assert all(np.array_equal(before[name], value) for name, value in vars(layer).items())


def test_gradients_that_are_added_up_start_at_those_of_the_layer_each_time():
    pair = layer_pair(objects.Listed(), (X,), {})
    _, cache = pair.forward(X, *pair.parameters)
    first, second = (pair.backward(np.ones((5, 3)), cache) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("layer", "examples", "text"),
    [
        (objects.Averaged(4, 3), (X,), "b_bar is 5 times too small; 5 is the size of axis 0 of x"),
        (objects.Summed(), (X, -X), "y_bar is 20 times too large"),
        (objects.LearningBackwards(), (X,), "x_bar"),
    ],
)
def test_what_is_wrong_is_said(layer, examples, text):
    report = purebp.verify(layer, *examples, **QUICK)
    assert report.verdict == "fail"
    assert text in text_of(report)


def test_targets_of_a_loss_have_no_gradient_and_the_report_says_so():
    report = purebp.verify(objects.MeanSquared(), X, -X, **QUICK)
    assert report.ok, report
    assert report.without_gradient == ("target",)
    assert "no gradient was found of: target" in str(report)
    assert purebp.verify(objects.Scaled(), X, **QUICK).without_gradient == ("scale",)


def test_random_layers_draw_the_same_numbers_each_time_and_leave_the_generator_alone():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    report = purebp.verify(objects.Dropout(), X, **QUICK)
    assert report.ok, report
    assert report.unexplored == ("p", "training")
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_static_sets_attributes():
    assert purebp.verify(objects.AlwaysDropped(), X, **QUICK).ok
    report = purebp.verify(objects.AlwaysDropped(), X, static={"training": [True, False]}, **QUICK)
    assert report.verdict == "fail"
    assert "training=False" in text_of(report)
    with pytest.raises(TargetError, match="Dropout: has no attribute 'rate', which static names"):
        purebp.verify(objects.Dropout(), X, static={"rate": 0.5})


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (objects.Broken(), r"do not run on the example: ZeroDivisionError: no luck with \(5, 4\)"),
        (objects.TooMany(), "returned 2 gradients, expected at most 1"),
        (objects.NoUpstream(), r"takes no upstream gradient, and the output has shape \(5, 4\)"),
    ],
)
def test_a_layer_that_cannot_be_run_is_refused(layer, message):
    with pytest.raises(purebp.PurebpError, match=message):
        purebp.verify(layer, X)


def test_a_class_is_no_object_and_examples_are_asked_for():
    assert not is_instance(objects.Linear)
    assert methods_of(objects.Learning) == ("forward_propagation", "backward_propagation")
    with pytest.raises(TargetError, match="Linear: give example arguments"):
        purebp.verify(objects.Linear(4, 3))


@pytest.mark.parametrize("name", ["averaged", "summed", "learning_backwards", "doubled"])
def test_the_script_runs_where_the_object_has_a_name(name):
    layer = getattr(objects, name)
    examples = (X, -X) if name == "summed" else (X,)
    report = purebp.verify(layer, *examples, **QUICK)
    assert report.verdict == "fail"
    run = subprocess.run(
        [sys.executable, "-c", report.reproduction], capture_output=True, text=True, check=False
    )
    assert ": got" in run.stdout, run.stderr
    assert "AssertionError" in run.stderr


def test_there_is_no_script_for_an_object_without_a_name():
    nameless = purebp.verify(objects.Averaged(4, 3), X, **QUICK).reproduction
    assert "# no script: Averaged is an object, which has no name" in nameless
