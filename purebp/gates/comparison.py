"""The router gates: max and min hand the upstream gradient to the operand that was chosen."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate


def max_definition(x: Float[Array, "*#s"], y: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = max(x, y), the router: the larger operand receives the upstream gradient.

    Maths: z = max(x, y); x_bar = z_bar [x > y], y_bar = z_bar [y > x].
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x and y.
    Kinks: at a tie each operand receives half, as in JAX.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: CS231n, lecture 4, patterns in backward flow.
    """
    return jnp.maximum(x, y)


def max_x_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(x > y, x == y, z_bar.dtype)


def max_y_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(y > x, x == y, z_bar.dtype)


max = Gate(max_definition, max_x_bar, max_y_bar, primitive="max", kinks="ties share equally")


def min_definition(x: Float[Array, "*#s"], y: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = min(x, y), a router: the smaller operand receives the upstream gradient.

    Maths: z = min(x, y); x_bar = z_bar [x < y], y_bar = z_bar [y < x].
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x and y.
    Kinks: at a tie each operand receives half, as in JAX.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: CS231n, lecture 4, patterns in backward flow.
    """
    return jnp.minimum(x, y)


def min_x_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(x < y, x == y, z_bar.dtype)


def min_y_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(y < x, x == y, z_bar.dtype)


min = Gate(min_definition, min_x_bar, min_y_bar, primitive="min", kinks="ties share equally")


def _share(wins: Array, ties: Array, dtype: Any) -> Array:
    return jnp.where(ties, 0.5, wins).astype(dtype)


OPS = (max, min)
