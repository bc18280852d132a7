"""The divergence between two distributions over the last axis."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.losses.difference import check_entries
from purebp.losses.reduction import REDUCTIONS, Reduction, reduce_examples, spread_over_examples
from purebp.numerics import widen
from purebp.op import POSITIVE, Op, conditioned


class KlResiduals(NamedTuple):
    log_p: Array
    target: Array


def kl_divergence_definition(
    log_p: Float[Array, "*batch v"],
    target: Float[Array, "*batch v"],
    *,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = sum_j t_j (ln t_j - ln p_j): what the prediction p costs where t is the truth.

    Maths: log_p_bar = -loss_bar t, t_bar = loss_bar (ln t + 1 - ln p). As in optax the first
        argument is a log-probability, the second a probability.
    Shapes: log_p, target (*batch, v); loss () or (*batch) without reduction, in nats.
    Residuals: log_p and target; the logarithm is computed again.
    Kinks: where t is 0 the term is 0, and so is t_bar.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Kullback and Leibler 1951, "On information and sufficiency".
    """
    t, zero = widen(target), target == 0
    terms = jnp.where(zero, 0, t * (jnp.log(jnp.where(zero, 1, t)) - widen(log_p)))
    losses = jnp.sum(terms, axis=-1)
    return reduce_examples(losses, reduction).astype(jnp.result_type(log_p, target))


def kl_divergence_fwd(
    log_p: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, KlResiduals]:
    return kl_divergence_definition(log_p, target, reduction=reduction), KlResiduals(log_p, target)


def kl_divergence_bwd(
    res: KlResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    target = lax.optimization_barrier(res.target)  # else XLA keeps ln t from the forward pass
    t, zero = widen(target), target == 0
    share = spread_over_examples(loss_bar, t.shape[:-1], reduction)
    slope = jnp.where(zero, 0, jnp.log(jnp.where(zero, 1, t)) + 1 - widen(res.log_p))
    return (-share * t).astype(res.log_p.dtype), (share * slope).astype(res.target.dtype)


kl_divergence = Op(
    kl_divergence_fwd,
    kl_divergence_bwd,
    definition=kl_divergence_definition,
    options={"reduction": REDUCTIONS},
    domains={"target": POSITIVE},
    check=partial(check_entries, "kl_divergence"),
    kinks="no slope where the target is 0",
    tolerance=conditioned("ln t + 1 - ln p is a difference that cancels"),
)


OPS = (kl_divergence,)
