"""Mamba against the same network in plain JAX, with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.compat import enable_x64, jit_once
from purebp.errors import OptionError
from purebp.losses import softmax_cross_entropy
from purebp.models import mamba, with_loss
from tests.models.plain import assert_equals_plain

MODEL = mamba(11, 9, width=6, depth=2, states=3, kernel=3, rank=2)
LOSS = with_loss(MODEL, softmax_cross_entropy)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(11, size=(2, 8)), jnp.int32)
X, TARGETS = TOKENS[:, :-1], TOKENS[:, 1:]


def norm(x, gamma):
    return gamma * x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)


def plain_mixer(x, p):
    """Step by step: the states are a Python loop over time, the convolution one over its taps."""
    u, z = jnp.split(x @ p["w_in"], 2, axis=-1)
    t, taps, states = x.shape[1], p["w_conv"].shape[1], p["log_a"].shape[1]
    padded = jnp.pad(u, ((0, 0), (taps - 1, 0), (0, 0)))
    u = sum(padded[:, i : i + t] * p["w_conv"][:, i] for i in range(taps)) + p["b_conv"]
    u = jax.nn.silu(u)
    parts = u @ p["w_x"]
    low, b, c = parts[..., : -2 * states], parts[..., -2 * states : -states], parts[..., -states:]
    delta = jax.nn.softplus(low @ p["w_delta"] + p["b_delta"])
    h, a, y = 0.0, -jnp.exp(p["log_a"]), []
    for i in range(t):
        step = delta[:, i, :, None]
        h = jnp.exp(step * a) * h + step * b[:, i, None] * u[:, i, :, None]
        y.append(jnp.einsum("nds,ns->nd", h, c[:, i]) + p["direct"] * u[:, i])
    return (jnp.stack(y, axis=1) * jax.nn.silu(z)) @ p["w_out"]


def plain_loss(params):
    x = params["tokens"]["table"][X]
    for i in (1, 2):
        layer = params[f"mamba{i}"]
        x = x + plain_mixer(norm(x, layer["gamma"]), layer)
    logits = norm(x, params["norm"]["gamma"]) @ params["tokens"]["table"].T
    log_p = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_p, TARGETS[..., None], axis=-1))


def example_params(dtype):
    assert MODEL.example is not None
    params = MODEL.example(np.random.default_rng(1))[0]
    return jax.tree.map(lambda w: np.asarray(5 * w, dtype), params)


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 3e-5), ("float64", 1e-12)])
def test_loss_and_gradients_equal_those_of_the_plain_net(dtype, allowed):
    with enable_x64(dtype == "float64"):
        assert_equals_plain(LOSS, plain_loss, example_params(dtype), X, TARGETS, allowed)


def test_the_first_steps_and_rates():
    params = MODEL.init(jax.random.key(0))["mamba1"]
    np.testing.assert_allclose(-jnp.exp(params["log_a"][0]), [-1, -2, -3], rtol=1e-6)
    steps = jax.nn.softplus(params["b_delta"])
    np.testing.assert_allclose(steps[np.array([0, -1])], [1e-3, 0.1], rtol=1e-3)


def test_logits_do_not_look_ahead():
    params = example_params("float32")
    forward = jit_once(lambda tokens: MODEL.fwd(params, tokens)[0][0])
    logits, changed = forward(X), forward(X.at[:, 4:].set(0))
    np.testing.assert_array_equal(logits[:, :4], changed[:, :4])
    assert np.any(logits[:, 4:] != changed[:, 4:])


def test_wrong_sizes_are_refused():
    with pytest.raises(OptionError, match="states is 0, expected positive integers"):
        mamba(11, 9, states=0)
