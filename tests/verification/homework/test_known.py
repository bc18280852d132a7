"""The tables of known layers: each call has arguments that its definitions take."""

import jax
import numpy as np
import pytest

from purebp.catalog import OPS
from purebp.compat import enable_x64
from purebp.errors import ShapeError
from purebp.verification.homework.call import args_of
from purebp.verification.homework.dense import AFFINE_2D
from purebp.verification.homework.forward import settings_of
from purebp.verification.homework.known import CALLS, calls_named, stem_of

EVERY = sorted({(name, k) for name, calls in CALLS.items() for k in range(len(calls))})


@pytest.mark.parametrize(("name", "k"), EVERY, ids=[f"{name}-{k}" for name, k in EVERY])
def test_definitions_run_on_the_example_with_every_setting(name, k):
    call = CALLS[name][k]
    assert all(op in OPS for op in call.op.split(", "))
    arrays = call.example()
    call.check_shapes(arrays)
    for define in call.definitions:
        for settings in settings_of(call.options):
            with enable_x64(True):
                y = jax.eval_shape(lambda *a, f=define, s=settings: f(*a, **s), *arrays)
            assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(y))
    assert call.definitions or call.judge is not None


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("conv_naive", "conv2d"),
        ("max_pool_fast", "max_pool"),
        ("batchnorm_alt", "batch_norm"),
        ("my_relu", "relu"),
        ("LayerNorm", "layer_norm"),
        ("silu", "swish"),
        ("rms_norm", "rms_norm"),
        ("temporal_softmax_loss", "softmax_cross_entropy"),
        ("lstm_step", "lstm_step"),
    ],
)
def test_names_are_known_under_their_aliases(name, op):
    assert calls_named(name)[0].op == op


@pytest.mark.parametrize("name", ["", "swirl", "gpt", "layer", "conv_of_mine"])
def test_other_names_are_not(name):
    assert calls_named(name) == ()


def test_words_that_change_nothing_are_left_out():
    assert stem_of("my_conv2d_naive_layer") == "conv2d"


def test_an_example_is_the_same_for_the_same_seed():
    first, second, other = (AFFINE_2D.example(seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3), (3, 4), (5,)), "b has shape .5,., expected 4 for axis 'm'"),
        (((2, 3), (3, 4), ()), "expected axes 'm'"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(shapes, message):
    with pytest.raises(ShapeError, match=message):
        AFFINE_2D.check_shapes(tuple(map(np.zeros, shapes)))


def test_args_are_read_from_a_line():
    x, w = args_of("x: n c h w, w: k c")
    assert (x.name, x.axes, w.name, w.axes) == ("x", "n c h w", "w", "k c")
