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
from purebp.benchmark.mixture import ragged_mixture
from purebp.benchmark.recurrent import scan_lstm, torch_lstm
from purebp.benchmark.scans import scan_selective
from purebp.benchmark.sequence import rotate_half, torch_rotate_half
from purebp.losses import softmax_cross_entropy
from purebp.models import (
    char_lstm,
    conv_net,
    gpt,
    llama,
    mamba,
    moe,
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


def plain_char_lstm(params: Any, tokens: Array, labels: Array) -> Any:
    layer = params["lstm1"]
    zeros = jnp.zeros((tokens.shape[0], layer["w_h"].shape[0]))
    x = params["embedding"]["table"][tokens]
    y, h, c = scan_lstm(x, zeros, zeros, layer["w_x"], layer["w_h"], layer["b"])
    scores = plain_affine(params["affine1"], y)
    return cross_entropy(scores, labels), ({"lstm1": {"h": h, "c": c}}, scores)


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


def plain_gpt(params: Any, tokens: Array, labels: Array) -> Any:
    """GPT with flax's norms and the attention of jax.nn."""
    table = params["tokens"]["table"]
    x = table[tokens] + params["positions"]["table"][: tokens.shape[1]]
    for index in range(1, sum(name.startswith("mlp") for name in params) + 1):
        x = plain_block(x, params[f"attention{index}"], params[f"mlp{index}"], is_causal=True)
    scores = flax_layer_norm(x, params["norm"]["gamma"], params["norm"]["beta"]) @ table.T
    return cross_entropy(scores, labels), ({}, scores)


def plain_rms_norm(x: Array, gamma: Array) -> Array:
    return gamma * x * lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


def plain_llama(params: Any, tokens: Array, labels: Array) -> Any:
    """Llama with the attention of jax.nn, which shares key heads itself."""
    x = params["tokens"]["table"][tokens]
    for index in range(1, sum(name.startswith("mlp") for name in params) + 1):
        layer = params[f"attention{index}"]
        h = plain_rms_norm(x, layer["gamma"])
        q, k, v = (jnp.einsum("btd,dhe->bthe", h, layer[f"w_{each}"]) for each in "qkv")
        o = jax.nn.dot_product_attention(rotate_half(q), rotate_half(k), v, is_causal=True)
        x = x + jnp.einsum("bthe,hem->btm", o, layer["w_o"])
        layer = params[f"mlp{index}"]
        h = plain_rms_norm(x, layer["gamma"])
        x = x + (jax.nn.silu(h @ layer["w_gate"]) * (h @ layer["w_up"])) @ layer["w_down"]
    scores = plain_rms_norm(x, params["norm"]["gamma"]) @ params["head"]["table"].T
    return cross_entropy(scores, labels), ({}, scores)


def plain_moe(params: Any, tokens: Array, labels: Array) -> Any:
    """Mixtral with the attention of jax.nn, and tokens sorted for `lax.ragged_dot`."""
    x = params["tokens"]["table"][tokens]
    for index in range(1, sum(name.startswith("experts") for name in params) + 1):
        layer = params[f"attention{index}"]
        h = plain_rms_norm(x, layer["gamma"])
        q, k, v = (jnp.einsum("btd,dhe->bthe", h, layer[f"w_{each}"]) for each in "qkv")
        o = jax.nn.dot_product_attention(rotate_half(q), rotate_half(k), v, is_causal=True)
        x = x + jnp.einsum("bthe,hem->btm", o, layer["w_o"])
        layer = params[f"experts{index}"]
        rows = plain_rms_norm(x, layer["gamma"]).reshape(-1, x.shape[-1])
        weights = (layer[each] for each in ("router", "w_gate", "w_up", "w_down"))
        x = x + ragged_mixture(rows, *weights).reshape(x.shape)
    scores = plain_rms_norm(x, params["norm"]["gamma"]) @ params["head"]["table"].T
    return cross_entropy(scores, labels), ({}, scores)


def plain_mamba(params: Any, tokens: Array, labels: Array) -> Any:
    """Mamba with `lax.scan` over time and the grouped convolution of lax."""
    table = params["tokens"]["table"]
    x = table[tokens]
    for index in range(1, sum(name.startswith("mamba") for name in params) + 1):
        layer = params[f"mamba{index}"]
        u, z = jnp.split(plain_rms_norm(x, layer["gamma"]) @ layer["w_in"], 2, axis=-1)
        kernel, (features, taps) = layer["w_conv"].T[:, None], layer["w_conv"].shape
        numbers = ("NWC", "WIO", "NWC")
        u = lax.conv_general_dilated(
            u, kernel, (1,), [(taps - 1, 0)], None, None, numbers, features
        )
        u = jax.nn.silu(u + layer["b_conv"])
        rank, states = layer["w_delta"].shape[0], layer["log_a"].shape[1]
        low, b, c = jnp.split(u @ layer["w_x"], (rank, rank + states), axis=-1)
        delta = jax.nn.softplus(low @ layer["w_delta"] + layer["b_delta"])
        y = scan_selective(u, delta, -jnp.exp(layer["log_a"]), b, c, layer["direct"])
        x = x + (y * jax.nn.silu(z)) @ layer["w_out"]
    scores = plain_rms_norm(x, params["norm"]["gamma"]) @ table.T
    return cross_entropy(scores, labels), ({}, scores)


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


def torch_gpt(torch: Any, params: Any, tokens: Any, labels: Any) -> Any:
    functional, table = torch.nn.functional, params["tokens"]["table"]
    width = table.shape[1]
    x = table[tokens.long()] + params["positions"]["table"][: tokens.shape[1]]
    for index in range(1, sum(name.startswith("mlp") for name in params) + 1):
        layer = params[f"attention{index}"]
        h = functional.layer_norm(x, (width,), layer["gamma"], layer["beta"])
        q, k, v = (
            (h @ layer[f"w_{each}"].flatten(1) + layer[f"b_{each}"].flatten())
            .unflatten(-1, layer[f"b_{each}"].shape)
            .transpose(1, 2)
            for each in "qkv"
        )
        o = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + o.transpose(1, 2).flatten(2) @ layer["w_o"].flatten(0, 1) + layer["b_o"]
        layer = params[f"mlp{index}"]
        h = functional.layer_norm(x, (width,), layer["gamma"], layer["beta"])
        h = functional.gelu(h @ layer["w_up"] + layer["b_up"], approximate="tanh")
        x = x + h @ layer["w_down"] + layer["b_down"]
    last = params["norm"]
    scores = functional.layer_norm(x, (width,), last["gamma"], last["beta"]) @ table.T
    return functional.cross_entropy(scores.flatten(0, 1), labels.long().flatten())


def torch_char_lstm(torch: Any, params: Any, tokens: Any, labels: Any) -> Any:
    layer, last, size = params["lstm1"], params["affine1"], params["lstm1"]["w_h"].shape[0]
    x = params["embedding"]["table"][tokens.long()]
    zeros = torch.zeros(len(tokens), size)
    y, _, _ = torch_lstm(torch, x, zeros, zeros, layer["w_x"], layer["w_h"], layer["b"])
    scores = y @ last["w"] + last["b"]
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), labels.long().flatten())


