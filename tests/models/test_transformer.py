"""GPT against the same network in plain JAX, with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.compat import enable_x64, jit_once
from purebp.errors import DtypeError, OptionError, ShapeError
from purebp.losses import softmax_cross_entropy
from purebp.models import gpt, llama, with_loss
from tests.models.plain import assert_equals_plain

MODEL = gpt(11, 9, width=8, heads=2, depth=2)
LOSS = with_loss(MODEL, softmax_cross_entropy)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(11, size=(3, 8)), jnp.int32)
X, TARGETS = TOKENS[:, :-1], TOKENS[:, 1:]


def norm(x, layer):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(var + 1e-5) * layer["gamma"] + layer["beta"]


def plain_attention(x, layer):
    q, k, v = (jnp.einsum("ntd,dhe->nhte", x, layer[f"w_{s}"]) for s in "qkv")
    q, k, v = (a + layer[f"b_{s}"][:, None] for a, s in ((q, "q"), (k, "k"), (v, "v")))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    seen = np.tril(np.ones(scores.shape[-2:], bool))
    p = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
    return jnp.einsum("nhte,hem->ntm", p @ v, layer["w_o"]) + layer["b_o"]


def plain_gpt(params, tokens):
    x = params["tokens"]["table"][tokens] + params["positions"]["table"][: tokens.shape[1]]
    for i in (1, 2):
        layer = params[f"attention{i}"]
        x = x + plain_attention(norm(x, layer), layer)
        layer = params[f"mlp{i}"]
        hidden = jax.nn.gelu(norm(x, layer) @ layer["w_up"] + layer["b_up"])
        x = x + hidden @ layer["w_down"] + layer["b_down"]
    return norm(x, params["norm"]) @ params["tokens"]["table"].T


def plain_loss(params):
    log_p = jax.nn.log_softmax(plain_gpt(params, X))
    return -jnp.mean(jnp.take_along_axis(log_p, TARGETS[..., None], axis=-1))


def example_params(dtype):
    """No bias is 0 and no scale is 1."""
    assert MODEL.example is not None
    params = MODEL.example(np.random.default_rng(1))[0]
    return jax.tree.map(lambda w: np.asarray(10 * w, dtype), params)


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 2e-5), ("float64", 1e-12)])
def test_loss_and_gradients_equal_those_of_the_plain_net(dtype, allowed):
    with enable_x64(dtype == "float64"):
        assert_equals_plain(LOSS, plain_loss, example_params(dtype), X, TARGETS, allowed)


LLAMA = llama(11, 9, width=8, heads=4, shared=2, depth=2, hidden=5)
LLAMA_LOSS = with_loss(LLAMA, softmax_cross_entropy)


def root_mean_square_norm(x, gamma):
    return gamma * x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)


def turned(x):
    """(n, t, h, e), neighbours in the halves of e as complex numbers."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[1])[:, None] * 10000.0 ** (-np.arange(half) / half)
    z = (x[..., :half] + 1j * x[..., half:]) * jnp.exp(1j * angles)[:, None]
    return jnp.concatenate([z.real, z.imag], axis=-1).astype(x.dtype)


def turned_attention(x, layer):
    """Attention with rotary positions; two query heads share a key head."""
    h = root_mean_square_norm(x, layer["gamma"])
    q, k, v = (jnp.einsum("ntd,dhe->nthe", h, layer[f"w_{s}"]) for s in "qkv")
    k, v = (jnp.repeat(a, 2, axis=2) for a in (k, v))
    scores = jnp.einsum("nthe,nshe->nhts", turned(q), turned(k)) / np.sqrt(q.shape[-1])
    seen = np.tril(np.ones(scores.shape[-2:], bool))
    p = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
    return jnp.einsum("nhts,nshe,hem->ntm", p, v, layer["w_o"])


def plain_llama_loss(params):
    x = params["tokens"]["table"][X]
    for i in (1, 2):
        x = x + turned_attention(x, params[f"attention{i}"])
        layer = params[f"mlp{i}"]
        h = root_mean_square_norm(x, layer["gamma"])
        x = x + (jax.nn.silu(h @ layer["w_gate"]) * (h @ layer["w_up"])) @ layer["w_down"]
    logits = root_mean_square_norm(x, params["norm"]["gamma"]) @ params["head"]["table"].T
    log_p = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_p, TARGETS[..., None], axis=-1))


def test_llama_equals_the_plain_net():
    with enable_x64(True):
        assert LLAMA.example is not None
        params = LLAMA.example(np.random.default_rng(1))[0]
        params = jax.tree.map(lambda w: np.asarray(10 * w, "float64"), params)
        assert_equals_plain(LLAMA_LOSS, plain_llama_loss, params, X, TARGETS, 1e-12)


def test_the_shared_table_gets_both_gradients():
    params = example_params("float32")
    bars = jit_once(lambda params: LOSS.bwd(LOSS.fwd(params, X, TARGETS)[1], 1.0)[0])(params)
    unseen = sorted(set(range(11)) - set(np.ravel(X).tolist()))
    assert unseen
    assert np.all(np.any(np.asarray(bars["tokens"]["table"])[unseen] != 0, axis=1))


def test_logits_do_not_look_ahead():
    params = example_params("float32")
    forward = jit_once(lambda tokens: MODEL.fwd(params, tokens)[0][0])
    logits, changed = forward(X), forward(X.at[:, 4:].set(0))
    np.testing.assert_array_equal(logits[:, :4], changed[:, :4])
    assert np.any(logits[:, 4:] != changed[:, 4:])


def test_the_first_loss_is_that_of_a_guess():
    params = MODEL.init(jax.random.key(0))
    loss = jit_once(lambda params: LOSS.define(params, X, TARGETS)[0])(params)
    assert abs(loss - np.log(11)) < 0.1


def test_wrong_input_is_refused():
    params = MODEL.init(jax.random.key(0))
    with pytest.raises(ShapeError, match="expected at most 9 tokens in a row"):
        MODEL(params, jnp.zeros((2, 10), jnp.int32))
    with pytest.raises(DtypeError, match="x has dtype float32, expected an integer dtype"):
        MODEL(params, jnp.zeros((2, 9)))
    with pytest.raises(OptionError, match="width is 6, expected a multiple of the 4 heads"):
        gpt(11, 9, width=6, heads=4)
