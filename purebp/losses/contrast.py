"""Losses that draw vectors of one kind together and push others away."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    check_reduction,
    reduce_examples,
    spread_over_examples,
)
from purebp.losses.similarity import inverse_norm
from purebp.numerics import widen
from purebp.op import Op, conditioned
from purebp.residuals import Spec, spec_of


class TripletResiduals(NamedTuple):
    """The differences to the positive and the negative, and 1 / distance where they count."""

    near: Array
    far: Array
    r: Array
    s: Array
    anchor: Spec
    positive: Spec
    negative: Spec


def triplet_definition(
    anchor: Float[Array, "*batch d"],
    positive: Float[Array, "*batch d"],
    negative: Float[Array, "*batch d"],
    *,
    margin: float = 1.0,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = max(0, |a - p| - |a - n| + margin): the negative is to be further off.

    Maths: with u = (a - p) / |a - p|, v = (a - n) / |a - n| and w = [loss > 0]:
        a_bar = loss_bar w (u - v), p_bar = -loss_bar w u, n_bar = loss_bar w v.
    Shapes: anchor, positive, negative (*batch, d); loss () or (*batch) without reduction.
    Residuals: a - p and a - n, and of each example w / |a - p| and w / |a - n|.
    Kinks: a margin that is met exactly has slope 0, and so has a distance of 0.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Schroff, Kalenichenko and Philbin 2015, "FaceNet", equation 3, with distances.
    """
    distances = []
    for other in (positive, negative):
        difference = widen(anchor - other)
        square = jnp.sum(difference * difference, axis=-1)
        zero = square == 0
        distances.append(jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square))))
    gaps = distances[0] - distances[1] + margin
    losses = jnp.where(gaps <= 0, 0, gaps)
    return reduce_examples(losses, reduction).astype(jnp.result_type(anchor, positive, negative))


def triplet_fwd(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float = 1.0,
    reduction: Reduction = "mean",
) -> tuple[Array, TripletResiduals]:
    near, far = anchor - positive, anchor - negative
    r, s = inverse_norm(widen(near)), inverse_norm(widen(far))
    # Not the square times r: where the margin is met exactly its rounding would decide.
    distances = [jnp.sqrt(jnp.sum(widen(v) ** 2, axis=-1, keepdims=True)) for v in (near, far)]
    gaps = distances[0] - distances[1] + margin
    losses = jnp.where(gaps <= 0, 0, gaps)[..., 0]
    loss = reduce_examples(losses, reduction).astype(jnp.result_type(anchor, positive, negative))
    specs = spec_of(anchor), spec_of(positive), spec_of(negative)
    counts = gaps > 0
    return loss, TripletResiduals(
        near, far, jnp.where(counts, r, 0), jnp.where(counts, s, 0), *specs
    )


def triplet_bwd(
    res: TripletResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array, Array]:
    share = spread_over_examples(loss_bar, res.near.shape[:-1], reduction)
    u, v = share * res.r * widen(res.near), share * res.s * widen(res.far)
    return (
        (u - v).astype(res.anchor.dtype),
        -u.astype(res.positive.dtype),
        v.astype(res.negative.dtype),
    )


def check_triplet(
    anchor: Array, positive: Array, negative: Array, *, margin: float, reduction: str
) -> None:
    """Raise for an unknown reduction."""
    check_reduction("triplet", reduction)


triplet = Op(
    triplet_fwd,
    triplet_bwd,
    definition=triplet_definition,
    options={"margin": (1.0, 0.2), "reduction": REDUCTIONS},
    check=check_triplet,
    kinks="slope 0 where the margin is met exactly, and at a distance of 0",
    tolerance=conditioned("u - v and a - p are differences that cancel", pooled=True),
)


OPS = (triplet,)
