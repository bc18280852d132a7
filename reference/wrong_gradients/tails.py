"""Wrong in the tails: digits lost where a function saturates."""

import jax
import jax.numpy as jnp

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import normal


def exp_of_minus(x):
    """exp(-|x|), with a derivative at 0."""
    return jnp.exp(jnp.where(x > 0, -x, x))


def plain_sigmoid(x):
    """1 / (1 + exp(-x)); its autodiff is right in both tails."""
    e = exp_of_minus(x)
    return jnp.where(x > 0, 1, e) / (1 + e)


def plain_tanh(x):
    """tanh(x); its autodiff is right in both tails."""
    near = jnp.abs(x) < 1
    e = exp_of_minus(jnp.where(near, 2, 2 * x))
    return jnp.where(near, jnp.tanh(jnp.where(near, x, 0)), jnp.sign(x) * (1 - 2 * e / (1 + e)))


def plain_expm1(x):
    """exp(x) - 1; its autodiff is right in both tails."""
    near = jnp.abs(x) < 0.5
    return jnp.where(near, jnp.expm1(jnp.where(near, x, 0)), jnp.exp(x) - 1)


def sigmoid_fwd(x):
    y = jax.nn.sigmoid(x)
    return y, (x, y)


def sigmoid_wrong_bwd(res, y_bar):
    """y (1 - y)."""
    _, y = res
    return (y_bar * y * (1 - y),)


def sigmoid_right_bwd(res, y_bar):
    """sigmoid(x) sigmoid(-x) = e / (1 + e)^2, e = exp(-|x|)."""
    x, _ = res
    e = exp_of_minus(x)
    return (y_bar * e / (1 + e) ** 2,)


def tanh_fwd(x):
    y = jnp.tanh(x)
    return y, (x, y)


def tanh_wrong_bwd(res, y_bar):
    """(1 + y) (1 - y)."""
    _, y = res
    return (y_bar * (1 + y) * (1 - y),)


def tanh_right_bwd(res, y_bar):
    """4 sigmoid(2x) sigmoid(-2x) = 4 e / (1 + e)^2, e = exp(-2|x|)."""
    x, _ = res
    e = exp_of_minus(2 * x)
    return (y_bar * 4 * e / (1 + e) ** 2,)


def expm1_fwd(x):
    y = jnp.expm1(x)
    return y, (x, y)


def expm1_wrong_bwd(res, y_bar):
    """y + 1."""
    _, y = res
    return (y_bar * (y + 1),)


def expm1_right_bwd(res, y_bar):
    """exp(x)."""
    x, _ = res
    return (y_bar * jnp.exp(x),)


LAYERS = (
    Layer(
        name="sigmoid",
        bug="B017",
        wrong=(sigmoid_fwd, sigmoid_wrong_bwd),
        right=(sigmoid_fwd, sigmoid_right_bwd),
        example=normal((4, 3)),
        diagnosis="cancellation",
        reference=plain_sigmoid,
        why="JAX's own rule loses the same digits",
    ),
    Layer(
        name="tanh",
        bug="B017",
        wrong=(tanh_fwd, tanh_wrong_bwd),
        right=(tanh_fwd, tanh_right_bwd),
        example=normal((4, 3)),
        diagnosis="cancellation",
        reference=plain_tanh,
        why="JAX's own rule loses the same digits",
    ),
    Layer(
        name="expm1",
        bug="B017",
        wrong=(expm1_fwd, expm1_wrong_bwd),
        right=(expm1_fwd, expm1_right_bwd),
        example=normal((4, 3)),
        diagnosis="cancellation",
        reference=plain_expm1,
        why="JAX's own rule loses the same digits",
    ),
)
