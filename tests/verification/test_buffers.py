"""What a NumPy layer does with its arrays: each misuse is seen, and a right layer is let alone."""

import numpy as np
import pytest

from purebp.verification.buffers import _every_other, _same, check_buffers
from purebp.verification.cases import variants
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

X, W = np.arange(6.0).reshape(2, 3) / 5 - 0.4, np.asarray([0.5, -1.0, 2.0])


def scale_forward(x, w):
    return x * w, (x, w)


def scale_backward(dout, cache):
    x, w = cache
    return dout * w, np.sum(dout * x, axis=0)


def outcome_of(forward, backward, *example):
    made = make_target((forward, backward), None, None, None, example or (X, W))
    probe = Probe(made, variants(made)[0])
    return check_buffers(probe, probe.first)


def message_of(forward, backward, *example):
    failure = outcome_of(forward, backward, *example).failure
    return "" if failure is None else failure.message


def test_a_right_layer_is_let_alone():
    assert message_of(scale_forward, scale_backward) == ""


def test_a_layer_may_write_into_what_it_made_itself():
    def forward(x, w):
        y = x.copy()
        y *= w
        return y, (x, w)

    def backward(dout, cache):
        dx = np.empty_like(cache[0])
        dx[...] = dout
        dx *= cache[1]
        return dx, np.sum(dout * cache[0], axis=0)

    assert message_of(forward, backward) == ""


def test_integers_and_numbers_without_axes_are_let_alone():
    def forward(table, rows, scale):
        return table[rows] * scale, (table, rows, scale)

    def backward(dout, cache):
        table, rows, scale = cache
        d_table = np.zeros_like(table)
        np.add.at(d_table, rows, dout * scale)
        return d_table, None, np.sum(dout * table[rows])

    assert message_of(forward, backward, X, np.asarray([1, 0, 1]), np.float64(2.0)) == ""


def forward_in_place(x, w):
    x *= w
    return x, (x / w, w)


def backward_in_place(dout, cache):
    dw = np.sum(dout * cache[0], axis=0)
    dout *= cache[1]
    return dout, dw


def backward_into_the_cache(dout, cache):
    x, w = cache
    dw = np.sum(dout * x, axis=0)
    x[...] = dout * w
    return x, dw


def test_an_argument_that_is_overwritten_is_named():
    assert message_of(forward_in_place, scale_backward) == "the argument x is overwritten"
    assert message_of(scale_forward, backward_into_the_cache) == "the argument x is overwritten"


def test_an_upstream_gradient_that_is_overwritten():
    message = message_of(scale_forward, backward_in_place)
    assert message == "the upstream gradient is overwritten by the backward pass"


def exponential(x):
    y = np.exp(x)
    return y, y


def exponential_in_place(dout, cache):
    cache *= dout
    return cache


def test_an_output_that_is_overwritten():
    message = message_of(exponential, exponential_in_place, X)
    assert message == "the output is overwritten by the backward pass"


def test_one_of_several_outputs_that_is_overwritten():
    def forward(x):
        y = np.exp(x)
        return (y, 2 * x), y

    def backward(dout, cache):
        cache *= dout[0]
        return cache + 2 * dout[1]

    message = message_of(forward, backward, X)
    assert message == "the output is overwritten by the backward pass"


def test_a_cache_that_serves_only_once():
    def forward(x, w):
        return x * w, [x.copy(), w]

    def backward(dout, cache):
        bars = dout * cache[1], np.sum(dout * cache[0], axis=0)
        cache[0] = 2 * cache[0]
        return bars

    assert "a second backward pass" in message_of(forward, backward)


def test_a_sum_that_is_kept_between_calls():
    total = np.zeros(3)

    def backward(dout, cache):
        x, w = cache
        total[...] += np.sum(dout * x, axis=0)
        return dout * w, total

    assert "a second backward pass" in message_of(scale_forward, backward)


def test_an_upstream_gradient_that_is_taken_for_contiguous():
    def backward(dout, cache):
        dout = dout.ravel(order="K").reshape(dout.shape)
        return scale_backward(dout, cache)

    message = message_of(scale_forward, backward)
    assert message.startswith("other gradients where the upstream gradient is a transposed view")


def raw(x):
    """The numbers that lie in memory from the first one on."""
    return np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape).strides)


def test_a_slice_that_is_taken_for_contiguous():
    def backward(dout, cache):
        return 2 * raw(dout)

    assert "a slice" in message_of(lambda x: (2 * x, None), backward, X[0])


def test_arguments_that_are_taken_for_contiguous():
    def forward(x, w):
        return x * w, (x.ravel(order="K").reshape(x.shape), w)

    message = message_of(forward, scale_backward)
    assert message.startswith("other gradients where the arguments are a transposed view")
    message = message_of(lambda x: (x**2, raw(x)), lambda d, cache: 2 * cache * d, X[0])
    assert message.startswith("other gradients where the arguments are a slice")


def test_other_layers_have_no_buffers():
    made = make_target(((lambda x: (2 * x, None)), (lambda _, g: (2 * g,))), shapes="n")
    probe = Probe(made, variants(made)[0])
    assert check_buffers(probe, probe.first).vacuous


@pytest.mark.parametrize("x", [X, W, np.float64(3.0), np.zeros((2, 0)), np.arange(4)])
def test_every_other_entry_of_a_larger_array(x):
    x = np.asarray(x)
    view = _every_other(x)
    np.testing.assert_array_equal(view, x)
    assert view.dtype == x.dtype
    assert x.size <= 1 or not view.flags.c_contiguous


@pytest.mark.parametrize(
    ("other", "same", "exactly"),
    [
        (X, True, True),
        (X * (1 + 1e-12), True, False),
        (X * (1 + 1e-6), False, False),
        (X.T, False, False),
    ],
    ids=["itself", "rounded otherwise", "another", "another shape"],
)
def test_gradients_are_the_same_but_for_the_order_of_sums(other, same, exactly):
    assert _same([X], [other]) == same
    assert _same([X], [other], exactly=True) == exactly
    assert not _same([X], [X, X])


def test_a_nan_is_the_same_as_a_nan():
    assert _same([np.asarray([np.nan])], [np.asarray([np.nan])], exactly=True)


def test_a_layer_that_keeps_its_cache_elsewhere_is_seen():
    kept = {}

    def forward(x, w):
        kept["inputs"] = x, w
        return x * w, None

    def backward(dout, cache):
        return scale_backward(dout, kept["inputs"])

    assert message_of(forward, backward).startswith("another forward pass in between changes")