def torch_root_norm(torch: Any, x: Any, gamma: Any) -> Any:
    return torch.nn.functional.rms_norm(x, x.shape[-1:], gamma, 1e-6)


def torch_llama(torch: Any, params: Any, tokens: Any, labels: Any) -> Any:
    functional = torch.nn.functional
    x = params["tokens"]["table"][tokens.long()]
    for index in range(1, sum(name.startswith("mlp") for name in params) + 1):
        layer = params[f"attention{index}"]
        h = torch_root_norm(torch, x, layer["gamma"])
        q, k, v = (
            (h @ layer[f"w_{each}"].flatten(1)).unflatten(-1, layer[f"w_{each}"].shape[1:])
            for each in "qkv"
        )
        q, k, v = (
            each.transpose(1, 2)
            for each in (torch_rotate_half(torch, q), torch_rotate_half(torch, k), v)
        )
        o = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + o.transpose(1, 2).flatten(2) @ layer["w_o"].flatten(0, 1)
        layer = params[f"mlp{index}"]
        h = torch_root_norm(torch, x, layer["gamma"])
        x = x + (functional.silu(h @ layer["w_gate"]) * (h @ layer["w_up"])) @ layer["w_down"]
    scores = torch_root_norm(torch, x, params["norm"]["gamma"]) @ params["head"]["table"].T
    return functional.cross_entropy(scores.flatten(0, 1), labels.long().flatten())


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


CHAR_LSTM = char_lstm(256, 64, 128)
GPT = gpt(256, 128, width=128, heads=4, depth=4)
LLAMA = llama(256, 128, width=128, heads=4, shared=2, depth=4, hidden=352)
MOE = moe(256, 128, width=128, heads=4, shared=2, depth=4, hidden=176)
MAMBA = mamba(256, 128, width=128, depth=4)

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
    Case(
        with_loss(CHAR_LSTM, softmax_cross_entropy),
        plain_char_lstm,
        "lax.scan of the cell and optax",
        (first_params(CHAR_LSTM), *[integers(2, 8, below=256)] * 2),
        (first_params(CHAR_LSTM), *[integers(16, 64, below=256)] * 2),
        torch=torch_char_lstm,
    ),
    Case(
        with_loss(GPT, softmax_cross_entropy),
        plain_gpt,
        "plain JAX, jax.nn, flax and optax",
        (first_params(GPT), *[integers(1, 8, below=256)] * 2),
        (first_params(GPT), *[integers(16, 128, below=256)] * 2),
        torch=torch_gpt,
    ),
    Case(
        with_loss(LLAMA, softmax_cross_entropy),
        plain_llama,
        "plain JAX, jax.nn and optax",
        (first_params(LLAMA), *[integers(1, 8, below=256)] * 2),
        (first_params(LLAMA), *[integers(16, 128, below=256)] * 2),
        torch=torch_llama,
    ),
    Case(
        with_loss(MOE, softmax_cross_entropy),
        plain_moe,
        "plain JAX, jax.nn, lax.ragged_dot and optax",
        (first_params(MOE), *[integers(1, 8, below=256)] * 2),
        (first_params(MOE), *[integers(8, 128, below=256)] * 2),
        more_memory="rows that fill up each expert's blocks",
    ),
    Case(
        with_loss(MAMBA, softmax_cross_entropy),
        plain_mamba,
        "plain JAX, lax.scan and optax",
        (first_params(MAMBA), *[integers(1, 8, below=256)] * 2),
        (first_params(MAMBA), *[integers(4, 128, below=256)] * 2),
    ),
    step_case(
        conv_net((3, 32, 32), 10, filters=(32, 64)), plain_conv_net, torch_conv_net, batch=64
    ),
)
