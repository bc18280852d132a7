"""Losses that compare scores with the label of the right class."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

from purebp.compat import explicit_sharding
from purebp.errors import ShapeError
from purebp.losses.extras import Extras, check_extras, counted_labels
from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    check_reduction,
    reduce_examples,
    spread_over_examples,
)
from purebp.numerics import widen
from purebp.op import Op, conditioned, index_below
from purebp.residuals import Spec, spec_of


def softmax_cross_entropy_definition(
    logits: Float[Array, "*batch v"],
    labels: Integer[Array, "*batch"],
    *,
    reduction: Reduction = "mean",
    ignore: int | None = None,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> Float[Array, "..."]:
    """loss = -ln p_t, p = softmax(logits) and t the label of each example.

    Maths: loss = ln sum_j e^{z_j} - z_t; z_bar_j = loss_bar p_j for j != t, and
        z_bar_t = -loss_bar sum_{j != t} p_j, which is p_t - 1 without the cancellation where p_t
        is near 1. The definition is ln(1 + sum_{j != t} e^{z_j - z_t}) for the same reason.
        smoothing, z_loss: see `Extras`. ignore: the loss of an example with this label is 0, its
        gradient too, and the mean is that of the others (0 if there are none): so padding in a
        batch of sequences does not count.
    Shapes: logits (*batch, v), labels (*batch); loss () or (*batch) without reduction, in nats.
    Residuals: e^{z_j - max z} with 0 for the label, in place of the logits; the labels; and of
        each example the label's own term and the sum of the others. So the backward pass is one
        product, without a second exp, and p_t - 1 keeps its digits.
    Kinks: none.
    Raises: ShapeError if labels do not fit the logits or there are no classes, DtypeError for
        labels that are not integers, OptionError for an unknown option. Labels have to be from
        0 to v - 1, or `ignore`: for others loss and gradient are nan.
    Source: CS231n, lecture 3; derived by hand.

    Example:
        >>> logits, labels = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]), jnp.array([1, 1])
        >>> y, res = softmax_cross_entropy.fwd(logits, labels)
        >>> for bar in softmax_cross_entropy.bwd(res, 1.0): print(bar)
        [[ 0.1268581  -0.47169414  0.34483606]
         [ 0.2558767  -0.46537083  0.20949411]]
        None
    """
    z = widen(logits)
    labels, counted = counted_labels(labels, ignore)
    others = labels[..., None] != jnp.arange(z.shape[-1])
    gaps = jnp.where(others, z - jnp.take_along_axis(z, _index(labels, z), axis=-1), 0)
    largest = lax.stop_gradient(jnp.max(gaps, axis=-1, keepdims=True))
    ratios = jnp.sum(jnp.where(others, jnp.exp(gaps - largest), 0), axis=-1)
    losses = largest[..., 0] + jnp.log1p(jnp.expm1(-largest[..., 0]) + ratios)
    if smoothing or z_loss:
        losses = Extras(smoothing, z_loss).define(losses, z)
    return reduce_examples(losses, reduction, counted).astype(logits.dtype)


class CrossEntropyResiduals(NamedTuple):
    terms: Float[Array, "*batch v"]
    labels: Integer[Array, "*batch"]
    own: Float[Array, "*batch 1"]
    others: Float[Array, "*batch 1"]
    lse: Float[Array, "*batch 1"] | None
    logits: Spec


def softmax_cross_entropy_fwd(
    logits: Array,
    labels: Array,
    *,
    reduction: Reduction = "mean",
    ignore: int | None = None,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> tuple[Array, CrossEntropyResiduals]:
    z, given = widen(logits), labels
    labels, counted = counted_labels(labels, ignore)
    largest = lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    target = _at_label(z, labels) - largest
    terms = _put_at_label(jnp.exp(z - largest), labels, 0)
    own, others = jnp.exp(target), jnp.sum(terms, axis=-1, keepdims=True)
    likely = own >= others
    near = jnp.log1p(others / jnp.where(likely, own, 1))
    losses = jnp.where(likely, near, jnp.log(own + others) - target)[..., 0]
    lse = None
    if smoothing or z_loss:
        lse = largest + jnp.log(own + others)
        losses = Extras(smoothing, z_loss).add(losses, z, lse)
    loss = reduce_examples(losses, reduction, counted).astype(logits.dtype)
    return loss, CrossEntropyResiduals(terms, given, own, others, lse, spec_of(logits))


def softmax_cross_entropy_bwd(
    res: CrossEntropyResiduals,
    loss_bar: Array,
    *,
    reduction: Reduction = "mean",
    ignore: int | None = None,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> tuple[Array, None]:
    terms, labels, own, others, lse, logits = res
    labels, counted = counted_labels(labels, ignore)
    share = spread_over_examples(loss_bar, labels.shape, reduction, counted)
    scale = share / (own + others)
    if lse is None:
        z_bar = _put_at_label(terms * scale, labels, -others * scale)
    else:
        factor, less = Extras(smoothing, z_loss).factors(share, lse, logits.shape[-1])
        at_label = Extras(smoothing, z_loss).at_label(scale, own, others, lse, logits.shape[-1])
        z_bar = _put_at_label(terms * scale * factor - less, labels, at_label)
    return z_bar.astype(logits.dtype), None


def check_softmax_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    reduction: str,
    ignore: int | None,
    smoothing: float,
    z_loss: float,
) -> None:
    """Raise for an unknown reduction or wrong options, and for logits without classes."""
    check_reduction("softmax_cross_entropy", reduction)
    check_extras("softmax_cross_entropy", ignore, smoothing, z_loss)
    _check_classes("softmax_cross_entropy", "logits", logits)


def _index(labels: Array, scores: Array) -> Array:
    """The labels as indices for the last axis; -1 is no class either."""
    index = labels.astype(jnp.int32)[..., None]
    return jnp.where(index < 0, scores.shape[-1], index)


def _at_label(scores: Array, labels: Array) -> Array:
    """The score of the right class, (*batch, 1); nan for a label that is no class."""
    index = _index(labels, scores)
    return jnp.take_along_axis(scores, index, axis=-1, mode="fill", fill_value=jnp.nan)


def _put_at_label(scores: Array, labels: Array, value: Array | float) -> Array:
    """The scores with another value for the right class. A mask of classes would be slower."""
    index = _index(labels, scores)
    if explicit_sharding(scores) is not None:  # put_along_axis cannot be told its sharding
        return jnp.where(jnp.arange(scores.shape[-1]) == index, value, scores)
    return jnp.put_along_axis(scores, index, value, axis=-1, inplace=False)


softmax_cross_entropy = Op(
    softmax_cross_entropy_fwd,
    softmax_cross_entropy_bwd,
    definition=softmax_cross_entropy_definition,
    options={
        "reduction": REDUCTIONS,
        "ignore": (None, 1),
        "smoothing": (0.0, 0.1),
        "z_loss": (0.0, 0.05),
    },
    domains={"labels": index_below("v")},
    check=check_softmax_cross_entropy,
    tolerance=conditioned("e^(z - max) magnifies the rounding of z - max"),
)


class SvmResiduals(NamedTuple):
    violated: Bool[Array, "*batch v"]
    labels: Integer[Array, "*batch"]
    scores: Spec


def svm_definition(
    scores: Float[Array, "*batch v"],
    labels: Integer[Array, "*batch"],
    *,
    margin: float = 1.0,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = sum over j != t of max(0, s_j - s_t + margin), the multiclass SVM loss.

    Maths: with v_j = [s_j - s_t + margin > 0] for j != t: s_bar_j = loss_bar v_j and
        s_bar_t = -loss_bar sum_j v_j.
    Shapes: scores (*batch, v), labels (*batch); loss () or (*batch) without reduction.
    Residuals: which margins are violated, a byte an entry, and the labels; not the scores.
    Kinks: a margin that is met exactly has slope 0.
    Raises: ShapeError if labels do not fit the scores or there are no classes, DtypeError for
        labels that are not integers, OptionError for an unknown reduction. Labels have to be from
        0 to v - 1: for others the loss is nan.
    Source: Weston and Watkins 1999; CS231n, lecture 3 and assignment 1.

    Example:
        >>> y, res = svm.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]), jnp.array([1, 1]))
        >>> for bar in svm.bwd(res, 1.0): print(bar)
        [[ 0.5 -1.   0.5]
         [ 0.5 -1.   0.5]]
        None
    """
    wide = widen(scores)
    gaps = wide - jnp.take_along_axis(wide, _index(labels, wide), axis=-1) + margin
    counts = (gaps > 0) & (labels[..., None] != jnp.arange(wide.shape[-1]))
    losses = jnp.sum(jnp.where(counts, gaps, 0), axis=-1)
    return reduce_examples(losses, reduction).astype(scores.dtype)


