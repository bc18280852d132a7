"""Which functions of a file belong together, by their names alone."""

import pytest

from purebp.verification.homework.names import Pair, layer_name, pairs_among


@pytest.mark.parametrize(
    ("function", "layer"),
    [
        ("affine_forward", "affine"),
        ("conv_forward_naive", "conv_naive"),
        ("relu_bwd", "relu"),
        ("backward_relu", "relu"),
        ("forward", ""),
        ("straightforward_pool", "straightforward_pool"),
    ],
)
def test_the_name_of_a_layer_is_that_of_its_functions_without_the_half(function, layer):
    assert layer_name(function) == layer


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a_forward", "a_backward"], [Pair("a", "a_forward", "a_backward")]),
        (["a_bwd", "a_fwd"], [Pair("a", "a_fwd", "a_bwd")]),
        (
            ["conv_backward_fast", "conv_forward_fast", "conv_forward_naive"],
            [
                Pair("conv_fast", "conv_forward_fast", "conv_backward_fast"),
                Pair("conv_naive", "conv_forward_naive", ""),
            ],
        ),
        (["a_backward"], [Pair("a", "", "a_backward")]),
        (
            ["bn_forward", "bn_backward", "bn_backward_alt"],
            [
                Pair("bn", "bn_forward", "bn_backward"),
                Pair("bn_alt", "bn_forward", "bn_backward_alt"),
            ],
        ),
        (
            ["a_fwd", "a_bwd", "a_forward", "a_backward"],
            [
                Pair("a (a_bwd)", "a_fwd", "a_bwd"),
                Pair("a (a_backward)", "a_forward", "a_backward"),
            ],
        ),
        (["forward", "sigmoid", "train"], []),
        (["forward", "backward"], [Pair("", "forward", "backward")]),
    ],
    ids=["pair", "reversed", "one fast", "backward alone", "alternative", "twice", "none", "bare"],
)
def test_pairs(names, expected):
    assert sorted(pairs_among(names)) == sorted(expected)
