"""Layers that only change the shape."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.residuals import Spec


def flatten_definition(x: Float[Array, "n *rest"]) -> Float[Array, "n d"]:
    """y = x with all axes but the first made one, as between a pool and an affine layer.

    Maths: y_nd = x_n...; x_bar = y_bar in the shape of x.
    Shapes: x (n, ...), y (n, d) with d the product of the other axes.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: ShapeError for an array without axes, DtypeError for integers.
    Source: CS231n, assignment 1.
    """
    return jnp.reshape(x, (x.shape[0], -1 if x.size else _width(x.shape)))


def flatten_x_bar(y_bar: Array, x_spec: Spec) -> Array:
    return y_bar.reshape(x_spec.shape)


def _width(shape: tuple[int, ...]) -> int:
    width = 1
    for size in shape[1:]:
        width *= size
    return width


flatten = Gate(flatten_definition, flatten_x_bar)

OPS = (flatten,)
