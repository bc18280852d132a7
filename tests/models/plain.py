"""The networks once more, in plain JAX and without purebp: what autodiff differentiates."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from purebp.compat import jit_once
from purebp.models import conv_net, lenet5, linear_classifier, n_layer_net, two_layer_net
from purebp.models.model import Model

EPS = 1e-5


def affine(x, params):
    return x @ params["w"] + params["b"]


def relu(x):
    return jnp.maximum(x, 0)


def conv(x, params, padding):
    y = lax.conv_general_dilated(x, params["w"], (1, 1), [(padding, padding)] * 2)
    return y + params["b"][:, None, None]


def pool(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def mean_pool(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))


def normalise(x, mean, var, params):
    return (x - mean) / jnp.sqrt(var + EPS) * params["gamma"] + params["beta"]


def plain_linear(params, x, state, key, train):
    return affine(x, params["affine1"])


def plain_two_layer(params, x, state, key, train):
    return affine(relu(affine(x, params["affine1"])), params["affine2"])


def plain_batch_norm_net(params, x, state, key, train):
    """affine - batch norm - relu, twice, then affine."""
    for i in (1, 2):
        x = affine(x, params[f"affine{i}"])
        old = state[f"norm{i}"]
        mean, var = (x.mean(0), x.var(0)) if train else (old["mean"], old["var"])
        x = relu(normalise(x, mean, var, params[f"norm{i}"]))
    return affine(x, params["affine3"])


def plain_layer_norm_net(params, x, state, key, train):
    """affine - layer norm - tanh, then affine."""
    x = affine(x, params["affine1"])
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return affine(jnp.tanh(normalise(x, mean, var, params["norm1"])), params["affine2"])


def plain_dropout_net(params, x, state, key, train):
    """affine - relu - dropout, then affine; the dropout is layer 2 of the list."""
    x = relu(affine(x, params["affine1"]))
    if train:
        mask = jax.random.bernoulli(jax.random.fold_in(key, 2), 0.7, x.shape)
        x = jnp.where(mask, x / 0.7, 0)
    return affine(x, params["affine2"])


def plain_conv_net(params, x, state, key, train):
    for i in (1, 2):
        x = pool(relu(conv(x, params[f"conv{i}"], 1)))
    return affine(x.reshape(len(x), -1), params["affine1"])


def plain_lenet(params, x, state, key, train):
    for i in (1, 2):
        x = pool(relu(conv(x, params[f"conv{i}"], 2)))
    x = x.reshape(len(x), -1)
    for i in (1, 2):
        x = relu(affine(x, params[f"affine{i}"]))
    return affine(x, params["affine3"])


def plain_lenet_1998(params, x, state, key, train):
    """The sizes, the average pooling and the tanh of the original, on 32 x 32."""
    for i in (1, 2):
        x = mean_pool(jnp.tanh(conv(x, params[f"conv{i}"], 0)))
    x = x.reshape(len(x), -1)
    for i in (1, 2):
        x = jnp.tanh(affine(x, params[f"affine{i}"]))
    return affine(x, params["affine3"])


Plain = Callable[..., Any]

NETS: dict[str, tuple[Model, Plain]] = {
    "linear": (linear_classifier(5, 3), plain_linear),
    "two_layer": (two_layer_net(5, 7, 3), plain_two_layer),
    "batch_norm": (n_layer_net(5, (7, 6), 3, norm="batch"), plain_batch_norm_net),
    "layer_norm": (n_layer_net(5, (7,), 3, norm="layer", activation="tanh"), plain_layer_norm_net),
    "dropout": (n_layer_net(5, (7,), 3, dropout=0.3), plain_dropout_net),
    "conv": (conv_net((2, 8, 8), 3, filters=(3, 4)), plain_conv_net),
    "lenet": (lenet5((1, 8, 8), 3), plain_lenet),
    "lenet_1998": (lenet5((1, 32, 32), 3, pool="avg", activation="tanh"), plain_lenet_1998),
}


def arguments(model: Model, *, seed: int = 0):
    """(params, x, labels, state, key), none of them neutral."""
    assert model.example is not None
    rng = np.random.default_rng(seed)
    params, x, state, key = model.example(rng)
    return params, x, jnp.asarray(rng.integers(3, size=len(x)), jnp.int32), state, key


def cross_entropy(scores, labels):
    chosen = jnp.take_along_axis(scores, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(scores, axis=1) - chosen)


def worst_difference(came: Any, wanted: Any) -> float:
    """The largest difference, in units of the largest entry of each leaf.

    A leaf that is small beside the others (the gradient of a bias before a batch norm is 0) is
    measured in a twentieth of the largest entry of all.
    """
    leaves, tree = jax.tree.flatten(wanted)
    assert jax.tree.structure(came) == tree
    pairs = [
        (np.asarray(a), np.asarray(b)) for a, b in zip(jax.tree.leaves(came), leaves, strict=True)
    ]
    floor = max(float(np.max(np.abs(b))) for _, b in pairs) / 20
    return max(float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), floor)) for a, b in pairs)


def assert_equals_plain(
    loss: Model, plain_loss: Callable[..., Any], params: Any, x: Any, targets: Any, allowed: float
) -> None:
    """A model with its loss has the value and the gradients of the plain loss of its params."""

    @jit_once
    def both(params: Any) -> Any:
        (value, _), res = loss.fwd(params, x, targets)
        return (value, loss.bwd(res, 1.0)[0]), jax.value_and_grad(plain_loss)(params)

    (value, bars), (wanted, gradients) = both(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(bars)} == {jax.tree.leaves(params)[0].dtype}
    np.testing.assert_allclose(value, wanted, rtol=allowed)
    assert worst_difference(bars, gradients) < allowed
