"""The definitions against known numbers, 50 digits and the worked examples of the notes."""

import math
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest

import reference
from reference import (
    activations,
    convolutions,
    elementwise,
    gamma,
    gates,
    layers,
    lines,
    losses,
    more_losses,
    norms,
    worked_examples,
)
from reference.backward import BACKWARD
from reference.precise import MP
from reference.precise import PRECISE as PRECISE_REST
from reference.precise_gates import INTERVALS, PRECISE_GATES

MODULES = (
    gates,
    elementwise,
    gamma,
    lines,
    activations,
    layers,
    losses,
    more_losses,
)
DEFINITIONS = {name: f for module in MODULES for name, f in module.DEFINITIONS.items()}


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def test_the_reference_imports_neither_purebp_nor_jax():
    for path in Path(reference.__file__).parent.glob("*.py"):
        assert not re.search(r"^\s*(import|from)\s+(purebp|jax)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min"])
def test_two_sided_gates_agree_with_numpy(name):
    ufunc = {"sub": "subtract", "mul": "multiply", "div": "divide", "max": "maximum"}
    ufunc |= {"add": "add", "min": "minimum"}
    x, y = np.array([[1.0], [-2.0], [np.nan], [np.inf]]), np.array([1.0, 0.5, -3.0])
    np.testing.assert_array_equal(DEFINITIONS[name](x, y), getattr(np, ufunc[name])(x, y))


def test_sums_and_products_agree_with_numpy():
    x, y = normal(2, 1, 2, 3), normal(4, 3, 2)
    for options in ({}, {"axis": -2}, {"axis": (0, 3), "keepdims": True}, {"axis": ()}):
        np.testing.assert_allclose(gates.sum(x, **options), np.sum(x, **options), rtol=1e-14)
        np.testing.assert_allclose(gates.mean(x, **options), np.mean(x, **options), rtol=1e-14)
    np.testing.assert_allclose(gates.matmul(x, y), x @ y, rtol=1e-13)
    np.testing.assert_allclose(gates.dot(y, 2 * y), 2 * (y * y).sum(-1), rtol=1e-13)
    assert gates.sum(np.zeros((0, 2)), axis=0).tolist() == [0.0, 0.0]
    assert np.isnan(gates.mean(np.zeros(0)))


def test_convolution_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    w = np.array([[[[1.0, 0.0], [0.0, -2.0]]]])
    by_hand = [[0 - 2 * 4, 1 - 2 * 5], [3 - 2 * 7, 4 - 2 * 8]]
    np.testing.assert_array_equal(convolutions.conv2d(x, w)[0, 0], by_hand)
    same = [[-8, -9, 2], [-11, -12, 5], [6, 7, 8]]  # "SAME": the odd zero goes to the high side
    np.testing.assert_array_equal(convolutions.conv2d(x, w, padding="SAME")[0, 0], same)
    strided = convolutions.conv2d(x, w, np.array([10.0]), stride=2, padding=((1, 0), (0, 1)))
    np.testing.assert_array_equal(strided[0, 0], [[10 - 2, 10], [3 - 14 + 10, 5 + 10]])


def test_pooling_by_hand():
    x = np.array([[[[1.0, 5.0, 2.0], [-4.0, -3.0, 0.0], [-7.0, -8.0, -9.0]]]])
    np.testing.assert_array_equal(layers.max_pool(x)[0, 0], [[5.0]])
    overlapping = layers.max_pool(x, window=2, stride=1)
    np.testing.assert_array_equal(overlapping[0, 0], [[5.0, 5.0], [-3.0, 0.0]])
    padded = layers.max_pool(x, padding="SAME")  # padding is -inf, never the maximum
    np.testing.assert_array_equal(padded[0, 0], [[5.0, 2.0], [-7.0, -9.0]])
    averaged = layers.avg_pool(x, padding="SAME")  # the padding's zeros count
    np.testing.assert_array_equal(averaged[0, 0], [[-0.25, 0.5], [-3.75, -2.25]])


def test_normalised_values_and_statistics():
    x = np.array([[[1.0, 2.0]], [[3.0, 6.0]]])
    y, (mean, var) = norms.batch_norm(x, [2.0], [1.0], eps=0.0)
    assert (mean.tolist(), var.tolist()) == ([3.0], [3.5])
    np.testing.assert_allclose(y, 2 * (x - 3) / math.sqrt(3.5) + 1, rtol=1e-14)
    by_row = norms.layer_norm(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=0.0)
    np.testing.assert_allclose(by_row, [[-1.0, 1.0]], rtol=1e-14)


def test_activations_and_layers_by_hand():
    x = np.array([-2.0, 0.0, 3.0, 1.0])
    assert activations.relu(x).tolist() == [0.0, 0.0, 3.0, 1.0]
    assert activations.leaky_relu(x, slope=0.5).tolist() == [-1.0, 0.0, 3.0, 1.0]
    assert activations.prelu([x, x], [[0.5], [2.0]])[:, 0].tolist() == [-1.0, -4.0]
    assert activations.maxout([1.0, 2.0, -3.0, 9.0, 4.0, -5.0], pieces=3).tolist() == [2.0, 9.0]
    np.testing.assert_allclose(activations.softmax(np.log([[1.0, 3.0]])), [[0.25, 0.75]])
    np.testing.assert_allclose(activations.softmax(np.log([[1.0], [3.0]]), axis=0)[1], 0.75)
    assert layers.dropout(x, [1, 0, 0, 1], rate=0.75).tolist() == [-8.0, 0.0, 0.0, 4.0]
    assert layers.flatten(np.arange(8).reshape(2, 2, 2)).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert layers.affine([[1.0, 2.0]], [[1.0, 0.0], [3.0, -1.0]], [10.0, 20.0]).tolist() == [
        [17, 18]
    ]
    w = [[1.0], [-2.0]]
    assert layers.fully_connected([1.0, 2.0], w, [0.0], activation="relu").tolist() == [0.0]
    assert layers.fully_connected([1.0, 2.0], w, [0.0], activation="identity").tolist() == [-3.0]
    assert layers.fully_connected([2.0, 1.0], w, [0.0]).tolist() == [0.5]


