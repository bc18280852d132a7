"""The affine layer: linear scores for any number of leading axes."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.op import Op
from purebp.residuals import Spec, spec_of


def affine_definition(
    x: Float[Array, "*batch d"],
    w: Float[Array, "d k"],
    b: Float[Array, "k"] | None = None,
) -> Float[Array, "*batch k"]:
    """y = x w + b, the same weights for every example.

    Maths: y_j = sum_i x_i w_ij + b_j. With G = y_bar:
        x_bar = G w^T, w_bar = x^T G and b_bar = G, the last two summed over the examples.
    Shapes: x (*batch, d), w (d, k), b (k) or None; y (*batch, k).
    Residuals: x and w, the local gradients of each other; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if w or b do not fit x, DtypeError for integers.
    Source: CS231n, lecture 4 and assignment 1, the affine layer.

    Example:
        >>> x, w, b = jnp.array([[1.0, 2.0]]), jnp.array([[1.0], [-1.0]]), jnp.array([0.5])
        >>> y, res = affine.fwd(x, w, b)
        >>> for bar in affine.bwd(res, y): print(bar)
        [[-0.5  0.5]]
        [[-0.5]
         [-1. ]]
        [-0.5]
    """
    y = x @ w
    return y if b is None else y + b


class AffineResiduals(NamedTuple):
    x: Array
    w: Array
    b: Spec | None


def affine_fwd(x: Array, w: Array, b: Array | None = None) -> tuple[Array, AffineResiduals]:
    y = jnp.matmul(x, w)
    if b is None:
        return y, AffineResiduals(x, w, None)
    return y + b, AffineResiduals(x, w, spec_of(b))


def affine_bwd(res: AffineResiduals, y_bar: Array) -> tuple[Array, Array, Array | None]:
    x, w, b = res
    examples = tuple(range(x.ndim - 1))
    x_bar = jnp.matmul(y_bar, w.T, out_sharding=explicit_sharding(x)).astype(x.dtype)
    w_bar = jnp.tensordot(
        x, y_bar, axes=(examples, examples), out_sharding=explicit_sharding(w)
    ).astype(w.dtype)
    if b is None:
        return x_bar, w_bar, None
    return x_bar, w_bar, jnp.sum(y_bar, axis=examples).astype(b.dtype)


affine = Op(affine_fwd, affine_bwd, definition=affine_definition)

OPS = (affine,)
