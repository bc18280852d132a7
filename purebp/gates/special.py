"""Special functions: the error function and its inverse, gamma functions, Bessel functions."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import POSITIVE, between, conditioned

TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)
SHIFT = 10


def exp_of_minus_square(x: Array) -> Array:
    """e^(-x^2). Rounding x^2 would cost x^2 ulps, so x = h + l with h^2 exact.

    Then x^2 = h^2 + (x - h) (x + h), and the second term is small.
    """
    wide = x.dtype == jnp.float64
    size = jnp.minimum(jnp.abs(x), 30)
    high = lax.reduce_precision(size, 11 if wide else 8, 25 if wide else 11)
    return jnp.exp(-high * high) * jnp.exp(-(size - high) * (size + high))


def erf_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = erf x = 2/sqrt(pi) * the integral of e^(-t^2) from 0 to x.

    Maths: x_bar = 2/sqrt(pi) e^(-x^2) y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: fundamental theorem of calculus.

    Example:
        >>> y, res = erf.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*erf.bwd(res, y))
        [ 0.34981146 -0.45740625  0.02057031]
    """
    return jax.scipy.special.erf(x)


def erf_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * (TWO_OVER_SQRT_PI * exp_of_minus_square(widen(x)))


erf = Gate(
    erf_definition,
    erf_x_bar,
    primitive="erf",
    tolerance=conditioned("the definition's e^(-x^2) magnifies the rounding of x^2"),
)


def erfc_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = erfc x = 1 - erf x, without cancellation for large x.

    Maths: x_bar = -2/sqrt(pi) e^(-x^2) y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: fundamental theorem of calculus.

    Example:
        >>> y, res = erfc.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*erfc.bwd(res, y))
        [-6.5296099e-02 -1.3361888e+00 -9.6674681e-05]
    """
    return jax.scipy.special.erfc(x)


def erfc_x_bar(y_bar: Array, x: Array) -> Array:
    return -y_bar * (TWO_OVER_SQRT_PI * exp_of_minus_square(widen(x)))


erfc = Gate(
    erfc_definition,
    erfc_x_bar,
    primitive="erfc",
    tolerance=conditioned("e^(-x^2) magnifies the rounding of x^2"),
)


def erf_inv_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y with erf y = x, for -1 < x < 1.

    Maths: x_bar = sqrt(pi)/2 e^(y^2) y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: x; with y in 16 bits e^(y^2) would be off by several units.
    Kinks: x = -1 and x = 1 have the slope inf; beyond them y is nan.
    Raises: DtypeError for integers.
    Source: inverse function.

    Example:
        >>> y, res = erf_inv.fwd(jnp.array([-0.5, 0.1, 0.8]))
        >>> print(*erf_inv.bwd(res, y))
        [-0.5306321   0.07937076  1.8255898 ]
    """
    return jax.scipy.special.erfinv(x)


def erf_inv_forward(x: Array) -> Array:
    return lax.erf_inv(widen(x)).astype(x.dtype)


def erf_inv_x_bar(y_bar: Array, x: Array) -> Array:
    wide = lax.erf_inv(widen(x))
    return y_bar * (jnp.exp(wide * wide) / TWO_OVER_SQRT_PI)


erf_inv = Gate(
    erf_inv_definition,
    erf_inv_x_bar,
    forward=erf_inv_forward,
    primitive="erf_inv",
    domains={"x": between(-1, 1)},
    tolerance=conditioned("e^(y^2) magnifies the rounding of y"),
)


