"""Powers and roots. Their slopes are right at base 0 too."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import NONZERO, POSITIVE


def rsqrt_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = 1 / sqrt(x).

    Maths: x_bar = -y_bar / (2 x sqrt(x)).
    Shapes: y and x_bar are shaped like x.
    Residuals: x; y^3 / 2 would magnify the rounding of y.
    Kinks: the pole at x = 0 gives inf and -inf.
    Raises: DtypeError for integers.
    Source: power rule.

    Example:
        >>> y, res = rsqrt.fwd(jnp.array([0.5, 1.0, 2.0]))
        >>> print(*rsqrt.bwd(res, y))
        [-1.9999999  -0.5        -0.12499999]
    """
    return 1 / jnp.sqrt(x)


def rsqrt_forward(x: Array) -> Array:
    return lax.rsqrt(widen(x)).astype(x.dtype)


def rsqrt_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    return y_bar * (-0.5 / wide / jnp.sqrt(wide))  # their product may underflow


rsqrt = Gate(
    rsqrt_definition,
    rsqrt_x_bar,
    forward=rsqrt_forward,
    primitive="rsqrt",
    domains={"x": POSITIVE},
)


def cbrt_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = the cube root of x, with the sign of x.

    Maths: x_bar = y_bar / (3 y^2). The value is e^(ln|x| / 3) after one step of Newton's method.
    Shapes: y and x_bar are shaped like x.
    Residuals: y.
    Kinks: x = 0 has the slope inf.
    Raises: DtypeError for integers.
    Source: power rule.

    Example:
        >>> y, res = cbrt.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*cbrt.bwd(res, y))
        [ 0.33333334 -0.41997367  0.26456684]
    """
    return jnp.cbrt(x)


def cbrt_forward(x: Array) -> Array:
    wide = widen(x)
    fixed = (jnp.abs(wide) < jnp.finfo(wide.dtype).tiny) | jnp.isinf(wide)
    size = jnp.where(fixed, 1, jnp.abs(wide))
    y = jnp.exp(jnp.log(size) / 3)
    y = y - (y - size / (y * y)) / 3
    return jnp.where(fixed, wide, jnp.sign(wide) * y).astype(x.dtype)


def cbrt_x_bar(y_bar: Array, y: Array) -> Array:
    wide = widen(y)
    return y_bar * (1 / (3 * wide * wide))


cbrt = Gate(
    cbrt_definition,
    cbrt_x_bar,
    forward=cbrt_forward,
    primitive="cbrt",
    domains={"x": NONZERO},
)


def pow_definition(x: Float[Array, "*#s"], y: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = x^y.

    Maths: x_bar = z_bar y x^(y-1), y_bar = z_bar z ln x. Where y - 1 is rounded, by d, x_bar is
        off by the factor x^d; 1 + d ln x puts it back.
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x, y and z.
    Kinks: at base 0: x_bar is 0 for y = 0 (x^0 is constant; JAX: nan), 1 for y = 1 and inf for
        0 < y < 1; y_bar is 0 for y >= 0 (from the right) and -inf for y < 0 (JAX: nan). Below 0
        only integers y have a power, and y_bar is nan.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: power rule.

    Example:
        >>> z, res = pow.fwd(jnp.array([0.5, 1.0, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*pow.bwd(res, z))
        [ 0.49999997 -1.5         0.22735749] [-0.34657356  0.          1.0506147 ]
    """
    return jnp.power(x, y)


def pow_x_bar(z_bar: Array, x: Array, y: Array) -> Array:
    x, y = widen(x), widen(y)
    less = jnp.where(y == 0, jnp.ones_like(y), y - 1)
    part = less - y  # Knuth's two-sum: what y - 1 loses by its rounding
    lost = jnp.where(y == 0, jnp.zeros_like(y), (y - (less - part)) - (1 + part))
    grown = lost * jnp.log(jnp.where(lost == 0, jnp.ones_like(x), jnp.abs(x)))
    slope = y * jnp.power(x, less) * (1 + grown)
    return z_bar * jnp.where(y == 0, jnp.zeros_like(y), slope)


def pow_y_bar(z_bar: Array, x: Array, y: Array, z: Array) -> Array:
    zero = x == 0
    slope = jnp.log(jnp.where(zero, jnp.ones_like(x), x)) * z
    pole = jnp.where(y < 0, -jnp.inf, jnp.zeros_like(z))
    return z_bar * jnp.where(zero, pole, slope)


pow = Gate(pow_definition, pow_x_bar, pow_y_bar, primitive="pow", domains={"x": POSITIVE})


def integer_pow_definition(x: Inexact[Array, "*s"], *, exponent: int = 2) -> Inexact[Array, "*s"]:
    """y = x^n for a fixed integer n, by repeated products.

    Maths: x_bar = y_bar n x^(n-1), 0 for n = 0.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none; for n < 0 the pole at x = 0 gives inf.
    Raises: OptionError unless the exponent is an integer, DtypeError for integers x.
    Source: power rule.

    Example:
        >>> y, res = integer_pow.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*integer_pow.bwd(res, y))
        [[ 2.         -0.25       16.        ]
         [ 0.25       -6.75        0.05400001]]
    """
    return x**exponent


def integer_pow_x_bar(y_bar: Array, x: Array, exponent: int) -> Array:
    if exponent == 0:
        return jnp.zeros_like(y_bar)
    return y_bar * (exponent * lax.integer_pow(widen(x), exponent - 1))


def check_integer_pow(x: Array, *, exponent: int) -> None:
    """Raise unless the exponent is an integer."""
    if not isinstance(exponent, int):
        raise OptionError(f"integer_pow: exponent is {exponent!r}, expected an integer; use pow")


integer_pow = Gate(
    integer_pow_definition,
    integer_pow_x_bar,
    primitive="integer_pow",
    options={"exponent": (2, 3, -2)},
    domains={"x": NONZERO},
    check=check_integer_pow,
)

OPS = (rsqrt, cbrt, pow, integer_pow)
