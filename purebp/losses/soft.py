"""Cross-entropy with a distribution as the target, in place of a label."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import ShapeError
from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    check_reduction,
    reduce_examples,
    spread_over_examples,
)
from purebp.numerics import widen
from purebp.op import Op, conditioned


def soft_cross_entropy_definition(
    logits: Float[Array, "*batch v"],
    targets: Float[Array, "*batch v"],
    *,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = -sum_j t_j ln p_j, p = softmax(logits) and t the target distribution.

    Maths: ln p_j = z_j - lse, lse = ln sum_j e^{z_j}; z_bar = loss_bar (p sum_j t_j - t),
        t_bar = loss_bar (lse - z). The targets need not add up to 1.
    Shapes: logits, targets (*batch, v); loss () or (*batch) without reduction, in nats.
    Residuals: the logits and the targets, and of each example max z and sum_j e^{z_j - max z}.
    Kinks: none.
    Raises: ShapeError if the shapes differ or there are no classes, OptionError for an unknown
        reduction. A logit of -inf with the target 0 gives nan.
    Source: Hinton, Vinyals and Dean 2015, "Distilling the knowledge"; derived by hand.

    Example:
        >>> logits, targets = jnp.array([[1.0, -0.5, 2.0]]), jnp.array([[0.25, 0.0, 0.75]])
        >>> y, res = soft_cross_entropy.fwd(logits, targets)
        >>> print(*soft_cross_entropy.bwd(res, 1.0))
        [[ 0.00371617  0.05661173 -0.06032795]] [[1.3715391 2.871539  0.3715391]]
    """
    z = widen(logits)
    shifted = z - lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    surprises = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1, keepdims=True)) - shifted
    losses = jnp.sum(widen(targets) * surprises, axis=-1)
    return reduce_examples(losses, reduction).astype(jnp.result_type(logits, targets))


class SoftCrossEntropyResiduals(NamedTuple):
    logits: Float[Array, "*batch v"]
    targets: Float[Array, "*batch v"]
    largest: Float[Array, "*batch 1"]
    total: Float[Array, "*batch 1"]


def soft_cross_entropy_fwd(
    logits: Array, targets: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, SoftCrossEntropyResiduals]:
    z = widen(logits)
    largest = lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    total = jnp.sum(jnp.exp(z - largest), axis=-1, keepdims=True)
    losses = jnp.sum(widen(targets) * (jnp.log(total) - (z - largest)), axis=-1)
    loss = reduce_examples(losses, reduction).astype(jnp.result_type(logits, targets))
    return loss, SoftCrossEntropyResiduals(logits, targets, largest, total)


def soft_cross_entropy_bwd(
    res: SoftCrossEntropyResiduals, loss_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    logits, targets, largest, total = res
    share = spread_over_examples(loss_bar, logits.shape[:-1], reduction)
    shifted, t = widen(logits) - largest, widen(targets)
    mass = jnp.sum(t, axis=-1, keepdims=True)
    z_bar = share * (jnp.exp(shifted) * (mass / total) - t)
    t_bar = share * (jnp.log(total) - shifted)
    return z_bar.astype(logits.dtype), t_bar.astype(targets.dtype)


def check_soft_cross_entropy(logits: Array, targets: Array, *, reduction: str) -> None:
    """Raise for an unknown reduction, and for logits without classes."""
    check_reduction("soft_cross_entropy", reduction)
    if logits.shape[-1] == 0:
        raise ShapeError(
            f"soft_cross_entropy: logits has shape {logits.shape}, expected at least one class"
        )


soft_cross_entropy = Op(
    soft_cross_entropy_fwd,
    soft_cross_entropy_bwd,
    definition=soft_cross_entropy_definition,
    options={"reduction": REDUCTIONS},
    check=check_soft_cross_entropy,
    tolerance=conditioned("p sum t - t cancels, and e^(z - max) magnifies the rounding of z"),
)

OPS = (soft_cross_entropy,)
