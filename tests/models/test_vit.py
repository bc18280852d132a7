"""ViT against the same network in plain JAX, with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.compat import enable_x64, jit_once
from purebp.errors import OptionError, ShapeError
from purebp.losses import softmax_cross_entropy
from purebp.models import vit, with_loss
from tests.models.plain import worst_difference
from tests.models.test_transformer import norm

MODELS = {
    summary: vit((2, 4, 6), 3, patch=2, width=8, heads=2, depth=depth, summary=summary)
    for summary, depth in (("token", 2), ("mean", 1))
}
LABELS = jnp.asarray([2, 0, 1])


def plain_attention(x, layer):
    q, k, v = (jnp.einsum("ntd,dhe->nthe", x, layer[f"w_{s}"]) + layer[f"b_{s}"] for s in "qkv")
    p = jax.nn.softmax(jnp.einsum("nthe,nshe->nhts", q, k) / np.sqrt(q.shape[-1]))
    return jnp.einsum("nhts,nshe,hem->ntm", p, v, layer["w_o"]) + layer["b_o"]


def plain_vit(params, x, summary):
    """The patches' embedding as a convolution."""
    kernel = params["embed"]["w"].T.reshape(8, 2, 2, 2)
    x = jax.lax.conv_general_dilated(x, kernel, (2, 2), "VALID")
    x = x.reshape(len(x), 8, 6).swapaxes(1, 2) + params["embed"]["b"]
    if summary == "token":
        first = jnp.broadcast_to(params["class"]["token"], (len(x), 1, 8))
        x = jnp.concatenate([first, x], axis=1)
    x = x + params["positions"]["table"]
    for i in range(1, sum(name.startswith("mlp") for name in params) + 1):
        layer = params[f"attention{i}"]
        x = x + plain_attention(norm(x, layer), layer)
        layer = params[f"mlp{i}"]
        hidden = jax.nn.gelu(norm(x, layer) @ layer["w_up"] + layer["b_up"])
        x = x + hidden @ layer["w_down"] + layer["b_down"]
    x = norm(x, params["norm"])
    x = x[:, 0] if summary == "token" else x.mean(1)
    return x @ params["affine1"]["w"] + params["affine1"]["b"]


def plain_loss(params, x, summary):
    log_p = jax.nn.log_softmax(plain_vit(params, x, summary))
    return -jnp.mean(jnp.take_along_axis(log_p, LABELS[:, None], axis=-1))


@pytest.mark.parametrize(
    ("summary", "dtype", "allowed"), [("mean", "float32", 2e-5), ("token", "float64", 1e-12)]
)
def test_loss_and_gradients_equal_those_of_the_plain_net(summary, dtype, allowed):
    model = MODELS[summary]
    assert model.example is not None
    params, x, *_ = model.example(np.random.default_rng(1))
    with enable_x64(dtype == "float64"):
        params, x = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), (params, x[:3]))

        @jit_once
        def both(params, x):
            op = with_loss(model, softmax_cross_entropy)
            (loss, _), res = op.fwd(params, x, LABELS)
            plain = jax.value_and_grad(plain_loss, (0, 1))(params, x, summary)
            return (loss, op.bwd(res, 1.0)[:2]), plain

        (loss, bars), (wanted, gradients) = both(params, x)
        assert {leaf.dtype for leaf in jax.tree.leaves(bars)} == {jnp.dtype(dtype)}
        np.testing.assert_allclose(loss, wanted, rtol=allowed)
        assert worst_difference(bars, gradients) < allowed


def test_every_token_sees_all():
    model = MODELS["token"]
    params = model.init(jax.random.key(0))
    forward = jit_once(lambda x: model.fwd(params, x)[0][0])
    x = jnp.zeros((1, 2, 4, 6))
    for corner in ((0, 0), (3, 5)):
        assert np.any(forward(x.at[(0, 0, *corner)].set(5.0)) != forward(x))


def test_wrong_sizes_are_refused():
    with pytest.raises(OptionError, match="patch is 3, expected one that divides 4 x 6 pixels"):
        vit((1, 4, 6), 3, patch=3)
    with pytest.raises(OptionError, match="width is 6, expected a multiple of the 4 heads"):
        vit((1, 4, 4), 3, patch=2, width=6, heads=4)
    with pytest.raises(OptionError, match="summary is 'max', expected 'token' or 'mean'"):
        vit((1, 4, 4), 3, patch=2, summary="max")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"vit: x has shape \(1, 1, 4, 4\)"):
        MODELS["mean"](MODELS["mean"].init(jax.random.key(0)), jnp.zeros((1, 1, 4, 4)))
