"""Activations made of e^-|x| and fractions: one exponential serves value and slope.

e^-|x| is never above 1, so that nothing overflows and the slopes keep their digits in both tails.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.gates import tanh
from purebp.numerics import log1p_of_fraction, widen
from purebp.op import conditioned


def _decay(x: Array) -> Array:
    """e^-|x|, with the slope -1 of -|x| at 0: the side of x > 0."""
    return jnp.exp(-jnp.where(x < 0, -x, x))


def softplus_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = ln(1 + e^x), a smooth ReLU; its slope is the sigmoid.

    Maths: y = max(0, x) + ln(1 + e^-|x|); x_bar = y_bar s(x), s the sigmoid.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y: 1 - e^-y would cancel in the left tail.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: Dugas et al. 2001, "Incorporating second-order functional knowledge".

    Example:
        >>> y, res = softplus.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*softplus.bwd(res, y))
        [0.96007127 0.17898336 1.873392  ]
    """
    return jnp.where(x < 0, jnp.zeros_like(x), x) + jnp.log1p(_decay(x))


def softplus_forward(x: Array) -> Array:
    wide = widen(x)
    return (jnp.maximum(wide, 0) + log1p_of_fraction(_decay(wide))).astype(x.dtype)


def softplus_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    e = _decay(wide)
    return y_bar * (jnp.where(wide < 0, e, 1) / (1 + e))


softplus = Gate(softplus_definition, softplus_x_bar, forward=softplus_forward)


def log_sigmoid_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = ln s(x) = -softplus(-x), s the sigmoid: the log-probability of "yes".

    Maths: y = min(0, x) - ln(1 + e^-|x|); x_bar = y_bar s(-x).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: derivative of softplus.

    Example:
        >>> y, res = log_sigmoid.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*log_sigmoid.bwd(res, y))
        [-0.08424906 -0.6063233  -0.01513019]
    """
    return jnp.where(x < 0, x, jnp.zeros_like(x)) - jnp.log1p(_decay(x))


def log_sigmoid_forward(x: Array) -> Array:
    wide = widen(x)
    return (jnp.minimum(wide, 0) - log1p_of_fraction(_decay(wide))).astype(x.dtype)


def log_sigmoid_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    e = _decay(wide)
    return y_bar * (jnp.where(wide < 0, 1, e) / (1 + e))


log_sigmoid = Gate(log_sigmoid_definition, log_sigmoid_x_bar, forward=log_sigmoid_forward)


def mish_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = x tanh(ln(1 + e^x)).

    Maths: with u = e^x the factor t = tanh(ln(1 + u)) = n / d, n = u (u + 2), d = n + 2: no
        logarithm is left. Its slope is t' = 4 u (1 + u) / d^2, and x_bar = y_bar (t + x t').
        For x > 0 all is divided by u^2, in powers of e^-x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: Misra 2019, "Mish: a self regularized non-monotonic activation function".

    Example:
        >>> y, res = mish.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*mish.bwd(res, y))
        [ 0.90751964 -0.06390768  2.0787106 ]
    """
    return x * tanh.definition(softplus_definition(x))


def _mish_parts(x: Array) -> tuple[Array, Array, Array]:
    """n and 1 / d, both divided by u^2 where x > 0, and e^-|x|."""
    e = _decay(x)
    n = jnp.where(x < 0, e * (e + 2), 1 + 2 * e)
    return n, 1 / (n + jnp.where(x < 0, 2, 2 * e * e)), e


def mish_forward(x: Array) -> Array:
    wide = widen(x)
    n, r, _ = _mish_parts(wide)
    return (wide * (n * r)).astype(x.dtype)


def mish_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(lax.optimization_barrier(x))  # else XLA keeps e^-|x| from the forward pass
    n, r, e = _mish_parts(wide)
    slope = 4 * (jnp.where(wide < 0, e, e * e) * wide) * (1 + e) * (r * r)
    return y_bar * (n * r + slope)


mish = Gate(
    mish_definition,
    mish_x_bar,
    forward=mish_forward,
    tolerance=conditioned("the slope has a zero near x = -1.19, where it cancels"),
)

OPS = (softplus, log_sigmoid, mish)
