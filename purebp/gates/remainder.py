"""The remainder: a straight line between two steps."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import NONZERO


def rem_definition(x: Float[Array, "*#s"], y: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = x - q y with q = x / y rounded towards 0: the remainder, with the sign of x.

    Maths: x_bar = z_bar, y_bar = -q z_bar. q is the quotient of x - z, which is a multiple of y:
        x / y may round up to the next integer, where JAX's slope is off by one.
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x, y and z.
    Kinks: the steps at multiples of y count as the line that goes on from 0.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: the remainder is a straight line between two steps.

    Example:
        >>> z, res = rem.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*rem.bwd(res, z))
        [ 0.         -0.5         0.19999993] [-0.        -0.        -1.1999996]
    """
    return jnp.fmod(x, y)


def rem_x_bar(z_bar: Array) -> Array:
    return z_bar


def rem_y_bar(z_bar: Array, x: Array, y: Array, z: Array) -> Array:
    wide = widen(y)
    return -z_bar * jnp.round((widen(x) - widen(z)) / wide)


rem = Gate(rem_definition, rem_x_bar, rem_y_bar, primitive="rem", domains={"y": NONZERO})

OPS = (rem,)
