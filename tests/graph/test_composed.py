"""Ops that are made of ops are drawn by their parts, with the gradients of the whole."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.activations import relu
from purebp.combine import chain, fanout, parallel, skip
from purebp.gates import add, exp, mul, square
from purebp.layers import affine
from purebp.losses import softmax_cross_entropy
from purebp.models import char_lstm, gpt, mamba, n_layer_net, resnet, vae, with_loss
from purebp.op import Op

KEY = jax.random.key(0)
TOKENS = jnp.arange(12).reshape(2, 6)
MODELS = {
    "gpt": (gpt(16, 8, width=8, heads=2, depth=1), TOKENS),
    "mamba": (mamba(16, 8, width=4, depth=1), TOKENS),
    "char_lstm": (char_lstm(16, 4, 8), TOKENS),
    "n_layer_net": (n_layer_net(4, (8,), 3, norm="batch"), jnp.ones((2, 4))),
    "resnet": (
        resnet((1, 8, 8), 3, filters=(4,), blocks=1, large=False),
        jax.random.normal(KEY, (2, 1, 8, 8)),
    ),
}
INSIDE = {
    "gpt": {"embedding", "layer_norm", "dot_product_attention", "affine", "gelu"},
    "mamba": {"causal_conv1d", "selective_scan", "swiglu"},
    "char_lstm": {"embedding", "lstm", "affine"},
    "n_layer_net": {"affine", "batch_norm_eval", "relu"},
    "resnet": {"conv2d", "batch_norm_eval", "relu"},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_its_layers_with_the_gradients_of_its_backward_pass(name):
    model, x = MODELS[name]
    params, state = model.init(KEY), getattr(model, "init_state", lambda: None)()

    def loss(params):
        y = model(params, x, state)[0]
        return jnp.sum(y * jnp.cos(jnp.arange(y.size).reshape(y.shape)))

    g = purebp.trace(loss, params).backward()
    assert {node.operation for node in g.nodes} >= INSIDE[name]
    assert {box.name for node in g.nodes for box in node.boxes} >= {model.name}
    expected = jax.tree.leaves(jax.grad(loss)(params))
    for node, bar in zip(g.inputs, expected, strict=True):
        np.testing.assert_allclose(node.cotangent, bar, rtol=1e-4, atol=1e-5)


def test_a_loss_and_an_autoencoder_are_their_parts():
    model = n_layer_net(4, (8,), 3)
    op = with_loss(model, softmax_cross_entropy)
    g = purebp.trace(
        lambda p: op(p, jnp.ones((2, 4)), jnp.array([0, 2]))[0], model.init(KEY)
    ).backward()
    assert "softmax_cross_entropy" in [node.operation for node in g.nodes]
    auto = vae(4, hidden=4, latent=2)
    g = purebp.trace(lambda p: auto(p, jnp.full((2, 4), 0.5), key=KEY)[0], auto.init(KEY))
    assert {"gaussian_sample", "gaussian_kl"} <= {node.operation for node in g.nodes}


@pytest.mark.parametrize(
    ("op", "args", "parts"),
    [
        (chain(add, mul), ((2.0, 3.0), ((), (4.0,))), ["add", "mul"]),
        (parallel(exp, square), (1.0, 2.0), ["exp", "square"]),
        (fanout(exp, square), (2.0,), ["exp", "square"]),
        (skip(square), (3.0,), ["square", "add"]),
    ],
    ids=lambda value: value.name if isinstance(value, Op) else "",
)
def test_a_combination_is_its_ops(op, args, parts):
    def total(*args):
        return sum(jax.tree.leaves(op(*args)))

    g = purebp.trace(total, *args).backward()
    names = [node.operation for node in g.nodes if any(box.name == op.name for box in node.boxes)]
    assert names == parts
    bars = jax.tree.leaves(jax.grad(total, argnums=tuple(range(len(args))))(*args))
    for node, bar in zip(g.inputs, bars, strict=True):
        np.testing.assert_allclose(node.cotangent, bar, rtol=1e-6)


def test_a_box_within_a_box_of_its_name_is_one():
    g = purebp.trace(chain(skip(square, name="net"), name="net"), 3.0)
    assert [box.name for box in g.nodes[0].boxes] == ["net"]


def test_a_trace_changes_no_program_and_knows_of_none():
    net = chain(affine, relu)
    args = jnp.ones((1, 2)), ((jnp.ones((2, 3)), jnp.ones(3)), ())
    f = jax.jit(lambda *args: jnp.sum(net(*args)))
    first = [node.name for node in purebp.trace(f, *args).nodes]
    assert str(jax.make_jaxpr(f)(*args)).count("custom_vjp_call[") == 1
    f(*args)
    assert [node.name for node in purebp.trace(f, *args).nodes] == first
    assert {"affine", "relu"} <= {*first}


def test_a_closed_box_shows_its_one_array_and_the_gradient():
    x, w = jnp.ones((2, 3)), jnp.full((3, 3), 0.5)
    net = chain(affine, relu, name="net")
    g = purebp.trace(lambda x: jnp.sum(jnp.sin(net(x, ((w, jnp.ones(3)), ())))), x).backward()
    closed, opened = g.to_svg(depth=0), g.to_svg(depth=1)
    assert "2 gates" in closed
    assert "2 gates" not in opened
    value, gradient = float(jnp.linalg.norm(g["relu"].value)), g["relu"].cotangent
    for length in (value, float(jnp.linalg.norm(gradient))):
        assert f"|·| {length:.2g}" in closed


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def scaled(factor, x):
    return factor * x


scaled.defvjp(lambda factor, x: (factor * x, None), lambda factor, _, y_bar: (factor * y_bar,))


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda x: jnp.sum(jax.vmap(relu)(x)), 1.0),
        (lambda x: jnp.sum(jax.vmap(chain(square, square))(x)), 4.0),
        (lambda x: jnp.sum(scaled(3.0, x)), 3.0),
    ],
    ids=["an op, batched", "a chain, batched", "a static argument"],
)
def test_calls_that_cannot_be_opened_are_run_whole(function, slope):
    g = purebp.trace(function, jnp.ones(3)).backward()
    np.testing.assert_allclose(g["x"].cotangent, np.full(3, slope))


def test_aux_has_no_gradient_by_parts_either():
    model = n_layer_net(4, (8,), 3)
    op = with_loss(model, softmax_cross_entropy)

    def loss(params):
        value, aux = op(params, jnp.ones((2, 4)), jnp.array([0, 2]))
        return value + jnp.sum(aux.scores**2)

    params = model.init(KEY)
    g = purebp.trace(loss, params).backward()
    for node, bar in zip(g.inputs, jax.tree.leaves(jax.grad(loss)(params)), strict=True):
        np.testing.assert_allclose(node.cotangent, bar, rtol=1e-5, atol=1e-7)


def test_the_line_of_an_op_is_that_of_its_call():
    net = chain(square, exp)
    g = purebp.trace(lambda x: net(jnp.sin(x)), 1.0)
    assert {node.line.partition(":")[0] for node in g.nodes} == {"test_composed.py"}
    assert len({node.line for node in g.nodes if node.boxes}) == 1


def test_a_box_with_several_results_shows_none_of_them():
    x = jnp.full((2, 3), 2.0)
    both = fanout(exp, square, name="both")
    g = purebp.trace(lambda x: jnp.sum(mul(*both(x))), x).backward()
    assert "2 gates" in g.to_svg(depth=0)
    assert f"|·| {float(jnp.linalg.norm(jnp.exp(x))):.2g}" not in g.to_svg(depth=0)
