"""Right once, wrong when differentiated again."""

import math

import jax.numpy as jnp

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import (
    as_float32,
    demand_same_shape,
    normal,
    polynomial,
    with_jvp,
    with_vjp,
)
from reference.wrong_gradients.tails import exp_of_minus, plain_expm1, plain_sigmoid, plain_tanh

# ------------------------------------------------------------------- tanh


def sech_squared(x):
    """1 / cosh(x)^2 = 4 e / (1 + e)^2, e = exp(-2|x|)."""
    e = jnp.exp(-2 * jnp.abs(x))
    return 4 * e / (1 + e) ** 2


def sech_squared_wrong_rule(primals, tangents):
    """-2 y (1 - y^2), y = tanh(x)."""
    (x,), (dx,) = primals, tangents
    y = jnp.tanh(x)
    return sech_squared(x), -2 * y * (1 - y * y) * dx


def sech_squared_right_rule(primals, tangents):
    """-2 tanh(x) / cosh(x)^2."""
    (x,), (dx,) = primals, tangents
    slope = sech_squared(x)
    return slope, -2 * jnp.tanh(x) * slope * dx


SECH_SQUARED_WRONG = with_jvp(sech_squared, sech_squared_wrong_rule)
SECH_SQUARED_RIGHT = with_jvp(sech_squared, sech_squared_right_rule)


def tanh(x):
    return jnp.tanh(x)


def tanh_fwd(x):
    return jnp.tanh(x), x


def tanh_wrong_bwd(x, y_bar):
    return (y_bar * SECH_SQUARED_WRONG(x),)


def tanh_right_bwd(x, y_bar):
    return (y_bar * SECH_SQUARED_RIGHT(x),)


# ------------------------------------------------------------------- sinc

SERIES = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(13))
"""sin(u)/u in powers of u^2."""


def angle(x):
    """pi x, less whole turns: a large angle would lose its digits."""
    return jnp.pi * (x - 2 * jnp.round(x / 2))


def sinc(x):
    """sin(u) / u, u = pi x; near 0 its series."""
    near = jnp.abs(x) < 0.5
    u = jnp.pi * jnp.where(near, x, 0)
    x = jnp.where(near, 1, x)
    return jnp.where(near, polynomial(SERIES, u * u), jnp.sin(angle(x)) / (jnp.pi * x))


def sinc_slope(x):
    """(cos(u) - sin(u)/u) / x, u = pi x; near 0 its series."""
    near = jnp.abs(x) < 0.5
    u = jnp.pi * jnp.where(near, x, 0)
    series = 2 * jnp.pi * u * polynomial([k * c for k, c in enumerate(SERIES)][1:], u * u)
    x = jnp.where(near, 1, x)
    far = (jnp.cos(angle(x)) - jnp.sin(angle(x)) / (jnp.pi * x)) / x
    return jnp.where(near, series, far)


def sinc_fwd(x):
    return sinc(x), x


def sinc_wrong_bwd(x, y_bar):
    """0 at 0 by symmetry, elsewhere the slope."""
    return (y_bar * jnp.where(x == 0, 0, sinc_slope(x)),)


def sinc_right_bwd(x, y_bar):
    """The slope."""
    return (y_bar * sinc_slope(x),)


# ------------------------------------------------------------------- ELU


def elu(x):
    """x above 0, exp(x) - 1 below."""
    return jnp.where(x > 0, x, plain_expm1(jnp.where(x > 0, 0, x)))


def elu_fwd(x):
    return elu(x), x


def elu_slope(x):
    """1 above 0, exp(x) below."""
    return jnp.where(x > 0, 1, jnp.exp(jnp.where(x > 0, 0, x)))


def elu_slope_wrong_rule(primals, tangents):
    """0 on both sides."""
    (x,), (dx,) = primals, tangents
    return elu_slope(x), jnp.zeros_like(x) * dx


def elu_slope_right_rule(primals, tangents):
    """0 above 0, exp(x) below."""
    (x,), (dx,) = primals, tangents
    return elu_slope(x), jnp.where(x > 0, 0, jnp.exp(jnp.where(x > 0, 0, x))) * dx


ELU_SLOPE_WRONG = with_jvp(elu_slope, elu_slope_wrong_rule)
ELU_SLOPE_RIGHT = with_jvp(elu_slope, elu_slope_right_rule)


def elu_wrong_bwd(x, y_bar):
    return (y_bar * ELU_SLOPE_WRONG(x),)


def elu_right_bwd(x, y_bar):
    return (y_bar * ELU_SLOPE_RIGHT(x),)


# ------------------------------------------------------------------- binary cross-entropy


def cross_entropy(x, t):
    """log(1 + exp(x)) - t x."""
    demand_same_shape("cross_entropy", x, t)
    return jnp.where(x > 0, x, 0) + jnp.log1p(exp_of_minus(x)) - t * x


def cross_entropy_fwd(x, t):
    return cross_entropy(x, t), (x, t)


def difference(x, t):
    """sigmoid(x) - t."""
    return plain_sigmoid(x) - t


def difference_wrong_rule(primals, tangents):
    """s(x) s(-x) dx."""
    (x, t), (dx, _) = primals, tangents
    return difference(x, t), plain_sigmoid(x) * plain_sigmoid(-x) * dx


def difference_right_rule(primals, tangents):
    """s(x) s(-x) dx - dt."""
    (x, t), (dx, dt) = primals, tangents
    return difference(x, t), plain_sigmoid(x) * plain_sigmoid(-x) * dx - dt


DIFFERENCE_WRONG = with_jvp(difference, difference_wrong_rule)
DIFFERENCE_RIGHT = with_jvp(difference, difference_right_rule)


def cross_entropy_wrong_bwd(res, y_bar):
    x, t = res
    return y_bar * DIFFERENCE_WRONG(x, t), -y_bar * x


def cross_entropy_right_bwd(res, y_bar):
    x, t = res
    return y_bar * DIFFERENCE_RIGHT(x, t), -y_bar * x


def cross_entropy_example(rng):
    return as_float32(rng.standard_normal((4, 3))), as_float32(rng.random((4, 3)))


LAYERS = (
    Layer(
        name="tanh_twice",
        bug="B018",
        wrong=with_vjp(tanh, tanh_fwd, tanh_wrong_bwd),
        right=with_vjp(tanh, tanh_fwd, tanh_right_bwd),
        example=normal((4, 3)),
        diagnosis="second order",
        reference=plain_tanh,
        why="0 once tanh rounds to 1; JAX's own rules lose the same digits, in both orders",
    ),
    Layer(
        name="sinc_twice",
        bug="B032",
        wrong=with_vjp(sinc, sinc_fwd, sinc_wrong_bwd),
        right=with_vjp(sinc, sinc_fwd, sinc_right_bwd),
        example=normal((4, 3)),
        diagnosis="second order",
        why="at 0 only, where the second derivative is -pi^2/3",
    ),
    Layer(
        name="elu_twice",
        bug="B130",
        wrong=with_vjp(elu, elu_fwd, elu_wrong_bwd),
        right=with_vjp(elu, elu_fwd, elu_right_bwd),
        example=normal((4, 3)),
        diagnosis="second order",
    ),
    Layer(
        name="cross_entropy_twice",
        bug="B195",
        wrong=with_vjp(cross_entropy, cross_entropy_fwd, cross_entropy_wrong_bwd),
        right=with_vjp(cross_entropy, cross_entropy_fwd, cross_entropy_right_bwd),
        example=cross_entropy_example,
        diagnosis="second order",
        why="in the original forward over reverse only; here one rule serves both modes",
    ),
)
