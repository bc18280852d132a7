"""AlexNet and ResNet against the same networks in plain JAX, and at their published sizes."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp import OptionError
from purebp.compat import enable_x64, jit_once
from purebp.models import alexnet, layer_outputs, resnet
from tests.models.plain import affine, arguments, normalise, relu, worst_difference

ALEXNET = alexnet((1, 5, 5), 3, small=True, hidden=6)
RESNET = resnet((1, 6, 6), 3, filters=(2, 3), blocks=2, large=False)
LARGE_STEM = resnet((1, 9, 9), 3, filters=(2,), blocks=1)


def conv(x, params, *, stride=1, padding=1, groups=1):
    edges = [(padding, padding)] * 2
    y = lax.conv_general_dilated(
        x, params["w"], (stride, stride), edges, feature_group_count=groups
    )
    return y + params["b"][:, None, None] if "b" in params else y


def pool(x, padding=0):
    edges = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), edges)


def response(x):
    edges = ((0, 0), (2, 2), (0, 0), (0, 0))
    near = lax.reduce_window(x * x, 0.0, lax.add, (1, 5, 1, 1), (1, 1, 1, 1), edges)
    return x / (2 + 1e-4 * near) ** 0.75


def plain_alexnet(params, x, state, key, train):
    x = pool(response(relu(conv(x, params["conv1"]))))
    x = response(relu(conv(x, params["conv2"], groups=2)))
    for index, groups in ((3, 1), (4, 2), (5, 2)):
        x = relu(conv(x, params[f"conv{index}"], groups=groups))
    x = x.reshape(len(x), -1)
    names = [layer.name for layer in ALEXNET.layers]
    for index in (1, 2):
        if train:
            mask_key = jax.random.fold_in(key, names.index(f"dropout{index}"))
            keep = jax.random.bernoulli(mask_key, jnp.float32(0.5), x.shape)
            x = jnp.where(keep, x / 0.5, 0)
        x = relu(affine(x, params[f"affine{index}"]))
    return affine(x, params["affine3"])


def norm(x, name, params, state, train):
    mean, var = state[name]["mean"], state[name]["var"]
    if train:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    scaled = {each: value[:, None, None] for each, value in params[name].items()}
    return normalise(x, mean[:, None, None], var[:, None, None], scaled)


def plain_resnet(params, x, state, key, train):
    def conv_norm(x, place, stride=1, padding=1):
        y = conv(x, params[f"conv{place}"], stride=stride, padding=padding)
        return norm(y, f"norm{place}", params, state, train)

    large = params["conv0"]["w"].shape[2] == 7
    x = relu(conv_norm(x, 0, 2, 3) if large else conv_norm(x, 0))
    x = pool(x, 1) if large else x
    for place in sorted(name[4:-1] for name in params if re.fullmatch("conv.*a", name)):
        stride = 2 if f"conv{place}s" in params else 1
        around = conv_norm(x, f"{place}s", stride, 0) if stride == 2 else x
        inner = relu(conv_norm(x, f"{place}a", stride))
        x = relu(around + conv_norm(inner, f"{place}b"))
    return affine(x.mean((2, 3)), params["affine1"])


@pytest.mark.parametrize(
    ("model", "plain", "train", "x64"),
    [
        (ALEXNET, plain_alexnet, False, False),
        (ALEXNET, plain_alexnet, True, True),
        (RESNET, plain_resnet, False, False),
        (RESNET, plain_resnet, True, True),
        (LARGE_STEM, plain_resnet, True, False),
    ],
    ids=["alexnet", "alexnet train x64", "resnet", "resnet train x64", "large resnet train"],
)
def test_gradients_equal_those_of_the_plain_net(model, plain, train, x64):
    params, x, _, state, key = arguments(model)
    y_bar = np.random.default_rng(1).normal(size=(len(x), 3))

    def derive(params, x, state, y_bar):
        (y, _), res = model.fwd(params, x, state, key, train=train)
        expected, pull = jax.vjp(lambda p, x: plain(p, x, state, key, train), params, x)
        return (y, model.bwd(res, y_bar)[:2]), (expected, pull(y_bar))

    dtype, allowed = (np.float64, 1e-11) if x64 else (np.float32, 2e-5)
    with enable_x64(x64):
        args = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (params, x, state, y_bar))
        came, wanted = jit_once(derive)(*args)
        assert worst_difference(came, wanted) < allowed


def shapes_of(model, batch=2):
    """Every layer's output, without computing one."""
    params = jax.eval_shape(model.init, jax.random.key(0))
    state = jax.eval_shape(model.init_state)
    x = jax.ShapeDtypeStruct((batch, *model.input_shape), jnp.float32)
    outputs = jax.eval_shape(lambda p, x, s: layer_outputs(model, p, x, s), params, x, state)
    return {name: y.shape[1:] for name, y in outputs.items()}, params


def weights(params):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def test_alexnet_has_the_sizes_of_2012():
    shapes, params = shapes_of(alexnet((3, 227, 227), 1000))
    assert shapes["conv1"] == (96, 55, 55)
    assert shapes["pool1"] == (96, 27, 27)
    assert shapes["conv2"] == (256, 27, 27)
    assert shapes["pool2"] == (256, 13, 13)
    assert shapes["pool5"] == (256, 6, 6)
    assert shapes["affine2"] == (4096,)
    assert params["conv2"]["w"].shape == (256, 48, 5, 5)
    assert weights(params) == 60_965_224  # "60 million parameters"


def test_resnet_18_has_the_sizes_of_2015():
    shapes, params = shapes_of(resnet((3, 224, 224), 1000))
    assert shapes["conv0"] == (64, 112, 112)
    assert shapes["pool0"] == (64, 56, 56)
    assert shapes["relu2_2"] == (128, 28, 28)
    assert shapes["relu4_2"] == (512, 7, 7)
    assert shapes["mean"] == (512,)
    assert weights(params) == 11_689_512
    assert sum(name.startswith("conv") for name in params) == 17 + 3  # and the affine layer


@pytest.mark.parametrize("model", [RESNET, LARGE_STEM], ids=["small", "large"])
def test_what_layer_outputs_gives_is_what_the_model_computes(model):
    params, x, _, state, _ = arguments(model)
    outputs = jit_once(lambda p, x, s: layer_outputs(model, p, x, s))(params, x, state)
    (y, _), _ = jit_once(model.fwd)(params, x, state)
    np.testing.assert_allclose(outputs["affine1"], y, rtol=1e-6, atol=1e-6)
    assert list(outputs) != [layer.name for layer in model.layers]  # a shortcut runs first
    assert set(outputs) == {layer.name for layer in model.layers}


def test_a_full_size_gradient_of_alexnet():
    """One image of 3 x 227 x 227 with small affine layers; the convolutions are the original's."""
    model = alexnet((3, 227, 227), 10, hidden=16, dropout=0.0)
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (1, 3, 227, 227))

    def derive(params, x):
        (y, _), res = model.fwd(params, x)
        return y, model.bwd(res, jnp.ones_like(y))[:2]

    y, (params_bar, x_bar) = jit_once(derive)(params, x)
    assert y.shape == (1, 10)
    assert x_bar.shape == x.shape
    assert all(np.isfinite(leaf).all() and leaf.any() for leaf in jax.tree.leaves(params_bar))


def test_an_image_that_is_too_small_is_refused():
    with pytest.raises(OptionError, match="alexnet: the image is 60 x 60, expected at least 67"):
        alexnet((3, 60, 60), 10)
    with pytest.raises(OptionError, match="resnet: blocks is 0, expected positive"):
        resnet((1, 8, 8), 10, blocks=0)
