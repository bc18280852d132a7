"""Trigonometric gates and their inverses. No slope cancels near the ends of a domain."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import NONZERO, between

INSIDE = {"x": between(-1, 1)}


def sin_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = sin x, x in radians.

    Maths: x_bar = y_bar cos x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: derivative of the sine.

    Example:
        >>> y, res = sin.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*sin.bwd(res, y))
        [ 0.45464867 -0.4207355  -0.37840125]
    """
    return jnp.sin(x)


def sin_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * jnp.cos(widen(x))


sin = Gate(sin_definition, sin_x_bar, primitive="sin")


def cos_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = cos x, x in radians.

    Maths: x_bar = -y_bar sin x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: derivative of the cosine.

    Example:
        >>> y, res = cos.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*cos.bwd(res, y))
        [-0.45464867  0.4207355   0.37840125]
    """
    return jnp.cos(x)


def cos_x_bar(y_bar: Array, x: Array) -> Array:
    return -y_bar * jnp.sin(widen(x))


cos = Gate(cos_definition, cos_x_bar, primitive="cos")


def tan_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = tan x, x in radians.

    Maths: x_bar = y_bar (1 + y^2), a sum that cannot cancel.
    Shapes: y and x_bar are shaped like x.
    Residuals: y.
    Kinks: none between the poles.
    Raises: DtypeError for integers.
    Source: derivative of the tangent.

    Example:
        >>> y, res = tan.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*tan.bwd(res, y))
        [  5.3349295  -0.7093445 -12.6172905]
    """
    return jnp.tan(x)


def tan_x_bar(y_bar: Array, y: Array) -> Array:
    wide = widen(y)
    return y_bar * (1 + wide * wide)


tan = Gate(tan_definition, tan_x_bar, primitive="tan")


def _opposite(x: Array) -> Array:
    """sqrt(1 - x^2) as a product: 1 - x^2 would cancel near -1 and 1."""
    return jnp.sqrt((1 - x) * (1 + x))


def asin_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = arcsin x, for -1 <= x <= 1.

    Maths: x_bar = y_bar / sqrt((1 - x) (1 + x)).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: x = -1 and x = 1 have the slope inf; beyond them y is nan.
    Raises: DtypeError for integers.
    Source: inverse function. The definition is the angle of (sqrt(1 - x^2), x).

    Example:
        >>> y, res = asin.fwd(jnp.array([-0.5, 0.1, 0.8]))
        >>> print(*asin.bwd(res, y))
        [-0.60459983  0.10067205  1.5454923 ]
    """
    return jnp.arctan2(x, _opposite(x))


def asin_forward(x: Array) -> Array:
    return jnp.arcsin(widen(x)).astype(x.dtype)


def asin_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar / _opposite(widen(x))


asin = Gate(asin_definition, asin_x_bar, forward=asin_forward, primitive="asin", domains=INSIDE)


def acos_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = arccos x, for -1 <= x <= 1.

    Maths: x_bar = -y_bar / sqrt((1 - x) (1 + x)).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: x = -1 and x = 1 have the slope -inf; beyond them y is nan.
    Raises: DtypeError for integers.
    Source: inverse function. The definition is the angle of (x, sqrt(1 - x^2)).

    Example:
        >>> y, res = acos.fwd(jnp.array([-0.5, 0.1, 0.8]))
        >>> print(*acos.bwd(res, y))
        [-2.4183993 -1.4780376 -1.0725018]
    """
    return jnp.arctan2(_opposite(x), x)


def acos_forward(x: Array) -> Array:
    return jnp.arccos(widen(x)).astype(x.dtype)


def acos_x_bar(y_bar: Array, x: Array) -> Array:
    return -y_bar / _opposite(widen(x))


acos = Gate(acos_definition, acos_x_bar, forward=acos_forward, primitive="acos", domains=INSIDE)


def atan_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = arctan x, the angle whose tangent is x.

    Maths: x_bar = y_bar / (1 + x^2).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: inverse function.

    Example:
        >>> y, res = atan.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*atan.bwd(res, y))
        [ 0.39269906 -0.37091804  0.22142978]
    """
    return jnp.arctan(x)


def atan_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    return y_bar / (1 + wide * wide)


atan = Gate(atan_definition, atan_x_bar, primitive="atan")


def atan2_definition(x: Float[Array, "*#s"], y: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = the angle of the point (y, x), arctan(x / y) in all four quadrants.

    Maths: x_bar = z_bar y / (x^2 + y^2), y_bar = -z_bar x / (x^2 + y^2). Both are divided by the
        larger of |x| and |y| first, so that the squares neither overflow nor vanish.
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x and y.
    Kinks: x = y = 0 has no angle: nan, as in JAX.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: derivative of the polar angle.

    Example:
        >>> z, res = atan2.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*atan2.bwd(res, z))
        [0.4428595  1.6919051  0.10429631] [-0.885719   -0.56396836 -0.69530874]
    """
    return jnp.arctan2(x, y)


def polar_slope(own: Array, other: Array) -> Array:
    """own / (own^2 + other^2)."""
    size = jnp.maximum(jnp.abs(own), jnp.abs(other))
    u, v = own / size, other / size
    return u / (u * u + v * v) / size


def atan2_x_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * polar_slope(widen(y), widen(x))


def atan2_y_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return -z_bar * polar_slope(widen(x), widen(y))


atan2 = Gate(atan2_definition, atan2_x_bar, atan2_y_bar, primitive="atan2", domains={"y": NONZERO})

OPS = (sin, cos, tan, asin, acos, atan, atan2)