def lgamma_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = ln |Gamma(x)|.

    Maths: x_bar = y_bar digamma(x).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: poles at 0, -1, -2, ...: nan.
    Raises: DtypeError for integers.
    Source: definition of the digamma function.

    Example:
        >>> y, res = lgamma.fwd(jnp.array([0.5, 1.0, 2.0]))
        >>> print(*lgamma.bwd(res, jnp.ones_like(y)))
        [-1.96351    -0.5772154   0.42278463]
    """
    return lax.lgamma(x)


def lgamma_forward(x: Array) -> Array:
    return lax.lgamma(widen(x)).astype(x.dtype)


def lgamma_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * lax.digamma(widen(x))


lgamma = Gate(
    lgamma_definition,
    lgamma_x_bar,
    forward=lgamma_forward,
    primitive="lgamma",
    domains={"x": POSITIVE},
    tolerance=conditioned("digamma has a zero at 1.46, where it cancels"),
)


def trigamma(x: Array) -> Array:
    """The derivative of digamma: sum over k from 0 of 1 / (x + k)^2.

    Ten terms, and the asymptotic series from there; reflected below 1/2.
    """
    below = x < 0.5
    start = jnp.where(below, 1 - x, x)
    far = 1 / (start + SHIFT)
    square = far * far
    tail = 1 / 30 - square * (5 / 66 - square * (691 / 2730 - square * (7 / 6)))
    tail = 1 / 6 - square * (1 / 30 - square * (1 / 42 - square * tail))
    total = far * (1 + far * (0.5 + far * tail))
    for k in reversed(range(SHIFT)):
        total = total + 1 / ((start + k) * (start + k))
    turns = x - jnp.round(x)
    sine = jnp.sin(math.pi * turns)
    return jnp.where(below, (math.pi / sine) ** 2 - total, total)


def digamma_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = digamma(x) = d/dx ln Gamma(x).

    Maths: x_bar = y_bar trigamma(x); trigamma(x) = sum over k from 0 of 1 / (x + k)^2, and
        pi^2 / sin^2(pi x) - trigamma(1 - x) for x < 1/2.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: poles at 0, -1, -2, ...: nan, and the slope inf.
    Raises: DtypeError for integers.
    Source: Abramowitz and Stegun, 6.4.10, 6.4.7 and 6.4.12.

    Example:
        >>> y, res = digamma.fwd(jnp.array([0.5, 1.0, 2.0]))
        >>> print(*digamma.bwd(res, y))
        [-9.689533   -0.94948125  0.2726682 ]
    """
    return lax.digamma(x)


def digamma_forward(x: Array) -> Array:
    return lax.digamma(widen(x)).astype(x.dtype)


def digamma_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * trigamma(widen(x))


digamma = Gate(
    digamma_definition,
    digamma_x_bar,
    forward=digamma_forward,
    primitive="digamma",
    domains={"x": POSITIVE},
    tolerance=conditioned("the value has a zero at 1.46, where it cancels"),
)


def bessel_i0e_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = e^-|x| I_0(x), the modified Bessel function of order 0, scaled.

    Maths: x_bar = y_bar (i1e(x) - sign(x) y).
    Shapes: y and x_bar are shaped like x.
    Residuals: x and y.
    Kinks: the slope at 0 is 0, that of I_0.
    Raises: DtypeError for integers.
    Source: I_0' = I_1.

    Example:
        >>> y, res = bessel_i0e.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*bessel_i0e.bwd(res, y))
        [-0.12009576  0.31517363 -0.02876501]
    """
    return lax.bessel_i0e(x)


def bessel_i0e_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    return y_bar * (lax.bessel_i1e(wide) - jnp.sign(wide) * lax.bessel_i0e(wide))


bessel_i0e = Gate(
    bessel_i0e_definition,
    bessel_i0e_x_bar,
    primitive="bessel_i0e",
    kinks="slope 0 at 0",
    tolerance=conditioned("i1e - i0e is a difference that cancels for large x"),
)


def bessel_i1e_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = e^-|x| I_1(x), the modified Bessel function of order 1, scaled.

    Maths: x_bar = y_bar (i0e(x) - y (sign(x) + 1/x)), 1/2 at 0.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none; the slope at 0 is 1/2.
    Raises: DtypeError for integers.
    Source: I_1' = I_0 - I_1 / x.

    Example:
        >>> y, res = bessel_i1e.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*bessel_i1e.bwd(res, y))
        [ 0.0103828  -0.02749454 -0.00309894]
    """
    return lax.bessel_i1e(x)


def bessel_i1e_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    small = jnp.abs(wide) < 1e-12
    safe = jnp.where(small, 1, wide)
    slope = lax.bessel_i0e(safe) - lax.bessel_i1e(safe) * (jnp.sign(safe) + 1 / safe)
    return y_bar * jnp.where(small, 0.5, slope)


bessel_i1e = Gate(
    bessel_i1e_definition,
    bessel_i1e_x_bar,
    primitive="bessel_i1e",
    tolerance=conditioned("i0e - i1e (1 + 1/x) is a difference that cancels for large x"),
)

OPS = (erf, erfc, erf_inv, lgamma, digamma, bessel_i0e, bessel_i1e)
