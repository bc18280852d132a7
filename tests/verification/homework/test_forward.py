"""A forward is held against the definition that its name promises."""

import numpy as np
import pytest

from purebp.verification.homework.calling import course_pair, options_taken
from purebp.verification.homework.forward import fitting_definition, judge_forward, trials
from purebp.verification.homework.known import calls_named
from purebp.verification.homework.losses import sum_of_cross_entropies


def judged(name, forward):
    call = calls_named(name)[0]
    run, _ = course_pair(forward, backward, call)
    return judge_forward(call, trials(run, call.example, options_taken(forward, call)))


def backward(dout, cache):
    return dout


def relu(x):
    return np.maximum(x, 0), x


def relu_of_one(x):
    return np.maximum(x, 1), x


def relu_of_rows(x):
    return np.maximum(x, 0)[0], x


def relu_that_raises(x):
    raise IndexError("no such row")


@pytest.mark.parametrize(
    ("forward", "verdict", "text"),
    [
        (relu, "right", ""),
        (relu_of_one, "wrong", "is 1, expected"),
        (relu_of_rows, "wrong", "the output has shape (4,), expected (3, 4)"),
        (relu_that_raises, "wrong", "it raised IndexError: no such row"),
    ],
)
def test_a_forward_is_right_if_it_computes_what_the_op_does(forward, verdict, text):
    found = judged("relu", forward)
    assert (found.verdict, found.matched) == (verdict, "relu")
    assert text in found.text


def norm(x, gamma, beta, bn_param):
    mean, var = x.mean(0), x.var(0)
    if bn_param["mode"] == "test":
        mean, var = bn_param["running_mean"], bn_param["running_var"]
    return gamma * (x - mean) / np.sqrt(var + bn_param["eps"]) + beta, None


def norm_of_the_batch_only(x, gamma, beta, bn_param):
    return norm(x, gamma, beta, {**bn_param, "mode": "train"})


def norm_that_refuses(x, gamma, beta, bn_param):
    assert bn_param["mode"] == "train"
    return norm(x, gamma, beta, bn_param)


def test_a_mistake_with_one_option_is_named_with_it():
    assert judged("batchnorm", norm).verdict == "right"
    found = judged("batchnorm", norm_of_the_batch_only)
    assert found.verdict == "wrong"
    assert found.text.endswith(", with mode='test'")


def test_options_that_are_refused_are_no_mistake():
    assert judged("batchnorm", norm_that_refuses).verdict == "right"


def drop(x, dropout_param, scale=True):
    p = dropout_param["p"]
    if dropout_param["mode"] == "test":
        return x, None
    mask = np.random.rand(*x.shape) < p  # noqa: NPY002 - as in CS231n
    return x * mask / (p if scale else 1), None


def drop_without_scale(x, dropout_param):
    return drop(x, dropout_param, scale=False)


def drop_share_of_p(x, dropout_param):
    return drop(x, {**dropout_param, "p": 1 - dropout_param["p"]})


def drop_in_test_too(x, dropout_param):
    return drop(x, {**dropout_param, "mode": "train"})


@pytest.mark.parametrize(
    ("forward", "verdict"),
    [
        (drop, "right"),
        (drop_share_of_p, "right"),
        (drop_without_scale, "wrong"),
        (drop_in_test_too, "wrong"),
    ],
)
def test_a_random_forward_is_judged_by_its_entries(forward, verdict):
    assert judged("dropout", forward).verdict == verdict


def test_of_several_definitions_one_has_to_fit_everywhere():
    def sum_of_losses(x, y):
        shifted = x - x.max(1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return -logs[np.arange(len(y)), y].sum(), None

    (call,) = calls_named("softmax_loss")
    tried = trials(sum_of_losses, call.example, {})
    assert judge_forward(call, tried).verdict == "right"
    assert fitting_definition(call, tried) is sum_of_cross_entropies
