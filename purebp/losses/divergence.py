"""Divergences between two distributions over the last axis."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.losses.difference import check_entries
from purebp.losses.reduction import REDUCTIONS, Reduction, reduce_examples, spread_over_examples
from purebp.numerics import widen
from purebp.op import POSITIVE, Op, between, conditioned
from purebp.residuals import Spec, spec_of


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

    Example:
        >>> p, target = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.25, 0.5, 0.25])
        >>> y, res = kl_divergence.fwd(jnp.log(p), target)
        >>> for bar in kl_divergence.bwd(res, 1.0): print(bar)
        [-0.25 -0.5  -0.25]
        [0.30685282 1.6931472  1.        ]
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


class JsResiduals(NamedTuple):
    left: Array
    right: Array
    log_p: Spec
    log_q: Spec


def js_divergence_definition(
    log_p: Float[Array, "*batch v"],
    log_q: Float[Array, "*batch v"],
    *,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = (KL(p | m) + KL(q | m)) / 2 with m = (p + q) / 2: symmetric, at most ln 2.

    Maths: with d = ln q - ln p: ln p - ln m = -ln((1 + e^d) / 2) = a(d), ln q - ln m = a(-d);
        loss = sum_j (p a(d) + q a(-d)) / 2, log_p_bar = loss_bar p a(d) / 2,
        log_q_bar = loss_bar q a(-d) / 2: the gradient of ln m cancels.
    Shapes: log_p, log_q (*batch, v), log-probabilities; loss () or (*batch), in nats.
    Residuals: p a(d) / 2 and q a(-d) / 2, the terms of the sum: they are the slopes too.
    Kinks: none; where p or q is 0 its slope is 0.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Lin 1991, "Divergence measures based on the Shannon entropy".

    Example:
        >>> p, q = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.25, 0.5, 0.25])
        >>> y, res = js_divergence.fwd(jnp.log(p), jnp.log(q))
        >>> for bar in js_divergence.bwd(res, 1.0): print(bar)
        [ 0.07192051 -0.05068314  0.        ]
        [-0.05068314  0.07192051  0.        ]
    """
    p, q = widen(log_p), widen(log_q)
    d = jnp.where((p == -jnp.inf) & (q == -jnp.inf), 0, q - p)
    terms = _weighed(p, _to_middle(d)) + _weighed(q, _to_middle(-d))
    losses = jnp.sum(terms, axis=-1) / 2
    return reduce_examples(losses, reduction).astype(jnp.result_type(log_p, log_q))


def _to_middle(d: Array) -> Array:
    """a(d) = -ln((1 + e^d) / 2), near -d / 2 for small d."""
    size = jnp.where(d < 0, -d, d)
    return -jnp.where(d < 0, 0, d) - jnp.log1p(jnp.expm1(-size) / 2)


def _weighed(log: Array, factor: Array) -> Array:
    """e^log * factor, 0 where the probability is 0."""
    zero = log == -jnp.inf
    return jnp.where(zero, 0, jnp.exp(log) * jnp.where(zero, 0, factor))


def js_divergence_fwd(
    log_p: Array, log_q: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, JsResiduals]:
    p, q = widen(log_p), widen(log_q)
    d = jnp.where((p == -jnp.inf) & (q == -jnp.inf), 0, q - p)
    near = jnp.log1p(jnp.expm1(-jnp.abs(d)) / 2)  # a(d) and a(-d) are -near, one of them less |d|
    left = _weighed(p, -near - jnp.maximum(d, 0))
    right = _weighed(q, -near - jnp.maximum(-d, 0))
    losses = jnp.sum(left + right, axis=-1) / 2
    loss = reduce_examples(losses, reduction).astype(jnp.result_type(log_p, log_q))
    return loss, JsResiduals(left, right, spec_of(log_p), spec_of(log_q))


def js_divergence_bwd(
    res: JsResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    share = spread_over_examples(loss_bar, res.log_p.shape[:-1], reduction) / 2
    return (share * res.left).astype(res.log_p.dtype), (share * res.right).astype(res.log_q.dtype)


js_divergence = Op(
    js_divergence_fwd,
    js_divergence_bwd,
    definition=js_divergence_definition,
    options={"reduction": REDUCTIONS},
    domains={"log_p": between(-8, 0), "log_q": between(-8, 0)},
    check=partial(check_entries, "js_divergence"),
    tolerance=conditioned("ln q - ln p cancels where p and q are near each other", pooled=True),
)

OPS = (kl_divergence, js_divergence)
