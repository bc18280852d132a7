"""Training steps of language models, against the same models in plain JAX."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, first_params, integers
from purebp.benchmark.layers import flax_layer_norm
from purebp.benchmark.mixture import ragged_mixture
from purebp.benchmark.models import cross_entropy, plain_affine, plain_block
from purebp.benchmark.recurrent import scan_lstm, torch_lstm
from purebp.benchmark.scans import scan_selective
from purebp.benchmark.sequence import rotate_half, torch_rotate_half
from purebp.losses import softmax_cross_entropy
from purebp.models import (
    char_lstm,
    gpt,
    llama,
    mamba,
    moe,
    with_loss,
)


def plain_char_lstm(params: Any, tokens: Array, labels: Array) -> Any:
    layer = params["lstm1"]
    zeros = jnp.zeros((tokens.shape[0], layer["w_h"].shape[0]))
    x = params["embedding"]["table"][tokens]
    y, h, c = scan_lstm(x, zeros, zeros, layer["w_x"], layer["w_h"], layer["b"])
    scores = plain_affine(params["affine1"], y)
    return cross_entropy(scores, labels), ({"lstm1": {"h": h, "c": c}}, scores)


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


def plain_turned_attention(x: Array, layer: Any) -> Array:
    """x plus the attention of its norm, with rotary positions; jax.nn shares key heads itself."""
    h = plain_rms_norm(x, layer["gamma"])
    q, k, v = (jnp.einsum("btd,dhe->bthe", h, layer[f"w_{each}"]) for each in "qkv")
    o = jax.nn.dot_product_attention(rotate_half(q), rotate_half(k), v, is_causal=True)
    return x + jnp.einsum("bthe,hem->btm", o, layer["w_o"])


def plain_llama(params: Any, tokens: Array, labels: Array) -> Any:
    """Llama with the attention of jax.nn."""
    x = params["tokens"]["table"][tokens]
    for index in range(1, sum(name.startswith("mlp") for name in params) + 1):
        x = plain_turned_attention(x, params[f"attention{index}"])
        layer = params[f"mlp{index}"]
        h = plain_rms_norm(x, layer["gamma"])
        x = x + (jax.nn.silu(h @ layer["w_gate"]) * (h @ layer["w_up"])) @ layer["w_down"]
    scores = plain_rms_norm(x, params["norm"]["gamma"]) @ params["head"]["table"].T
    return cross_entropy(scores, labels), ({}, scores)


def plain_moe(params: Any, tokens: Array, labels: Array) -> Any:
    """Mixtral with the attention of jax.nn, and tokens sorted for `lax.ragged_dot`."""
    x = params["tokens"]["table"][tokens]
    for index in range(1, sum(name.startswith("experts") for name in params) + 1):
        x = plain_turned_attention(x, params[f"attention{index}"])
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
        y, _ = scan_selective(u, delta, -jnp.exp(layer["log_a"]), b, c, layer["direct"])
        x = x + (y * jax.nn.silu(z)) @ layer["w_out"]
    scores = plain_rms_norm(x, params["norm"]["gamma"]) @ table.T
    return cross_entropy(scores, labels), ({}, scores)


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


CHAR_LSTM = char_lstm(256, 64, 128)
GPT = gpt(256, 128, width=128, heads=4, depth=4)
LLAMA = llama(256, 128, width=128, heads=4, shared=2, depth=4, hidden=352)
MOE = moe(256, 128, width=128, heads=4, shared=2, depth=4, hidden=176)
MAMBA = mamba(256, 128, width=128, depth=4)

CASES = (
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
)
