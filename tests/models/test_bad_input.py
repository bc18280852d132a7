"""Wrong arguments of models: one clear line that names what was expected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import ArgumentError, DtypeError, OptionError, ResidualsError, ShapeError
from purebp.losses import softmax_cross_entropy
from purebp.models import conv_net, lenet5, linear_classifier, n_layer_net, two_layer_net, with_loss

NET = two_layer_net(4, 5, 3)
PARAMS = NET.init(jax.random.key(0))
X = jnp.ones((2, 4))
NORMED = n_layer_net(4, (5,), 3, norm="batch")
DROPPED = n_layer_net(4, (5,), 3, dropout=0.5)
KEY = jax.random.key(0)


def without(name):
    return {key: value for key, value in PARAMS.items() if key != name}


CALLS = {
    "features": (
        lambda: NET.fwd(PARAMS, jnp.ones((2, 5))),
        ShapeError,
        r"two_layer_net: x has shape \(2, 5\), expected \(n, 4\)",
    ),
    "integers": (
        lambda: NET.fwd(PARAMS, np.ones((2, 4), np.int32)),
        DtypeError,
        "two_layer_net: x has dtype int32, expected a floating dtype",
    ),
    "params are a list": (
        lambda: NET.fwd([PARAMS], X),
        ArgumentError,
        r"params is a list, expected a dict as made by two_layer_net.init\(key\)",
    ),
    "a layer is missing": (
        lambda: NET.fwd(without("affine2"), X),
        ArgumentError,
        r"params has no 'affine2', expected affine1, affine2 as made by two_layer_net.init\(key\)",
    ),
    "a layer too many": (
        lambda: NET.fwd(PARAMS | {"affine3": {}}, X),
        ArgumentError,
        "params has an unknown 'affine3', expected affine1, affine2",
    ),
    "a layer's weights are a tuple": (
        lambda: NET.fwd(PARAMS | {"affine1": (1, 2)}, X),
        ArgumentError,
        r"params\['affine1'\] is a tuple, expected a dict",
    ),
    "a bias is missing": (
        lambda: NET.fwd(PARAMS | {"affine1": {"w": jnp.ones((4, 5))}}, X),
        ArgumentError,
        r"params\['affine1'\] has no 'b', expected w, b",
    ),
    "a weight's shape": (
        lambda: NET.fwd(PARAMS | {"affine1": {"w": jnp.ones((4, 6)), "b": jnp.ones(5)}}, X),
        ShapeError,
        r"params\['affine1'\]\['w'\] has shape \(4, 6\), expected \(4, 5\)",
    ),
    "evaluation without a state": (
        lambda: NORMED.fwd(NORMED.init(KEY), X),
        ArgumentError,
        "n_layer_net: state is None, expected the running statistics",
    ),
    "another model's state": (
        lambda: NORMED.fwd(NORMED.init(KEY), X, {}),
        ArgumentError,
        r"state has no 'norm1', expected norm1 as made by n_layer_net.init_state\(\)",
    ),
    "dropout without a key": (
        lambda: DROPPED.fwd(DROPPED.init(KEY), X, train=True),
        ArgumentError,
        r"n_layer_net: key is None, expected a PRNG key: dropout1 draws .* pass key=",
    ),
    "a seed for a key": (
        lambda: NET.init(3),
        ArgumentError,
        r"two_layer_net.init: key is a int, expected a PRNG key; make one with jax.random.key\(0\)",
    ),
    "an unknown option": (
        lambda: NET.fwd(PARAMS, X, training=True),
        OptionError,
        "two_layer_net has no option 'training'; did you mean 'train'",
    ),
    "another model's residuals": (
        lambda: NET.bwd(linear_classifier(4, 3).fwd(linear_params(), X)[1], jnp.ones((2, 3))),
        ResidualsError,
        "two_layer_net: res is from linear_classifier",
    ),
    "no features": (
        lambda: linear_classifier(0, 3),
        OptionError,
        "linear_classifier: features is 0, expected positive integers",
    ),
    "a hidden size": (
        lambda: n_layer_net(4, (5, -1), 3),
        OptionError,
        r"n_layer_net: hidden is \(5, -1\), expected positive integers",
    ),
    "norm": (
        lambda: n_layer_net(4, (5,), 3, norm="group"),
        OptionError,
        "n_layer_net: norm is 'group', expected None, 'batch' or 'layer'",
    ),
    "activation": (
        lambda: n_layer_net(4, (5,), 3, activation="softplus"),
        OptionError,
        "n_layer_net: activation is 'softplus', expected one of relu, leaky_relu",
    ),
    "dropout": (
        lambda: n_layer_net(4, (5,), 3, dropout=1.0),
        OptionError,
        "n_layer_net: dropout is 1.0, expected a rate from 0 to below 1",
    ),
    "init": (
        lambda: two_layer_net(4, 5, 3, init="zeros"),
        OptionError,
        "init is 'zeros', expected 'he', 'xavier' or 'small'",
    ),
    "an even kernel": (
        lambda: conv_net((1, 8, 8), 3, size=4),
        OptionError,
        "conv_net: size is 4, expected an odd size",
    ),
    "a flat image": (
        lambda: conv_net((64,), 3),
        OptionError,
        r"conv_net: shape is \(64,\), expected \(channels, height, width\)",
    ),
    "a small image": (
        lambda: lenet5((1, 3, 8), 3),
        OptionError,
        "lenet5: the image is 3 x 8, expected at least 4 x 4",
    ),
    "pool": (
        lambda: lenet5((1, 8, 8), 3, pool="min"),
        OptionError,
        "lenet5: pool is 'min', expected 'max' or 'avg'",
    ),
    "a loss of a function": (
        lambda: with_loss(jnp.sum, softmax_cross_entropy),
        ArgumentError,
        "with_loss: model is a .*, expected a purebp Model",
    ),
    "a loss for each example": (
        lambda: with_loss(NET, softmax_cross_entropy.with_options(reduction="none")).fwd(
            PARAMS, X, jnp.zeros(2, jnp.int32)
        ),
        OptionError,
        r"the loss has shape \(2,\), expected a scalar; use softmax_cross_entropy.with_options",
    ),
}


def linear_params():
    return linear_classifier(4, 3).init(KEY)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_answered_in_one_line(name):
    call, kind, message = CALLS[name]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