def svm_fwd(
    scores: Array, labels: Array, *, margin: float = 1.0, reduction: Reduction = "mean"
) -> tuple[Array, SvmResiduals]:
    wide = widen(scores)
    gaps = _put_at_label(wide - _at_label(wide, labels) + margin, labels, 0)
    losses = jnp.sum(jnp.where(gaps <= 0, 0, gaps), axis=-1)
    loss = reduce_examples(losses, reduction).astype(scores.dtype)
    return loss, SvmResiduals(gaps > 0, labels, spec_of(scores))


def svm_bwd(
    res: SvmResiduals, loss_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, None]:
    violated, labels, scores = res
    share = spread_over_examples(loss_bar, labels.shape, reduction)
    count = jnp.sum(violated, axis=-1, keepdims=True, dtype=share.dtype)
    s_bar = _put_at_label(jnp.where(violated, share, 0), labels, -count * share)
    return s_bar.astype(scores.dtype), None


def check_svm(scores: Array, labels: Array, *, margin: float, reduction: str) -> None:
    """Raise for an unknown reduction, and for scores without classes."""
    check_reduction("svm", reduction)
    _check_classes("svm", "scores", scores)


svm = Op(
    svm_fwd,
    svm_bwd,
    definition=svm_definition,
    options={"margin": (1.0, 0.3), "reduction": REDUCTIONS},
    domains={"labels": index_below("v")},
    check=check_svm,
    kinks="slope 0 where a margin is met exactly",
)


def _check_classes(op: str, name: str, scores: Array) -> None:
    if scores.shape[-1] == 0:
        raise ShapeError(f"{op}: {name} has shape {scores.shape}, expected at least one class")


OPS = (softmax_cross_entropy, svm)
