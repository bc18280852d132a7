"""Hyperbolic gates and their inverses; tanh is with the exponential gates."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import between


def _exponentials(x: Array) -> tuple[Array, Array]:
    """e^|x| / 2 and e^-|x| / 2, from e^(|x| / 2): the halving is exact, and nothing overflows."""
    h = jnp.exp(jnp.abs(x) / 2)
    return (h / 2) * h, (0.5 / h) / h


def _sinh(x: Array) -> Array:
    large, small = _exponentials(x)
    near = jnp.abs(x) < 1
    return jnp.where(near, jnp.sinh(jnp.where(near, x, 0)), jnp.sign(x) * (large - small))


def _cosh(x: Array) -> Array:
    large, small = _exponentials(x)
    return large + small


def sinh_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = sinh x.

    Maths: x_bar = y_bar cosh x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: derivative of the hyperbolic sine.

    Example:
        >>> y, res = sinh.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*sinh.bwd(res, y))
        [ 1.8134301 -0.5876005 13.644958 ]
    """
    near = jnp.abs(x) < 1
    far = jnp.where(near, 1, x)
    return jnp.where(near, jnp.sinh(jnp.where(near, x, 0)), (jnp.exp(far) - jnp.exp(-far)) / 2)


def sinh_forward(x: Array) -> Array:
    return _sinh(widen(x)).astype(x.dtype)


def sinh_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * _cosh(widen(x))


sinh = Gate(sinh_definition, sinh_x_bar, forward=sinh_forward, primitive="sinh")


def cosh_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = cosh x.

    Maths: x_bar = y_bar sinh x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: derivative of the hyperbolic cosine.

    Example:
        >>> y, res = cosh.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*cosh.bwd(res, y))
        [ 1.8134301 -0.5876005 13.644958 ]
    """
    near = jnp.abs(x) < 1
    far = jnp.where(near, 1, x)
    return jnp.where(near, jnp.cosh(jnp.where(near, x, 0)), (jnp.exp(far) + jnp.exp(-far)) / 2)


def cosh_forward(x: Array) -> Array:
    return _cosh(widen(x)).astype(x.dtype)


def cosh_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * _sinh(widen(x))


cosh = Gate(cosh_definition, cosh_x_bar, forward=cosh_forward, primitive="cosh")


def asinh_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = arsinh x.

    Maths: x_bar = y_bar / sqrt(x^2 + 1); for large |x| it is 1 / |x|, and x^2 is not formed.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: inverse function.

    Example:
        >>> y, res = asinh.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*asinh.bwd(res, y))
        [ 0.6232253  -0.43040895  0.6456134 ]
    """
    return jnp.arcsinh(x)


def asinh_forward(x: Array) -> Array:
    return jnp.arcsinh(widen(x)).astype(x.dtype)


def asinh_x_bar(y_bar: Array, x: Array) -> Array:
    size = jnp.abs(widen(x))
    near = jnp.minimum(size, 1e15)
    return y_bar / jnp.where(size > near, size, jnp.sqrt(near * near + 1))


asinh = Gate(asinh_definition, asinh_x_bar, forward=asinh_forward, primitive="asinh")


def acosh_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = arcosh x, for x >= 1.

    Maths: y = ln(1 + u) with u = x - 1 + sqrt(x - 1) sqrt(x + 1), which keeps its digits near 1;
        x_bar = y_bar / (sqrt(x - 1) sqrt(x + 1)).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: x = 1 has the slope inf; below it y is nan.
    Raises: DtypeError for integers.
    Source: inverse function.

    Example:
        >>> y, res = acosh.fwd(jnp.array([1.5, 2.0, 3.0]))
        >>> print(*acosh.bwd(res, y))
        [0.86081785 0.76034606 0.6232253 ]
    """
    return jnp.log1p(x - 1 + jnp.sqrt(x - 1) * jnp.sqrt(x + 1))


def acosh_forward(x: Array) -> Array:
    wide = widen(x)
    far = wide > 1e9
    near = jnp.where(far, 1, wide)
    y = jnp.log1p(near - 1 + jnp.sqrt(near - 1) * jnp.sqrt(near + 1))
    return jnp.where(far, jnp.log(wide) + jnp.log(jnp.full_like(wide, 2)), y).astype(x.dtype)


def acosh_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    return y_bar / (jnp.sqrt(wide - 1) * jnp.sqrt(wide + 1))


acosh = Gate(
    acosh_definition,
    acosh_x_bar,
    forward=acosh_forward,
    primitive="acosh",
    domains={"x": between(1)},
)


def atanh_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = artanh x, for -1 < x < 1.

    Maths: y = (ln(1 + x) - ln(1 - x)) / 2; x_bar = y_bar / ((1 - x) (1 + x)), a product, for
        1 - x^2 would cancel near -1 and 1.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: x = -1 and x = 1 have the slope inf; beyond them y is nan.
    Raises: DtypeError for integers.
    Source: inverse function.

    Example:
        >>> y, res = atanh.fwd(jnp.array([-0.5, 0.1, 0.8]))
        >>> print(*atanh.bwd(res, y))
        [-0.7324082   0.10134883  3.0517013 ]
    """
    return (jnp.log1p(x) - jnp.log1p(-x)) / 2


def atanh_forward(x: Array) -> Array:
    return jnp.arctanh(widen(x)).astype(x.dtype)


def atanh_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    return y_bar / ((1 - wide) * (1 + wide))


atanh = Gate(
    atanh_definition,
    atanh_x_bar,
    forward=atanh_forward,
    primitive="atanh",
    domains={"x": between(-1, 1)},
)

OPS = (sinh, cosh, asinh, acosh, atanh)
