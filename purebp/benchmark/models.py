"""Training steps of whole networks, against the same networks in plain JAX."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, Inputs, first_params, integers, normal
from purebp.benchmark.layers import flax_layer_norm
from purebp.losses import softmax_cross_entropy
from purebp.models import (
    conv_net,
    n_layer_net,
    two_layer_net,
    with_loss,
)
from purebp.models.model import Model


def cross_entropy(scores: Array, labels: Array) -> Array:
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))


def plain_affine(layer: Any, x: Array) -> Array:
    return x @ layer["w"] + layer["b"]


def plain_batch_norm(layer: Any, x: Array) -> tuple[Array, dict[str, Array]]:
    """The output, and the running statistics after the first step from mean 0 and variance 1."""
    mean, var = jnp.mean(x, axis=0), jnp.var(x, axis=0)
    y = layer["gamma"] * (x - mean) * lax.rsqrt(var + 1e-5) + layer["beta"]
    return y, {"mean": 0.1 * mean, "var": 0.9 + 0.1 * var}


def plain_dense(params: Any, x: Array, labels: Array, *, hidden: int, norm: bool) -> Any:
    state = dict[str, dict[str, Array]]()
    for index in range(1, hidden + 1):
        x = plain_affine(params[f"affine{index}"], x)
        if norm:
            x, state[f"norm{index}"] = plain_batch_norm(params[f"norm{index}"], x)
        x = jax.nn.relu(x)
    scores = plain_affine(params[f"affine{hidden + 1}"], x)
    return cross_entropy(scores, labels), (state, scores)


def plain_conv_net(params: Any, x: Array, labels: Array) -> Any:
    for name in ("conv1", "conv2"):
        x = lax.conv_general_dilated(x, params[name]["w"], (1, 1), "SAME")
        x = jax.nn.relu(x + params[name]["b"][:, None, None])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    scores = plain_affine(params["affine1"], x.reshape(x.shape[0], -1))
    return cross_entropy(scores, labels), ({}, scores)


def plain_block(x: Array, attention: Any, mlp: Any, *, is_causal: bool) -> Array:
    h = flax_layer_norm(x, attention["gamma"], attention["beta"])
    q, k, v = (
        jnp.einsum("btd,dhe->bthe", h, attention[f"w_{each}"]) + attention[f"b_{each}"]
        for each in "qkv"
    )
    o = jax.nn.dot_product_attention(q, k, v, is_causal=is_causal)
    x = x + jnp.einsum("bthe,hem->btm", o, attention["w_o"]) + attention["b_o"]
    h = flax_layer_norm(x, mlp["gamma"], mlp["beta"])
    h = jax.nn.gelu(h @ mlp["w_up"] + mlp["b_up"])
    return x + h @ mlp["w_down"] + mlp["b_down"]


def torch_cross_entropy(torch: Any, scores: Any, labels: Any) -> Any:
    return torch.nn.functional.cross_entropy(scores, labels.long())


def torch_dense(torch: Any, params: Any, x: Any, labels: Any, *, hidden: int, norm: bool) -> Any:
    functional = torch.nn.functional
    for index in range(1, hidden + 1):
        layer = params[f"affine{index}"]
        x = torch.addmm(layer["b"], x, layer["w"])
        if norm:
            each = params[f"norm{index}"]
            x = functional.batch_norm(x, None, None, each["gamma"], each["beta"], training=True)
        x = torch.relu(x)
    last = params[f"affine{hidden + 1}"]
    return torch_cross_entropy(torch, torch.addmm(last["b"], x, last["w"]), labels)


def torch_conv_net(torch: Any, params: Any, x: Any, labels: Any) -> Any:
    for name in ("conv1", "conv2"):
        x = torch.nn.functional.conv2d(x, params[name]["w"], params[name]["b"], padding=1)
        x = torch.nn.functional.max_pool2d(torch.relu(x), 2)
    last = params["affine1"]
    return torch_cross_entropy(torch, torch.addmm(last["b"], x.flatten(1), last["w"]), labels)


def step_case(model: Model, plain: Any, torch: Any, batch: int, train: bool = False) -> Case:
    """A training step of one model, with a batch of 2 and a realistic one."""

    def inputs(n: int) -> Inputs:
        return first_params(model), normal(n, *model.input_shape), integers(n, below=10)

    return Case(
        with_loss(model, softmax_cross_entropy),
        plain,
        "plain JAX and optax",
        inputs(2),
        inputs(batch),
        options={"train": True} if train else {},
        torch=torch,
    )


CASES = (
    step_case(
        two_layer_net(784, 512, 10),
        partial(plain_dense, hidden=1, norm=False),
        partial(torch_dense, hidden=1, norm=False),
        batch=256,
    ),
    step_case(
        n_layer_net(784, (512, 512), 10, norm="batch"),
        partial(plain_dense, hidden=2, norm=True),
        partial(torch_dense, hidden=2, norm=True),
        batch=256,
        train=True,
    ),
    step_case(
        conv_net((3, 32, 32), 10, filters=(32, 64)), plain_conv_net, torch_conv_net, batch=64
    ),
)
