"""Incomplete gamma functions, in both arguments."""

import math

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import POSITIVE, conditioned

STIRLING = (  # of ln Gamma(a), in odd powers of 1 / a
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
)
MANY = 10.0
"""From here on Stirling's formula has all digits."""


def igamma_definition(a: Float[Array, "*#s"], x: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """p = P(a, x) = 1/Gamma(a) * the integral of t^(a-1) e^-t from 0 to x, for a > 0 and x >= 0.

    Maths: x_bar = p_bar f(a, x), f = x^(a-1) e^-x / Gamma(a). For large a the three terms of ln f
        nearly cancel; with u = x / a - 1 they are -a (u - ln(1 + u)) + 1/2 ln(a / 2 pi) - ln x - c,
        c the rest of Stirling's formula, and nothing cancels. a_bar = p_bar dP/da, where
        dP/da = -f R and R is the change of a gamma variate with a, by series or continued
        fraction: R needs no f.
    Shapes: a, x broadcast to p; each cotangent is summed over its broadcast axes.
    Residuals: a and x.
    Kinks: none. a < 0 and x < 0 give nan. Twice in a gives nan: JAX has no derivative of dP/da.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: Moore 1982, algorithm AS 187; Figurnov et al. 2018, "Implicit reparameterization
        gradients"; Temme 1979 for the scaled density.

    Example:
        >>> y, res = igamma.fwd(jnp.array([0.5, 1.0, 2.0]), jnp.array([0.25, 1.5, 3.0]))
        >>> print(*igamma.bwd(res, y))
        [-0.41533154 -0.24804302 -0.15810841] [0.45740628 0.17334303 0.11961618]
    """
    return lax.igamma(*_together(a, x))


def igammac_definition(a: Float[Array, "*#s"], x: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """q = Q(a, x) = 1 - P(a, x), the integral from x on, without cancellation for large x.

    Maths: the cotangents of igamma with the other sign.
    Shapes: a, x broadcast to q; each cotangent is summed over its broadcast axes.
    Residuals: a and x.
    Kinks: none. a < 0 and x < 0 give nan. Twice in a gives nan: JAX has no derivative of dP/da.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: that of igamma.

    Example:
        >>> y, res = igammac.fwd(jnp.array([0.5, 1.0, 2.0]), jnp.array([0.25, 1.5, 3.0]))
        >>> print(*igammac.bwd(res, y))
        [0.38261586 0.07124212 0.03931691] [-0.4213764  -0.04978703 -0.02974503]
    """
    return lax.igammac(*_together(a, x))


def _together(a: Array, x: Array) -> tuple[Array, Array]:
    dtype = jnp.result_type(a, x)
    a, x = jnp.broadcast_arrays(a.astype(dtype), x.astype(dtype))
    return a, x


def _widened(a: Array, x: Array) -> tuple[Array, Array]:
    a, x = _together(a, x)
    return widen(a), widen(x)


def excess(a: Array, x: Array) -> Array:
    """u - ln(1 + u) with u = x / a - 1, which cancels for small u.

    There 2 artanh(s) for the logarithm, s = (x - a) / (x + a): u = 2 s + s u.
    """
    u, s = (x - a) / a, (x - a) / (x + a)
    square, total = s * s, jnp.zeros_like(s)
    for k in reversed(range(14 if x.dtype.itemsize == 8 else 6)):
        total = total * square + 1 / (2 * k + 3)
    near = s * u - 2 * s * square * total
    return jnp.where(jnp.abs(s) < 0.2, near, u - jnp.log(x / a))


def density(a: Array, x: Array) -> Array:
    """f = x^(a-1) e^-x / Gamma(a)."""
    few = (a < MANY) | (x == 0)
    most, place = jnp.where(few, MANY, a), jnp.where(few, MANY, x)
    rest = jnp.zeros_like(a)
    for coefficient in reversed(STIRLING):
        rest = rest / (most * most) + coefficient
    scaled = jnp.exp(-most * excess(most, place) - rest / most)
    large = jnp.sqrt(most / (2 * math.pi)) / place * scaled
    power = jnp.where(a == 1, 0, (a - 1) * jnp.log(x))
    small = jnp.exp(power - x - lax.lgamma(jnp.where(few, a, 1)))
    inside = jnp.where(x == jnp.inf, 0, jnp.where(few, small, large))
    return jnp.where((a < 0) | (x < 0), jnp.nan, inside)


def slope_in_a_definition(a: Float[Array, "*s"], x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    change = lax.random_gamma_grad(a, x)  # type: ignore[reportCallIssue]  # it takes no dtype
    ends = jnp.where(a > 0, 0, jnp.nan)
    return jnp.where((x == 0) | (x == jnp.inf), ends, -density(a, x) * change)


def slope_in_a_a_bar(y_bar: Array) -> Array:
    return jnp.full_like(y_bar, jnp.nan)


def slope_in_a_x_bar(y_bar: Array, a: Array, x: Array) -> Array:
    return y_bar * density(a, x) * (jnp.log(x) - lax.digamma(a))


slope_in_a = Gate(slope_in_a_definition, slope_in_a_a_bar, slope_in_a_x_bar)
"""dP/da; in x its slope is that of f in a."""


def igamma_forward(a: Array, x: Array) -> Array:
    return lax.igamma(*_widened(a, x)).astype(jnp.result_type(a, x))


def igamma_a_bar(p_bar: Array, a: Array, x: Array) -> Array:
    return p_bar * slope_in_a(*_widened(a, x))


def igamma_x_bar(p_bar: Array, a: Array, x: Array) -> Array:
    return p_bar * density(*_widened(a, x))


def igammac_forward(a: Array, x: Array) -> Array:
    return lax.igammac(*_widened(a, x)).astype(jnp.result_type(a, x))


def igammac_a_bar(q_bar: Array, a: Array, x: Array) -> Array:
    return -igamma_a_bar(q_bar, a, x)


def igammac_x_bar(q_bar: Array, a: Array, x: Array) -> Array:
    return -igamma_x_bar(q_bar, a, x)


MAGNIFIES = conditioned("x^a and e^-x magnify the rounding of a ln x and x")
igamma = Gate(
    igamma_definition,
    igamma_a_bar,
    igamma_x_bar,
    forward=igamma_forward,
    primitive="igamma",
    domains={"a": POSITIVE, "x": POSITIVE},
    sizes={"s": ((3,), (2, 3), (3,), (3,))},
    tolerance=MAGNIFIES,
)
igammac = Gate(
    igammac_definition,
    igammac_a_bar,
    igammac_x_bar,
    forward=igammac_forward,
    primitive="igammac",
    domains={"a": POSITIVE, "x": POSITIVE},
    sizes={"s": ((3,), (2, 3), (3,), (3,))},
    tolerance=MAGNIFIES,
)

OPS = (igamma, igammac)
