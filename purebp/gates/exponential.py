"""Exponential and logarithmic gates. The slopes stay right in the tails."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact

from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import POSITIVE, between


def exp_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = e^x.

    Maths: y = e^x; x_bar = y_bar y.
    Shapes: y and x_bar are shaped like x.
    Residuals: y, which is its own slope.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 4, the "exp" gate of the sigmoid neuron.

    Example:
        >>> y, res = exp.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*exp.bwd(res, y))
        [ 7.3890557   0.36787945 54.598152  ]
    """
    return jnp.exp(x)


def exp_x_bar(y_bar: Array, y: Array) -> Array:
    return y_bar * y


exp = Gate(exp_definition, exp_x_bar, primitive="exp")


def log_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = ln x.

    Maths: y = ln x; x_bar = y_bar / x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: x = 0 has the slope inf, as in JAX.
    Raises: DtypeError for integers.
    Source: derivative of the logarithm.

    Example:
        >>> y, res = log.fwd(jnp.array([0.5, 1.0, 2.0]))
        >>> print(*log.bwd(res, y))
        [-1.3862944  0.         0.3465736]
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

    Example:
        >>> y, res = sigmoid.fwd(jnp.array([0.0, 1.0, 20.0]))
        >>> print(*sigmoid.bwd(res, jnp.ones(3)))
        [2.5000000e-01 1.9661194e-01 2.0611537e-09]
    """
    e = jnp.exp(-jnp.where(x < 0, -x, x))
    return jnp.where(x < 0, e, 1) / (1 + e)


def sigmoid_slope(x: Array) -> Array:
    """s(x) s(-x) = e / (1 + e)^2 with e = e^-|x|: one exp, one division, no cancellation."""
    e = jnp.exp(-jnp.abs(x))
    r = 1 / (1 + e)
    return e * r * r


def sigmoid_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * sigmoid_slope(widen(x))


def sigmoid_fast(x: Array) -> Array:
    return jax.nn.sigmoid(widen(x)).astype(x.dtype)


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

    Example:
        >>> y, res = tanh.fwd(jnp.array([0.0, 1.0, 20.0]))
        >>> print(*tanh.bwd(res, jnp.ones(3)))
        [1.0000000e+00 4.1997427e-01 1.6993417e-17]
    """
    sign = jnp.where(x < 0, -1, 1).astype(x.dtype)
    near = sign * x < 0.5
    e = jnp.exp(-2 * sign * x)
    return jnp.where(near, jnp.tanh(jnp.where(near, x, 0)), sign * (1 - e) / (1 + e))


def tanh_x_bar(y_bar: Array, x: Array) -> Array:
    return 4 * y_bar * sigmoid_slope(2 * widen(x))


def tanh_fast(x: Array) -> Array:
    return jnp.tanh(x)


tanh = Gate(tanh_definition, tanh_x_bar, forward=tanh_fast, primitive="tanh")


def exp2_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = 2^x.

    Maths: x_bar = y_bar 2^x ln 2. With n the integer next to x, 2^x = 2^n e^((x - n) ln 2):
        e^(x ln 2) alone would magnify the rounding of x ln 2.
    Shapes: y and x_bar are shaped like x.
    Residuals: x: y may be infinite where y ln 2 is not.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: 2^x = e^(x ln 2).

    Example:
        >>> y, res = exp2.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*exp2.bwd(res, y))
        [ 2.7725887   0.34657356 11.090355  ]
    """
    return jnp.exp2(x)


def exp2_forward(x: Array) -> Array:
    return _scaled_exp2(widen(x), 1).astype(x.dtype)


def exp2_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * _scaled_exp2(widen(x), math.log(2))


def _scaled_exp2(x: Array, scale: float) -> Array:
    """scale 2^x, which may be finite where 2^x is not."""
    limit = 250 if x.dtype == jnp.float32 else 2000
    turns = jnp.round(lax.stop_gradient(jnp.clip(x, -limit, limit)))
    half = turns.astype(jnp.int32) // 2
    fraction = scale * jnp.exp(math.log(2) * (x - turns))
    y = fraction * _power_of_two(half, x.dtype)
    return y * _power_of_two(turns.astype(jnp.int32) - half, x.dtype)


def _power_of_two(n: Array, dtype: Any) -> Array:
    """2^n as a number with nothing but an exponent; two factors so that none of them overflows."""
    if dtype == jnp.float32:
        return lax.bitcast_convert_type((n + 127) << 23, dtype)
    return lax.bitcast_convert_type((n.astype(jnp.int64) + 1023) << 52, dtype)


exp2 = Gate(exp2_definition, exp2_x_bar, forward=exp2_forward, primitive="exp2")


def expm1_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = e^x - 1, without cancellation near 0.

    Maths: x_bar = y_bar e^x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y: y + 1 is 0 in the left tail, where the slope is e^x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: derivative of the exponential. The definition is 2 sinh(x/2) e^(x/2) near 0.

    Example:
        >>> y, res = expm1.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*expm1.bwd(res, y))
        [ 4.670774   -0.23865122 47.209095  ]
    """
    small = (x > -0.5) & (x < 0.5)
    near = jnp.where(small, x, jnp.zeros_like(x)) / 2
    far = jnp.exp(jnp.where(small, jnp.ones_like(x), x)) - 1
    return jnp.where(small, 2 * jnp.sinh(near) * jnp.exp(near), far)


def expm1_forward(x: Array) -> Array:
    return jnp.expm1(widen(x)).astype(x.dtype)


def expm1_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * jnp.exp(widen(x))


expm1 = Gate(expm1_definition, expm1_x_bar, forward=expm1_forward, primitive="expm1")


def log1p_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = ln(1 + x), without loss near 0.

    Maths: x_bar = y_bar / (1 + x).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: x = -1 has the slope inf, as in JAX.
    Raises: DtypeError for integers.
    Source: derivative of the logarithm.

    Example:
        >>> y, res = log1p.fwd(jnp.array([-0.5, 0.0, 1.0]))
        >>> print(*log1p.bwd(res, y))
        [-1.3862944  0.         0.3465736]
    """
    return jnp.log1p(x)


def log1p_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar / (1 + widen(x))


log1p = Gate(log1p_definition, log1p_x_bar, primitive="log1p", domains={"x": between(-1)})

OPS = (exp, log, sigmoid, tanh, exp2, expm1, log1p)
