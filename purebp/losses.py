"""Losses: one number for each example, then the mean, the sum or none of them; and penalties.

The data term compares scores with targets; the regularisation term is a penalty on the weights.
"""

import math
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.op import Op, conditioned, index_below
from purebp.residuals import Spec, spec_of

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")


def reduce_examples(losses: Array, reduction: str) -> Array:
    """The mean, the sum or all of the examples' losses."""
    if reduction == "none":
        return losses
    return jnp.mean(losses) if reduction == "mean" else jnp.sum(losses)


def spread_over_examples(loss_bar: Array, examples: tuple[int, ...], reduction: str) -> Array:
    """The cotangent of each example's loss, ready to multiply (examples, features)."""
    if reduction == "none":
        return loss_bar[..., None]
    share = loss_bar / math.prod(examples) if reduction == "mean" else loss_bar
    return jnp.broadcast_to(share, (*examples, 1))


def check_reduction(reduction: str) -> None:
    """Raise unless the reduction is known."""
    if reduction not in REDUCTIONS:
        raise OptionError(
            f"reduction is {reduction!r}, expected one of {', '.join(map(repr, REDUCTIONS))}"
        )


class CrossEntropyResiduals(NamedTuple):
    logits: Float[Array, "*batch v"]
    labels: Int[Array, "*batch"]
    lse: Float[Array, "*batch 1"]


