"""Exponential gates: exp, log, sigmoid, tanh. The slopes stay right in the tails."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.op import POSITIVE


def exp_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = e^x.

    Maths: y = e^x; x_bar = y_bar y.
    Shapes: y and x_bar are shaped like x.
    Residuals: y, which is its own slope.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 4, the "exp" gate of the sigmoid neuron.
    """
    return jnp.exp(x)


def exp_x_bar(y_bar: Array, y: Array) -> Array:
    return y_bar * y


exp = Gate(exp_definition, exp_x_bar, primitive="exp")


def log_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = ln x.

    Maths: y = ln x; x_bar = y_bar / x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: x = 0 has the slope inf, as in JAX.
    Raises: DtypeError for integers.
    Source: derivative of the logarithm.
    """
    return jnp.log(x)


def log_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar / x


log = Gate(log_definition, log_x_bar, primitive="log", domains={"x": POSITIVE})


def sigmoid_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = 1 / (1 + e^-x), the sigmoid gate. Its slope is at most 1/4: gradients vanish.

    Maths: y = s(x) = 1 / (1 + e^-x); x_bar = y_bar s(x) s(-x).
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y. In the right tail y rounds to 1, and y (1 - y) would be 0 where the slope
        is e^-x: `jax.grad(jax.nn.sigmoid)(40.)` is 0, the slope is 4.2e-18.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 4, the sigmoid neuron.
    """
    e = jnp.exp(-jnp.where(x < 0, -x, x))
    return jnp.where(x < 0, e, 1) / (1 + e)


def sigmoid_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def sigmoid_fast(x: Array) -> Array:
    return jax.nn.sigmoid(x)


sigmoid = Gate(sigmoid_definition, sigmoid_x_bar, forward=sigmoid_fast, primitive="logistic")


def tanh_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = tanh x = 2 sigmoid(2x) - 1.

    Maths: y = tanh x; x_bar = y_bar / cosh^2 x = 4 y_bar s(2x) s(-2x), s the sigmoid.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y. In the tails y rounds to 1, and 1 - y^2 would be 0 where the slope is
        4 e^-2|x|.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: derivative of the hyperbolic tangent.
    """
    sign = jnp.where(x < 0, -1, 1).astype(x.dtype)
    near = sign * x < 0.5
    e = jnp.exp(-2 * sign * x)
    return jnp.where(near, jnp.tanh(jnp.where(near, x, 0)), sign * (1 - e) / (1 + e))


def tanh_x_bar(y_bar: Array, x: Array) -> Array:
    return 4 * y_bar * jax.nn.sigmoid(2 * x) * jax.nn.sigmoid(-2 * x)


def tanh_fast(x: Array) -> Array:
    return jnp.tanh(x)


tanh = Gate(tanh_definition, tanh_x_bar, forward=tanh_fast, primitive="tanh")

OPS = (exp, log, sigmoid, tanh)
