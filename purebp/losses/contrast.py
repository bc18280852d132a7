"""Losses that draw vectors of one kind together and push others away."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.losses.classification import softmax_cross_entropy
from purebp.losses.difference import check_entries
from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    check_reduction,
    reduce_examples,
    share_of,
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

    Example:
        >>> anchor = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> positive = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> negative = jnp.array([[-2.0, 1.5, 0.8], [-0.2, 0.6, -1.0]])
        >>> y, res = triplet.fwd(anchor, positive, negative)
        >>> [jnp.shape(bar) for bar in triplet.bwd(res, 1.0)]
        [(2, 3), (2, 3), (2, 3)]
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


class InfoNceResiduals(NamedTuple):
    """The vectors, and by how much each pair pulls: the sum for both sides, or one for each."""

    x: Array
    y: Array
    rows: Array
    columns: Array | None


def info_nce_definition(
    x: Float[Array, "n d"],
    y: Float[Array, "n d"],
    *,
    temperature: float = 0.07,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss_i = cross-entropy of the pair (i, i), in row i and in column i of S = x y^T / T, halved.

    Maths: with P and Q the softmax of S over its rows and its columns and g the cotangents:
        S_bar_ij = (g_i P_ij + g_j Q_ij) / 2 for i != j; S_bar_ii = -g_i / 2 times the sum of the
        others in row i of P and in column i of Q, for P_ii - 1 would cancel;
        x_bar = S_bar y / T, y_bar = S_bar^T x / T. CLIP normalises x and y first.
    Shapes: x, y (n, d); loss () or (n) without reduction, in nats.
    Residuals: x, y and P + Q with the diagonal as above: g is the same for all pairs. Without
        reduction P and Q, which different g multiply.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError unless the temperature is above 0.
    Source: van den Oord 2018, "Contrastive predictive coding"; Radford et al. 2021, "Learning
        transferable visual models from natural language supervision", figure 3.

    Example:
        >>> x, y = jnp.array([[1.0, -0.5], [0.5, -1.5]]), jnp.array([[0.5, -1.5], [-2.0, 1.5]])
        >>> z, res = info_nce.fwd(x, y, temperature=1.0)
        >>> for bar in info_nce.bwd(res, 1.0): print(bar)
        [[-0.41963357  0.5383994 ]
         [ 1.0314093  -1.2725302 ]]
        [[ 0.02294438 -0.565887  ]
         [-0.04229943  0.5271768 ]]
    """
    scores, pairs = _scores(x, y, temperature), jnp.arange(x.shape[0])
    losses = [
        softmax_cross_entropy.definition(side, pairs, reduction="none")
        for side in (scores, scores.T)
    ]
    return reduce_examples((losses[0] + losses[1]) / 2, reduction).astype(jnp.result_type(x, y))


def _scores(x: Array, y: Array, temperature: float) -> Array:
    return jnp.matmul(widen(x), widen(y).T, out_sharding=explicit_sharding(x)) / temperature


def _side(scores: Array, axis: int) -> tuple[Array, Array]:
    """Of each pair the cross-entropy along one axis, and the softmax less 1 for the pairs."""
    n = scores.shape[0]
    pairs = jnp.arange(n)[:, None] == jnp.arange(n)
    largest = lax.stop_gradient(jnp.max(scores, axis=axis, keepdims=True, initial=-jnp.inf))
    gaps = scores - largest
    terms = jnp.where(pairs, 0, jnp.exp(gaps))
    others = jnp.sum(terms, axis=axis, keepdims=True)
    right = jnp.sum(jnp.where(pairs, gaps, 0), axis=axis, keepdims=True)
    own = jnp.exp(right)
    likely = own >= others
    near = jnp.log1p(others / jnp.where(likely, own, 1))
    losses = jnp.where(likely, near, jnp.log(own + others) - right)
    return losses.reshape(-1), jnp.where(pairs, -others, terms) / (own + others)


def info_nce_fwd(
    x: Array, y: Array, *, temperature: float = 0.07, reduction: Reduction = "mean"
) -> tuple[Array, InfoNceResiduals]:
    scores = _scores(x, y, temperature)
    by_row, rows = _side(scores, 1)
    by_column, columns = _side(scores, 0)
    loss = reduce_examples((by_row + by_column) / 2, reduction).astype(jnp.result_type(x, y))
    if reduction == "none":
        return loss, InfoNceResiduals(x, y, rows, columns)
    return loss, InfoNceResiduals(x, y, rows + columns, None)


def info_nce_bwd(
    res: InfoNceResiduals, loss_bar: Array, *, temperature: float, reduction: Reduction
) -> tuple[Array, Array]:
    x, y, pull, columns = res
    share = share_of(loss_bar, x.shape[:1], reduction) / (2 * temperature)
    if columns is not None:
        pull, share = share[:, None] * pull + share * columns, 1
    x_bar = share * jnp.matmul(pull, widen(y), out_sharding=explicit_sharding(x))
    y_bar = share * jnp.matmul(pull.T, widen(x), out_sharding=explicit_sharding(y))
    return x_bar.astype(x.dtype), y_bar.astype(y.dtype)


def check_info_nce(x: Array, y: Array, *, temperature: float, reduction: str) -> None:
    """Raise for an unknown reduction, and unless the temperature is above 0."""
    check_entries("info_nce", reduction=reduction, temperature=temperature)


info_nce = Op(
    info_nce_fwd,
    info_nce_bwd,
    definition=info_nce_definition,
    options={"temperature": (0.5,), "reduction": REDUCTIONS},
    check=check_info_nce,
    tolerance=conditioned("e^(S - max) magnifies the rounding of S", pooled=True),
)

OPS = (triplet, info_nce)