def softmax_cross_entropy_definition(
    logits: Float[Array, "*batch v"], labels: Int[Array, "*batch"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = -ln p_t, p = softmax(logits) and t the label of each example.

    Maths: loss = ln sum_j e^{z_j} - z_t; z_bar_j = loss_bar p_j for j != t, and
        z_bar_t = -loss_bar sum_{j != t} p_j, which is p_t - 1 without the cancellation where p_t
        is near 1. The definition is ln(1 + sum_{j != t} e^{z_j - z_t}) for the same reason.
    Shapes: logits (*batch, v), labels (*batch); loss () or (*batch) without reduction, in nats.
    Residuals: logits, labels and ln sum_j e^{z_j} of each example; p is computed again, so that
        nothing of the size of the logits is made in the forward pass.
    Kinks: none.
    Raises: ShapeError if labels do not fit the logits, DtypeError for labels that are not
        integers, OptionError for an unknown reduction. Labels have to be from 0 to v - 1: outside
        of it the loss is nan.
    Source: CS231n, lecture 3; derived by hand.
    """
    target = jnp.take_along_axis(logits, labels[..., None], axis=-1)
    others = _is_not_label(labels, logits.shape[-1])
    ratios = jnp.where(others, jnp.exp(jnp.where(others, logits - target, 0)), 0)
    return reduce_examples(jnp.log1p(jnp.sum(ratios, axis=-1)), reduction)


def softmax_cross_entropy_fwd(
    logits: Array, labels: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, CrossEntropyResiduals]:
    z = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    largest = jnp.max(z, axis=-1, keepdims=True, initial=-jnp.inf)
    target = _at_label(z, labels)
    others = jnp.where(_is_not_label(labels, z.shape[-1]), jnp.exp(z - largest), 0)
    log_sum = jnp.log1p(jnp.sum(others, axis=-1, keepdims=True) + jnp.expm1(target - largest))
    loss = ((largest - target) + log_sum)[..., 0].astype(logits.dtype)
    res = CrossEntropyResiduals(logits, labels, largest + log_sum)
    return reduce_examples(loss, reduction), res


def softmax_cross_entropy_bwd(
    res: CrossEntropyResiduals, loss_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, None]:
    logits, labels, lse = res
    others = _is_not_label(labels, logits.shape[-1])
    p = jnp.where(others, jnp.exp(logits.astype(lse.dtype) - lse), 0)
    slope = jnp.where(others, p, -jnp.sum(p, axis=-1, keepdims=True))
    return (
        (slope * spread_over_examples(loss_bar, labels.shape, reduction)).astype(logits.dtype),
        None,
    )


def check_scores(scores: Array, labels: Array, *, reduction: str, margin: float = 1.0) -> None:
    """Raise for an unknown reduction, and for scores without classes."""
    check_reduction(reduction)
    if scores.shape[-1] == 0:
        raise ShapeError(f"scores have shape {scores.shape}, expected at least one class")


def _is_not_label(labels: Array, classes: int) -> Bool[Array, "*batch v"]:
    return labels[..., None] != jnp.arange(classes, dtype=labels.dtype)


def _at_label(scores: Array, labels: Array) -> Array:
    """The score of the right class, (*batch, 1); nan for a label that is no class."""
    return jnp.take_along_axis(scores, labels[..., None], axis=-1, mode="fill", fill_value=jnp.nan)


softmax_cross_entropy = Op(
    softmax_cross_entropy_fwd,
    softmax_cross_entropy_bwd,
    definition=softmax_cross_entropy_definition,
    options={"reduction": REDUCTIONS},
    domains={"labels": index_below("v")},
    check=check_scores,
    tolerance=conditioned("e^(z - lse) magnifies the rounding of z - lse"),
)


class SvmResiduals(NamedTuple):
    violated: Bool[Array, "*batch v"]
    labels: Int[Array, "*batch"]
    scores: Spec


def svm_definition(
    scores: Float[Array, "*batch v"],
    labels: Int[Array, "*batch"],
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
    Raises: ShapeError if labels do not fit the scores, DtypeError for labels that are not
        integers, OptionError for an unknown reduction.
    Source: Weston and Watkins 1999; CS231n, lecture 3 and assignment 1.
    """
    target = jnp.take_along_axis(scores, labels[..., None], axis=-1)
    gap = scores - target + margin
    counts = (gap > 0) & _is_not_label(labels, scores.shape[-1])
    return reduce_examples(jnp.sum(jnp.where(counts, gap, 0), axis=-1), reduction)


def svm_fwd(
    scores: Array, labels: Array, *, margin: float = 1.0, reduction: Reduction = "mean"
) -> tuple[Array, SvmResiduals]:
    gap = scores - _at_label(scores, labels) + margin
    gap = jnp.where(_is_not_label(labels, scores.shape[-1]), gap, 0)
    loss = jnp.sum(jnp.maximum(gap, 0), axis=-1)
    return reduce_examples(loss, reduction), SvmResiduals(gap > 0, labels, spec_of(scores))


def svm_bwd(
    res: SvmResiduals, loss_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, None]:
    violated, labels, scores = res
    count = jnp.sum(violated, axis=-1, keepdims=True)
    slope = jnp.where(_is_not_label(labels, scores.shape[-1]), violated, -count)
    share = spread_over_examples(loss_bar, labels.shape, reduction)
    return (slope.astype(scores.dtype) * share).astype(scores.dtype), None


svm = Op(
    svm_fwd,
    svm_bwd,
    definition=svm_definition,
    options={"margin": (1.0, 0.3), "reduction": REDUCTIONS},
    domains={"labels": index_below("v")},
    check=check_scores,
    kinks="slope 0 where a margin is met exactly",
)


class SquaredErrorResiduals(NamedTuple):
    error: Float[Array, "*batch k"]
    y: Spec
    target: Spec


def half_squared_error_definition(
    y: Float[Array, "*batch k"], target: Float[Array, "*batch k"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = 1/2 sum_k (y_k - t_k)^2 for each example.

    Maths: y_bar = loss_bar (y - t), t_bar = -y_bar.
    Shapes: y, target (*batch, k); loss () or (*batch) without reduction.
    Residuals: the error y - t.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: the lecture notes on backpropagation, E = 1/2 (o - t)^2.
    """
    return reduce_examples(jnp.sum((y - target) ** 2, axis=-1) / 2, reduction)


def half_squared_error_fwd(
    y: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, SquaredErrorResiduals]:
    error = y - target
    loss = jnp.sum(error * error, axis=-1) / 2
    return reduce_examples(loss, reduction), SquaredErrorResiduals(
        error, spec_of(y), spec_of(target)
    )


def half_squared_error_bwd(
    res: SquaredErrorResiduals, loss_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    y_bar = res.error * spread_over_examples(loss_bar, res.error.shape[:-1], reduction)
    return y_bar.astype(res.y.dtype), -y_bar.astype(res.target.dtype)


def check_half_squared_error(y: Array, target: Array, *, reduction: str) -> None:
    """Raise for an unknown reduction."""
    check_reduction(reduction)


half_squared_error = Op(
    half_squared_error_fwd,
    half_squared_error_bwd,
    definition=half_squared_error_definition,
    options={"reduction": REDUCTIONS},
    check=check_half_squared_error,
)


def l2_definition(w: Float[Array, "*s"], *, strength: float = 1.0) -> Float[Array, ""]:
    """loss = strength / 2 * sum w^2, the penalty that keeps weights small.

    Maths: w_bar = loss_bar strength w.
    Shapes: w of any shape; loss ().
    Residuals: w.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 3, regularisation.
    """
    return strength / 2 * jnp.sum(w**2)


def l2_w_bar(loss_bar: Array, w: Array, strength: float) -> Array:
    return loss_bar * strength * w


l2 = Gate(l2_definition, l2_w_bar, options={"strength": (1.0, 0.1)})


def l1_definition(w: Float[Array, "*s"], *, strength: float = 1.0) -> Float[Array, ""]:
    """loss = strength * sum |w|, the penalty that makes weights sparse.

    Maths: w_bar = loss_bar strength sign(w).
    Shapes: w of any shape; loss ().
    Residuals: w, which is alive anyway; its sign is computed again.
    Kinks: the slope at 0 is 0.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 3, regularisation.
    """
    return strength * jnp.sum(jnp.sign(w) * w)


def l1_w_bar(loss_bar: Array, w: Array, strength: float) -> Array:
    return loss_bar * strength * jnp.sign(w)


l1 = Gate(l1_definition, l1_w_bar, options={"strength": (1.0, 0.1)}, kinks="slope 0 at 0")

OPS = (softmax_cross_entropy, svm, half_squared_error, l2, l1)
