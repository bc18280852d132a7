"""Losses of yes-or-no decisions, entry by entry."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.losses.difference import check_entries
from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    reduce_examples,
    share_of,
)
from purebp.numerics import log1p_of_fraction, widen
from purebp.op import Op, between, conditioned


class LogitResiduals(NamedTuple):
    logits: Array
    target: Array


def _decay(z: Array) -> Array:
    """e^-|z|, with the slope -1 of -|z| at 0."""
    return jnp.exp(-jnp.where(z < 0, -z, z))


def _entropies(z: Array, target: Array, e: Array) -> Array:
    """(1 - t) max(0, z) + t max(0, -z) + ln(1 + e^-|z|)."""
    above, below = jnp.where(z < 0, 0, z), jnp.where(z < 0, -z, 0)
    return (1 - target) * above + target * below + jnp.log1p(e)


def binary_cross_entropy_definition(
    logits: Float[Array, "*s"], target: Float[Array, "*s"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = -t ln s(z) - (1 - t) ln s(-z), s the sigmoid, z the logit of "yes".

    Maths: z_bar = loss_bar ((1 - t) s(z) - t s(-z)), which is s(z) - t without cancellation for
        t = 0 and t = 1; t_bar = -loss_bar z.
    Shapes: logits, target (*s); loss () or (*s) without reduction, in nats.
    Residuals: logits and target.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction. Targets are
        probabilities from 0 to 1.
    Source: derived by hand from the sigmoid.

    Example:
        >>> logits = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.65, 0.05, 0.8], [0.4, 0.7, 0.25]])
        >>> y, res = binary_cross_entropy.fwd(logits, target)
        >>> for bar in binary_cross_entropy.bwd(res, 1.0): print(bar)
        [[ 0.01350977  0.05459011  0.01346618]
         [ 0.03707656 -0.0862624   0.05407375]]
        [[-0.16666667  0.08333334 -0.33333334]
         [-0.08333334  0.25       -0.05      ]]
    """
    z, t = widen(logits), widen(target)
    dtype = jnp.result_type(logits, target)
    return reduce_examples(_entropies(z, t, _decay(z)), reduction).astype(dtype)


def binary_cross_entropy_fwd(
    logits: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, LogitResiduals]:
    z, t = widen(logits), widen(target)
    e = _decay(z)
    losses = jnp.maximum(z, 0) - z * t + log1p_of_fraction(e)
    losses = jnp.where(t == 1, jnp.maximum(-z, 0) + log1p_of_fraction(e), losses)
    loss = reduce_examples(losses, reduction).astype(jnp.result_type(logits, target))
    return loss, LogitResiduals(logits, target)


