"""The model of experts against the same network in plain JAX, with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.compat import enable_x64
from purebp.errors import OptionError
from purebp.losses import softmax_cross_entropy
from purebp.models import moe, with_loss
from tests.models.plain import assert_equals_plain
from tests.models.test_transformer import root_mean_square_norm, turned_attention

MODEL = moe(11, 9, width=8, heads=4, shared=2, depth=2, hidden=3, experts=4)
LOSS = with_loss(MODEL, softmax_cross_entropy)
TOKENS = jnp.asarray(np.random.default_rng(0).integers(11, size=(3, 8)), jnp.int32)
X, TARGETS = TOKENS[:, :-1], TOKENS[:, 1:]


def plain_experts(x, layer):
    """All experts for all tokens; those that are not among the best two count 0."""
    logits = x @ layer["router"]
    second = jnp.sort(logits, axis=-1)[..., -2:-1]
    gates = jax.nn.softmax(jnp.where(logits >= second, logits, -jnp.inf))
    y = 0
    for i in range(gates.shape[-1]):
        hidden = jax.nn.silu(x @ layer["w_gate"][i]) * (x @ layer["w_up"][i])
        y = y + gates[..., i : i + 1] * (hidden @ layer["w_down"][i])
    return y


def plain_loss(params):
    x = params["tokens"]["table"][X]
    for i in (1, 2):
        x = x + turned_attention(x, params[f"attention{i}"])
        layer = params[f"experts{i}"]
        x = x + plain_experts(root_mean_square_norm(x, layer["gamma"]), layer)
    logits = root_mean_square_norm(x, params["norm"]["gamma"]) @ params["head"]["table"].T
    log_p = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(log_p, TARGETS[..., None], axis=-1))


@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-4), ("float64", 1e-12)])
def test_loss_and_gradients_equal_those_of_the_plain_net(dtype, allowed):
    with enable_x64(dtype == "float64"):
        assert MODEL.example is not None
        params = MODEL.example(np.random.default_rng(1))[0]
        params = jax.tree.map(lambda w: np.asarray(4 * w, dtype), params)
        assert_equals_plain(LOSS, plain_loss, params, X, TARGETS, allowed)


def test_wrong_sizes_are_refused():
    with pytest.raises(OptionError, match="top is 3, expected at most the 2 experts"):
        moe(11, 9, experts=2, top=3)
    with pytest.raises(OptionError, match="heads is 4, expected a multiple of the 3 shared"):
        moe(11, 9, shared=3)
