"""How somebody's functions are called: options in dictionaries, several outputs, losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import ShapeError, TargetError
from purebp.verification.homework import calling
from purebp.verification.homework.images import conv
from purebp.verification.homework.known import calls_named
from purebp.verification.numpy_pair import is_numpy_pair

(CONV, *_), (LSTM_STEP,) = calls_named("conv"), calls_named("lstm_step")
X = np.arange(6.0).reshape(2, 3)


def conv_forward(image, w, b, conv_param):
    return image * conv_param["stride"] + conv_param["pad"], conv_param


def conv_backward(dout, cache):
    return dout, cache


def test_options_travel_in_the_dictionary_of_the_layer():
    pair = calling.course_pair(conv_forward, conv_backward, CONV)
    assert is_numpy_pair(pair)
    out, cache = pair[0](*CONV.example(), stride=2, pad=1)
    np.testing.assert_array_equal(out, 2 * CONV.example()[0] + 1)
    assert cache == {"stride": 2, "pad": 1}
    assert calling.options_taken(conv_forward, CONV) == {"stride": (1, 2), "pad": (0, 1)}


def test_arrays_that_do_not_fit_are_refused_before_the_layer_sees_them():
    pair = calling.course_pair(conv_forward, conv_backward, CONV)
    x, w, _ = CONV.example()
    with pytest.raises(ShapeError, match="b has shape"):
        pair[0](x, w, np.zeros(9), stride=1, pad=0)


def takes_three(x, w, b):
    return x, None


def takes_five(x, w, b, stride, pad):
    return x, None


def takes_eps(x, gamma, beta, eps=1e-5):
    return x, None


def test_a_call_fits_a_function_with_its_options_or_without():
    assert calling.fits(conv_forward, CONV)
    assert calling.fits(takes_three, CONV)
    assert calling.options_taken(takes_three, CONV) == {}
    assert not calling.fits(takes_five, CONV)
    (norm,) = calls_named("layernorm")
    assert calling.fits(takes_eps, norm)
    assert calling.options_taken(takes_eps, norm) == {}


def step_forward(x, prev_h, prev_c, Wx, Wh, b):
    return 2 * prev_h, 3 * prev_c, x.shape


def step_backward(dnext_h, dnext_c, cache):
    return dnext_h, dnext_c, cache


def test_several_outputs_come_before_the_cache():
    forward, backward = calling.course_pair(step_forward, step_backward, LSTM_STEP)
    (h, c), cache = forward(*LSTM_STEP.example())
    np.testing.assert_array_equal(h, 2 * LSTM_STEP.example()[1])
    assert backward((1, 2), cache) == (1, 2, (2, 3))
    assert c.shape == (2, 2)


def cache_first_bwd(res, g):
    return res, g


def cache_named_backward(cache, dout):
    return cache, dout


@pytest.mark.parametrize(
    ("backward", "first"),
    [(cache_first_bwd, True), (cache_named_backward, True), (conv_backward, False)],
)
def test_where_the_residuals_go(backward, first):
    assert calling.residuals_first(backward) == first
    _, pull = calling.given_pair(takes_three, backward, (X, X, X))
    assert pull("dout", "cache") == (("cache", "dout") if first else ("dout", "cache"))


def scaled_forward(x, param, times):
    param["used"] = True
    return x * param["scale"] * times, None


def test_what_is_no_array_in_an_example_is_handed_on_each_time_anew():
    param = {"scale": 5}
    forward, _ = calling.given_pair(scaled_forward, conv_backward, (X, param, 2))
    np.testing.assert_array_equal(forward(X)[0], 10 * X)
    assert param == {"scale": 5}


def mean_loss(x, y):
    return np.sum(x * y), y


def test_a_loss_is_a_pair_whose_target_stays_as_it_is():
    (call,) = calls_named("mse_loss")
    forward, backward = calling.loss_pair(mean_loss, call)
    (x,) = calling.without_fixed(call, 0)
    loss, cache = forward(x)
    target = calling.with_fixed(call, (x,))[1]
    assert loss == pytest.approx(np.sum(x * target))
    np.testing.assert_array_equal(backward(2.0, cache), 2 * target)


def no_loss(x, y):
    return x + y


def test_a_loss_that_returns_something_else_is_refused():
    (call,) = calls_named("mse_loss")
    forward, _ = calling.loss_pair(no_loss, call)
    with pytest.raises(TargetError, match=r"returned one array, expected \(loss, dx\)"):
        forward(*calling.without_fixed(call, 0))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "takes_three returned None: it is not written yet"),
        ((None, None), "takes_three returned None as output: it is not written yet"),
        (X, r"returned one array, expected \(out, cache\)"),
        ((X, X, X), "returned 3 values and conv_backward takes 2"),
    ],
)
def test_what_is_no_output_and_cache_is_told(found, message):
    with pytest.raises(TargetError, match=message):
        calling.split_outputs(takes_three, conv_backward, found)


def run_conv(*arrays, **options):
    return calling.course_pair(conv_forward, conv_backward, CONV)[0](*arrays, **options)


def test_a_definition_refuses_what_the_layer_refuses_and_knows_nothing_of_nan():
    reference = calling.reference_of(conv, run_conv, CONV, CONV.options)
    x, w, b = CONV.example()
    y = reference(*map(jnp.asarray, (x, w, b)), stride=1, pad=0)
    np.testing.assert_allclose(y, conv(*map(jnp.asarray, (x, w, b)), stride=1, pad=0))
    with pytest.raises(ShapeError):
        jax.eval_shape(lambda *a: reference(*a, stride=1, pad=0), x, w, np.zeros(9))
    x[0, 0, 0, 0] = np.inf
    assert np.isnan(reference(*map(jnp.asarray, (x, w, b)), stride=1, pad=0)).all()