def binary_cross_entropy_bwd(
    res: LogitResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    z, t = widen(res.logits), widen(res.target)
    share = share_of(loss_bar, z.shape, reduction)
    e = _decay(z)
    yes, no = jnp.where(z < 0, e, 1), jnp.where(z < 0, 1, e)
    z_bar = share * (((1 - t) * yes - t * no) / (1 + e))
    return z_bar.astype(res.logits.dtype), (-share * z).astype(res.target.dtype)


binary_cross_entropy = Op(
    binary_cross_entropy_fwd,
    binary_cross_entropy_bwd,
    definition=binary_cross_entropy_definition,
    options={"reduction": REDUCTIONS},
    domains={"target": between(0, 1)},
    check=partial(check_entries, "binary_cross_entropy"),
    tolerance=conditioned("s(z) - t cancels where the prediction is right"),
)


def focal_definition(
    logits: Float[Array, "*s"],
    target: Float[Array, "*s"],
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = w m^gamma * binary cross-entropy, m = how wrong it is: easy examples count less.

    Maths: with p = s(z): m = t (1 - p) + (1 - t) p, c the cross-entropy, w = 1 or
        alpha t + (1 - alpha) (1 - t):
        z_bar = loss_bar w m^(gamma - 1) (m c' + gamma c m'), c' = (1 - t) p - t (1 - p),
        m' = (1 - 2t) p (1 - p); t_bar = loss_bar (w' m^gamma c
        + w m^(gamma - 1) (gamma (1 - 2p) c - m z)), w' = 0 or 2 alpha - 1.
    Shapes: logits, target (*s); loss () or (*s) without reduction, in nats.
    Residuals: logits and target.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError unless gamma > 0.
    Source: Lin et al. 2017, "Focal loss for dense object detection", equation 5.

    Example:
        >>> logits = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.65, 0.05, 0.8], [0.4, 0.7, 0.25]])
        >>> y, res = focal.fwd(logits, target)
        >>> for bar in focal.bwd(res, 1.0): print(bar)
        [[-0.00311043  0.02200891 -0.00201156]
         [ 0.01656018 -0.04951964  0.0326646 ]]
        [[-0.07491662  0.02854276 -0.06089571]
         [-0.05606974  0.26441973 -0.03520904]]
    """
    z, t = widen(logits), widen(target)
    e = _decay(z)
    yes, no = jnp.where(z < 0, e, 1) / (1 + e), jnp.where(z < 0, 1, e) / (1 + e)
    wrong = t * no + (1 - t) * yes
    weight = 1.0 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    losses = weight * wrong**gamma * _entropies(z, t, e)
    return reduce_examples(losses, reduction).astype(jnp.result_type(logits, target))


class _Focal(NamedTuple):
    """The parts that value and slope share."""

    yes: Array
    no: Array
    wrong: Array
    power: Array
    entropy: Array
    weight: Array | float


def _focal(z: Array, t: Array, gamma: float, alpha: float | None) -> _Focal:
    e = _decay(z)
    r = 1 / (1 + e)
    yes, no = jnp.where(z < 0, e, 1) * r, jnp.where(z < 0, 1, e) * r
    wrong = t * no + (1 - t) * yes
    less = gamma - 1
    whole = float(less).is_integer()
    power = lax.integer_pow(wrong, int(less)) if whole else jnp.power(wrong, less)
    above, below = jnp.where(z < 0, 0, z), jnp.where(z < 0, -z, 0)
    entropy = (1 - t) * above + t * below + log1p_of_fraction(e)
    weight = 1.0 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    return _Focal(yes, no, wrong, power, entropy, weight)


def focal_fwd(
    logits: Array,
    target: Array,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    reduction: Reduction = "mean",
) -> tuple[Array, LogitResiduals]:
    part = _focal(widen(logits), widen(target), gamma, alpha)
    losses = part.weight * (part.power * part.wrong) * part.entropy
    loss = reduce_examples(losses, reduction).astype(jnp.result_type(logits, target))
    return loss, LogitResiduals(logits, target)


def focal_bwd(
    res: LogitResiduals,
    loss_bar: Array,
    *,
    gamma: float,
    alpha: float | None,
    reduction: Reduction,
) -> tuple[Array, Array]:
    z, t = widen(res.logits), widen(res.target)
    yes, no, wrong, power, entropy, weight = _focal(z, t, gamma, alpha)
    share = share_of(loss_bar, z.shape, reduction) * power
    slope = wrong * ((1 - t) * yes - t * no) + gamma * entropy * ((1 - 2 * t) * yes * no)
    t_slope = weight * (gamma * (no - yes) * entropy - wrong * z)
    if alpha is not None:
        t_slope = t_slope + (2 * alpha - 1) * wrong * entropy
    z_bar, t_bar = share * weight * slope, share * t_slope
    return z_bar.astype(res.logits.dtype), t_bar.astype(res.target.dtype)


def check_focal(
    logits: Array, target: Array, *, gamma: float, alpha: float | None, reduction: str
) -> None:
    """Raise unless gamma is above 0 and the reduction is known."""
    check_entries("focal", reduction=reduction, gamma=gamma)


focal = Op(
    focal_fwd,
    focal_bwd,
    definition=focal_definition,
    options={"gamma": (2.0, 1.5), "alpha": (None, 0.25), "reduction": REDUCTIONS},
    domains={"target": between(0, 1)},
    check=check_focal,
    tolerance=conditioned("c' and m' have different signs, and s(z) - t cancels"),
)


def hinge_definition(
    scores: Float[Array, "*s"], target: Float[Array, "*s"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = max(0, 1 - t s), the loss of a two-class SVM; the target t is -1 or 1.

    Maths: with v = [t s < 1]: s_bar = -loss_bar v t, t_bar = -loss_bar v s.
    Shapes: scores, target (*s); loss () or (*s) without reduction.
    Residuals: scores and target.
    Kinks: a margin that is met exactly has slope 0.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Cortes and Vapnik 1995, "Support-vector networks".

    Example:
        >>> y, res = hinge.fwd(jnp.array([0.5, -2.0, 2.0]), jnp.array([1.0, 1.0, -1.0]))
        >>> print(*hinge.bwd(res, 1.0))
        [-0.33333334 -0.33333334  0.33333334] [-0.16666667  0.6666667  -0.6666667 ]
    """
    short = 1 - widen(scores) * widen(target)
    losses = jnp.where(short <= 0, 0, short)
    return reduce_examples(losses, reduction).astype(jnp.result_type(scores, target))


class HingeResiduals(NamedTuple):
    scores: Array
    target: Array


def hinge_fwd(
    scores: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, HingeResiduals]:
    product = widen(scores) * widen(target)
    losses = jnp.where(product >= 1, 0, 1 - product)
    loss = reduce_examples(losses, reduction).astype(jnp.result_type(scores, target))
    return loss, HingeResiduals(scores, target)


def hinge_bwd(res: HingeResiduals, loss_bar: Array, *, reduction: Reduction) -> tuple[Array, Array]:
    s, t = widen(res.scores), widen(res.target)
    share = jnp.where(1 - s * t > 0, -share_of(loss_bar, s.shape, reduction), 0)
    return (share * t).astype(res.scores.dtype), (share * s).astype(res.target.dtype)


hinge = Op(
    hinge_fwd,
    hinge_bwd,
    definition=hinge_definition,
    options={"reduction": REDUCTIONS},
    check=partial(check_entries, "hinge"),
    kinks="slope 0 where the margin is met exactly",
)


OPS = (binary_cross_entropy, focal, hinge)
