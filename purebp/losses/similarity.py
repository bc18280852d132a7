"""The cosine of the angle between vectors, and the loss that it makes."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.losses.difference import check_entries
from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    reduce_examples,
    spread_over_examples,
)
from purebp.numerics import widen
from purebp.op import Op, conditioned

SIZES = {"d": (3, 2, 5, 4)}  # the cosine of two numbers is a sign, which has no slope
CANCELS = conditioned("y / |y| - c x / |x| cancels where x and y are parallel", pooled=True)


class CosineResiduals(NamedTuple):
    """x, y, and of each example 1 / |x|, 1 / |y| and the cosine."""

    x: Array
    y: Array
    r: Array
    s: Array
    cosine: Array


def inverse_norm(x: Array) -> Array:
    """1 / |x|, 0 for x = 0."""
    square = jnp.sum(x * x, axis=-1, keepdims=True)
    zero = square == 0
    return jnp.where(zero, 0, 1 / jnp.sqrt(jnp.where(zero, 1, square)))


def _cosine(x: Array, y: Array) -> Array:
    wide, other = widen(x), widen(y)
    unit, second = wide * inverse_norm(wide), other * inverse_norm(other)
    return jnp.sum(unit * second, axis=-1)


def _cosine_save(x: Array, y: Array) -> CosineResiduals:
    wide, other = widen(x), widen(y)
    r, s = inverse_norm(wide), inverse_norm(other)
    cosine = jnp.sum(wide * other, axis=-1, keepdims=True) * r * s
    return CosineResiduals(x, y, r, s, cosine)


def _cosine_bars(res: CosineResiduals, c_bar: Array) -> tuple[Array, Array]:
    """c_bar has an axis of size 1 for the features."""
    unit, second = widen(res.x) * res.r, widen(res.y) * res.s
    x_bar = c_bar * res.r * (second - res.cosine * unit)
    y_bar = c_bar * res.s * (unit - res.cosine * second)
    return x_bar.astype(res.x.dtype), y_bar.astype(res.y.dtype)


def cosine_similarity_definition(
    x: Float[Array, "*batch d"], y: Float[Array, "*batch d"]
) -> Float[Array, "*batch"]:
    """c = x . y / (|x| |y|), the cosine of the angle between two vectors.

    Maths: x_bar = c_bar (y / |y| - c x / |x|) / |x|, and y_bar the other way round.
    Shapes: x, y (*batch, d); c (*batch).
    Residuals: x, y, and of each example 1 / |x|, 1 / |y| and c.
    Kinks: a zero vector has cosine 0 and slope 0.
    Raises: ShapeError if the shapes differ, DtypeError for integers.
    Source: quotient rule.

    Example:
        >>> y, res = cosine_similarity.fwd(jnp.array([1.0, 2.0]), jnp.array([2.0, 1.0]))
        >>> print(*cosine_similarity.bwd(res, 1.0))
        [ 0.24       -0.11999999] [-0.11999999  0.24      ]
    """
    return _cosine(x, y).astype(jnp.result_type(x, y))


def cosine_similarity_fwd(x: Array, y: Array) -> tuple[Array, CosineResiduals]:
    res = _cosine_save(x, y)
    return res.cosine[..., 0].astype(jnp.result_type(x, y)), res


def cosine_similarity_bwd(res: CosineResiduals, c_bar: Array) -> tuple[Array, Array]:
    return _cosine_bars(res, widen(c_bar)[..., None])


cosine_similarity = Op(
    cosine_similarity_fwd,
    cosine_similarity_bwd,
    definition=cosine_similarity_definition,
    sizes=SIZES,
    kinks="a zero vector has cosine 0 and slope 0",
    tolerance=CANCELS,
)


def cosine_distance_definition(
    x: Float[Array, "*batch d"], y: Float[Array, "*batch d"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = 1 - x . y / (|x| |y|): 0 for vectors of one direction, 2 for opposite ones.

    Maths: with c the cosine: x_bar = loss_bar (c x / |x| - y / |y|) / |x|, and y_bar the other
        way round.
    Shapes: x, y (*batch, d); loss () or (*batch) without reduction.
    Residuals: x, y, and of each example 1 / |x|, 1 / |y| and c.
    Kinks: a zero vector has distance 1 and slope 0.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: quotient rule.

    Example:
        >>> y, res = cosine_distance.fwd(jnp.array([1.0, 2.0]), jnp.array([2.0, 1.0]))
        >>> print(*cosine_distance.bwd(res, 1.0))
        [-0.24        0.11999999] [ 0.11999999 -0.24      ]
    """
    return reduce_examples(1 - _cosine(x, y), reduction).astype(jnp.result_type(x, y))


def cosine_distance_fwd(
    x: Array, y: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, CosineResiduals]:
    res = _cosine_save(x, y)
    loss = reduce_examples(1 - res.cosine[..., 0], reduction)
    return loss.astype(jnp.result_type(x, y)), res


def cosine_distance_bwd(
    res: CosineResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    return _cosine_bars(res, -spread_over_examples(loss_bar, res.x.shape[:-1], reduction))


cosine_distance = Op(
    cosine_distance_fwd,
    cosine_distance_bwd,
    definition=cosine_distance_definition,
    sizes=SIZES,
    options={"reduction": REDUCTIONS},
    check=partial(check_entries, "cosine_distance"),
    kinks="a zero vector has distance 1 and slope 0",
    tolerance=CANCELS,
)


OPS = (cosine_similarity, cosine_distance)
