"""Every network against the same one in plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.combine import chain
from purebp.gates import identity
from purebp.layers import affine
from purebp.models import OPS, Layer, Model, Weight, conv_net, lenet5, n_layer_net, two_layer_net
from purebp.op import Op
from tests.models.plain import NETS, arguments, worst_difference

EVERY_MODE = pytest.mark.parametrize(
    ("name", "train"),
    [(name, train) for name in NETS for train in NETS[name][0].options.get("train", (False,))],
)


def hand_written(model, params, x, state, key, train):
    @jax.jit
    def both(params, x):
        (y, _), res = model.fwd(params, x, state, key, train=train)
        y_bar = jnp.asarray(np.random.default_rng(1).normal(size=y.shape), y.dtype)
        return y, y_bar, model.bwd(res, y_bar)

    return both(params, x)


def gradient_error(name, model, train):
    """How far the hand-written gradients of params and x are from autodiff's."""
    _, plain = NETS[name]
    params, x, _, state, key = arguments(model)
    y, y_bar, bars = hand_written(model, params, x, state, key, train)

    def scalar(params, x):
        return jnp.vdot(y_bar, plain(params, x, state, key, train))

    assert bars[2:] == (None, None)
    wanted, gradients = jax.jit(jax.value_and_grad(scalar, (0, 1)))(params, x)
    assert worst_difference(jnp.vdot(y_bar, y), wanted) < 1e-5
    return worst_difference(bars[:2], gradients)


@EVERY_MODE
def test_gradients_equal_those_of_the_plain_net(name, train):
    assert gradient_error(name, NETS[name][0], train) < 1e-5


@pytest.mark.parametrize("name", ["two_layer", "batch_norm", "dropout", "conv"])
def test_calling_a_model_gives_the_same_gradients(name):
    model, _ = NETS[name]
    params, x, _, state, key = arguments(model)
    _, y_bar, bars = hand_written(model, params, x, state, key, True)

    def scalar(params, x):
        return jnp.vdot(y_bar, model(params, x, state, key, train=True)[0])

    assert worst_difference(jax.jit(jax.grad(scalar, (0, 1)))(params, x), bars[:2]) < 1e-5


def mistaken(op):
    """The op with the gradient of its weights a tenth too small."""

    def backward(res, y_bar):
        x_bar, w_bar, *rest = op.bwd(res, y_bar)
        return x_bar, 0.9 * w_bar, *rest

    return _again(op, backward)


def _again(op, backward):
    return Op(op.fwd, backward, op.definition, name=op.name).with_options(**op.settings)


@pytest.mark.parametrize("name", ["two_layer", "conv"])
def test_a_planted_bug_in_one_layer_is_found(name):
    model, _ = NETS[name]
    first = model.layers[0]
    layers = [first._replace(op=_again(first.op, first.op.bwd)), *model.layers[1:]]
    assert gradient_error(name, Model(model.name, layers, model.input_shape), False) < 1e-5
    layers[0] = first._replace(op=mistaken(first.op))
    assert gradient_error(name, Model(model.name, layers, model.input_shape), False) > 0.05


def test_the_backward_pass_is_that_of_the_layers_in_reverse():
    order = []

    def layer(name):
        def backward(res, y_bar):
            order.append(name)
            return (2 * y_bar,)

        return Layer(name, Op(identity.fwd, backward, definition=identity.definition, name=name))

    model = Model("three", [layer("a"), layer("b"), layer("c")], (2,))
    _, res = model.fwd({}, jnp.ones((4, 2)))
    params_bar, x_bar, *_ = model.bwd(res, jnp.ones((4, 2)))
    assert order == ["c", "b", "a"]
    assert params_bar == {}
    np.testing.assert_array_equal(x_bar, np.full((4, 2), 8.0))


def test_a_model_is_the_chain_of_its_layers():
    model = two_layer_net(5, 7, 3)
    params, x, *_ = arguments(model)
    ops = chain(*(layer.op for layer in model.layers))
    extras = [tuple(params[layer.name][name] for name in layer.params) for layer in model.layers]
    (y, _), _ = model.fwd(params, x)
    np.testing.assert_array_equal(y, ops.fwd(x, extras)[0])


def test_a_single_layer_model():
    weights = {"w": Weight((3, 2), 1.0), "b": Weight((2,))}
    model = Model("one", [Layer("only", affine, weights)], (3,))
    params = model.init(jax.random.key(0))
    (y, state), _ = model.fwd(params, jnp.ones((4, 3)))
    wanted = np.tile(np.sum(params["only"]["w"], axis=0), (4, 1))
    np.testing.assert_allclose(y, wanted, rtol=1e-6)
    assert state == {}


def test_twice_differentiable():
    model, plain = NETS["layer_norm"]
    params, x, *_ = arguments(model)

    def slope(f):
        return lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(f(x) ** 2))(x) ** 2)

    ours = jax.jit(jax.grad(slope(lambda x: model(params, x)[0])))(x)
    wanted = jax.jit(jax.grad(slope(lambda x: plain(params, x, {}, None, False))))(x)
    assert worst_difference(ours, wanted) < 1e-4


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (1, 32, 32), (3, 10, 13)])
def test_lenet_has_the_sizes_of_1998_where_the_image_is_large_enough(shape):
    model = lenet5(shape, 10)
    params = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    (y, _), _ = jax.eval_shape(model.fwd, params, x)
    assert y.shape == (2, 10)
    if min(shape[1:]) >= 28:
        assert params["affine1"]["w"].shape == (400, 120)


def test_conv_net_of_three_blocks():
    model = conv_net((3, 9, 8), 4, filters=(2, 3, 5), size=5)
    (y, _), _ = jax.jit(model.fwd)(model.init(jax.random.key(0)), jnp.ones((2, 3, 9, 8)))
    assert y.shape == (2, 4)


def test_ops_are_one_instance_of_each_network():
    assert [op.name for op in OPS] == [
        "linear_classifier",
        "two_layer_net",
        "n_layer_net",
        "conv_net",
        "lenet5",
        "resnet",
        "two_layer_net_with_svm",
        "char_lstm",
        "gpt",
        "llama",
        "mamba",
        "moe",
        "vit",
        "vae",
    ]


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_an_instance_brings_arguments_that_it_takes(op):
    arguments = op.example(np.random.default_rng(0))
    again = op.example(np.random.default_rng(0))
    define, call = jax.jit(op.define), jax.jit(op)
    assert worst_difference(define(*arguments)[0], call(*again)[0]) < 1e-5
    for section in ("Maths:", "Shapes:", "Residuals:", "Kinks:", "Raises:", "Source:"):
        assert section in op.__doc__


@pytest.mark.parametrize("activation", ["leaky_relu", "elu", "swish", "gelu", "sigmoid"])
def test_each_activation_runs(activation):
    model = n_layer_net(4, (5,), 3, activation=activation)
    (y, _), res = model.fwd(model.init(jax.random.key(0)), jnp.ones((2, 4)))
    params_bar, *_ = model.bwd(res, jnp.ones_like(y))
    assert float(jnp.sum(jnp.abs(params_bar["affine1"]["w"]))) > 0
    assert [layer.name for layer in model.layers] == ["affine1", f"{activation}1", "affine2"]