def test_losses_by_hand():
    scores, labels = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0]]), np.array([0, 1])
    np.testing.assert_allclose(losses.svm(scores, labels, reduction="none"), [2.9, 0.0], atol=1e-15)
    entropy = losses.softmax_cross_entropy(scores, labels, reduction="none")
    np.testing.assert_allclose(entropy[0], -math.log(0.13), atol=0.01)
    expected = np.log(np.exp(scores).sum(-1)) - scores[[0, 1], labels]
    np.testing.assert_allclose(entropy, expected, rtol=1e-13)
    np.testing.assert_allclose(losses.softmax_cross_entropy(scores, labels), expected.mean())
    huge = losses.softmax_cross_entropy(np.array([1000.0, 0.0]), np.array(1))
    assert huge == 1000.0
    assert losses.half_squared_error([[1.0, 3.0]], [[0.0, 1.0]]) == 2.5
    assert (losses.l2([1.0, -3.0], strength=0.5), losses.l1([1.0, -3.0], strength=0.5)) == (2.5, 2)


POINTS = [-700.0, -40.0, -9.5, -3.0, -0.7, -1e-3, -1e-12, 1e-12, 1e-3, 0.4, 1.0, 5.5, 40.0, 700.0]
PRECISE = {**PRECISE_REST, **PRECISE_GATES}
MAGNIFY = {"erf", "erfc", "erf_inv"}  # e^(x^2) magnifies the rounding of x^2


def inside(name, x):
    low, high = INTERVALS.get(name, (-math.inf, math.inf))
    return low < x < high


PRECISE_CASES = [
    *((name, {}) for name in PRECISE),
    ("elu", {"alpha": 0.3}),
    ("swish", {"beta": 1.5}),
    ("gelu", {"approximate": False}),
]


@pytest.mark.parametrize(("name", "options"), PRECISE_CASES)
def test_definitions_and_slopes_agree_with_50_digits(name, options):
    f, slope = PRECISE[name]
    for x in (x for x in POINTS if inside(name, x)):
        y = float(DEFINITIONS[name](x, **options))
        (x_bar,) = BACKWARD[name]((np.array(x),), np.array(1.0), **options)
        # exp multiplies the relative error of its argument by that argument.
        rtol = 1e-15 * (4 + 4 * (x * x if name in MAGNIFY else abs(x)))
        np.testing.assert_allclose(y, float(f(x, **options)), rtol=rtol, atol=1e-300)
        np.testing.assert_allclose(float(x_bar), float(slope(x, **options)), rtol=rtol, atol=1e-300)


@pytest.mark.parametrize(("name", "options"), PRECISE_CASES)
def test_precise_slopes_are_the_derivatives(name, options):
    f, slope = PRECISE[name]
    for x in (-9.5, -0.7, 0.4, 5.5):
        if inside(name, x):
            difference = MP.diff(lambda t: f(t, **options), x)
            assert mpmath.almosteq(difference, slope(x, **options), rel_eps=1e-20)


def printed(numbers, decimals):
    return np.round(numbers, decimals) + 0.0


@pytest.mark.parametrize("name", worked_examples.EXAMPLES)
def test_worked_examples_have_the_printed_numbers(name):
    example = worked_examples.EXAMPLES[name]
    run = worked_examples.COMPUTATIONS[name](**example.inputs)
    for computed, notes in zip(run, (example.values, example.gradients), strict=True):
        assert set(computed) == set(notes)
        for key, value in computed.items():
            rounded = printed(value, example.decimals)
            np.testing.assert_allclose(rounded, notes[key], rtol=0, atol=1e-12, err_msg=key)


def test_mul_gate_scales_with_the_upstream_gradient():
    assert worked_examples.compute_mul_gate(3.0, 4.0, 7.0).gradients == {"x": 28.0, "y": 21.0}


def test_sigmoid_neuron_node_by_node_and_grouped_agree():
    inputs = worked_examples.SIGMOID_NEURON.inputs
    nodes = worked_examples.compute_sigmoid_neuron(**inputs)
    grouped = worked_examples.compute_sigmoid_neuron_grouped(**inputs)
    assert nodes.values["f"] == pytest.approx(grouped.values["f"], rel=1e-15)
    for key, value in grouped.gradients.items():
        np.testing.assert_allclose(nodes.gradients[key], value, rtol=1e-14)


def test_size_and_cost_formulas():
    for layer in worked_examples.ALEXNET_FIRST_LAYERS:
        w, c, f, p, s = layer[1:6]
        if layer.kind == "convolution":
            size = worked_examples.convolution_output_size(w, f, p, s)
        else:
            size = worked_examples.pooling_output_size(w, f, s)
            assert layer.channels_after == c
        assert size == layer.width_after
    assert worked_examples.convolution_cost(55, 55, 96, 3, 11) == 105_415_200
    for entries, jacobian in worked_examples.JACOBIAN_SIZES:
        assert jacobian == (entries, entries)
    x = np.zeros((1, 1, 7, 7))
    assert convolutions.conv2d(x, np.zeros((1, 1, 3, 3)), stride=2, padding=1).shape[2] == (
        worked_examples.convolution_output_size(7, 3, 1, 2)
    )
    assert layers.max_pool(x, window=3, stride=2).shape[2] == (
        worked_examples.pooling_output_size(7, 3, 2)
    )
