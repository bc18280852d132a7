"""with_loss: data term plus regularisation term."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.losses import half_squared_error, l1, l2, softmax_cross_entropy, svm
from purebp.models import two_layer_net, with_loss
from tests.models.plain import NETS, arguments, cross_entropy, worst_difference


def plain_loss(plain, strength, params, x, labels, state, key, train):
    data = cross_entropy(plain(params, x, state, key, train), labels)
    return data + strength / 2 * sum(jnp.sum(p["w"] ** 2) for p in params.values() if "w" in p)


@pytest.mark.parametrize("name", ["linear", "batch_norm", "dropout", "conv"])
def test_loss_and_gradients_equal_those_of_the_plain_net(name):
    model, plain = NETS[name]
    params, x, labels, state, key = arguments(model)
    op = with_loss(model, softmax_cross_entropy, regularizer=l2.with_options(strength=0.3))

    @jax.jit
    def ours(params, x):
        (loss, aux), res = op.fwd(params, x, labels, state, key, train=True)
        return loss, aux, op.bwd(res, 1.0)

    @jax.jit
    def autodiff(params, x):
        both = jax.value_and_grad(plain_loss, argnums=(2, 3))
        return both(plain, 0.3, params, x, labels, state, key, True)

    loss, aux, (params_bar, x_bar, *rest) = ours(params, x)
    assert worst_difference((loss, (params_bar, x_bar)), autodiff(params, x)) < 1e-5
    assert rest == [None, None, None]
    assert worst_difference(aux.scores, plain(params, x, state, key, True)) < 1e-5
    assert jax.tree.structure(aux.state) == jax.tree.structure(state)


def test_calling_it_under_grad_gives_the_same():
    model, _ = NETS["batch_norm"]
    params, x, labels, state, _ = arguments(model)
    op = with_loss(model, svm, regularizer=l1.with_options(strength=0.1))

    @jax.jit
    def both(params):
        (loss, aux), res = op.fwd(params, x, labels, state, train=True)
        called = jax.value_and_grad(op, has_aux=True)(params, x, labels, state, train=True)
        return ((loss, aux), op.bwd(res, 1.0)[0]), called

    ours, called = both(params)
    assert worst_difference(called, ours) < 1e-6


def gradient_of(op, params, x, labels, state):
    _, res = op.fwd(params, x, labels, state)
    return op.bwd(res, 1.0)[0]


def test_the_regulariser_leaves_biases_and_scales_alone():
    model, _ = NETS["batch_norm"]
    params, x, labels, state, _ = arguments(model)
    gradients = []
    for regularizer in (None, l2.with_options(strength=1.0)):
        op = with_loss(model, softmax_cross_entropy, regularizer=regularizer)
        gradients.append(jax.jit(partial(gradient_of, op))(params, x, labels, state))
    plain, regularised = gradients
    for layer, each in params.items():
        for name, value in each.items():
            added = regularised[layer][name] - plain[layer][name]
            wanted = value if name == "w" else jnp.zeros_like(value)
            np.testing.assert_allclose(added, wanted, atol=1e-5)


def test_targets_that_are_numbers_have_a_cotangent():
    model = two_layer_net(4, 5, 3)
    params, x, *_ = arguments(model)
    targets = jnp.ones((len(x), 3))
    op = with_loss(model, half_squared_error)
    (_, aux), res = op.fwd(params, x, targets)
    _, _, targets_bar, *_ = op.bwd(res, 1.0)
    np.testing.assert_allclose(targets_bar, (targets - aux.scores) / len(x), rtol=1e-5)


def test_the_name_says_what_it_is_made_of():
    assert with_loss(two_layer_net(4, 5, 3), svm).name == "two_layer_net_with_svm"
    assert with_loss(two_layer_net(4, 5, 3), svm, name="mine").name == "mine"
