"""Cross entropies that count, normalise or pass on the wrong thing; CTC."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.upstream import (
    SOFT,
    logits_and_labels,
    logits_and_targets,
    soft_cross_entropy_fwd,
)

Residuals = Any
Reduction = Literal["mean", "sum", "none"]
BLANK = 0
NEVER = -1e30


def cross_entropy_fwd(
    logits: Array, labels: Array, *, ignore_index: int = -100, reduction: Reduction = "mean"
) -> tuple[Array, Residuals]:
    """-log softmax(x)[label] of the rows that are not ignored: their mean, sum, or each.

    The mean of none is 0.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"cross_entropy: logits {logits.shape}, labels {labels.shape} do not fit")
    if reduction not in {"mean", "sum", "none"}:
        raise ValueError(f"cross_entropy: reduction is {reduction!r}")
    hot = labels[:, None] == jnp.arange(logits.shape[1])
    valid = labels != ignore_index
    picked = jnp.sum(jnp.where(hot, logits, 0), axis=1, keepdims=True)
    rows = jax.nn.logsumexp(jnp.where(hot, 0, logits - picked), axis=1)
    losses = jnp.where(valid, rows, 0)
    residuals = (logits, hot, valid)
    if reduction == "none":
        return losses, residuals
    total = jnp.sum(losses)
    return total / _count(valid, total) if reduction == "mean" else total, residuals


def _count(valid: Array, like: Array) -> Array:
    """How many rows count, at least 1."""
    return jnp.maximum(jnp.sum(valid), 1).astype(like.dtype)


def _class_slopes(logits: Array, hot: Array) -> Array:
    """softmax(x) - hot, the label's own entry as minus the sum of the others."""
    others = jnp.where(hot, 0, jax.nn.softmax(logits))
    return others - hot * jnp.sum(others, axis=1, keepdims=True)


def cross_entropy_bwd(
    residuals: Residuals, y_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, None]:
    """x_bar = y_bar (softmax(x) - hot) / valid rows, 0 in ignored rows."""
    logits, hot, valid = residuals
    weight = y_bar / _count(valid, logits) if reduction == "mean" else y_bar
    return jnp.where(valid, weight, 0)[:, None] * _class_slopes(logits, hot), None


def cross_entropy_bwd_all_rows(
    residuals: Residuals, y_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, None]:
    """Divided by the number of all rows."""
    logits, hot, valid = residuals
    weight = y_bar / max(len(valid), 1) if reduction == "mean" else y_bar
    return jnp.where(valid, weight, 0)[:, None] * _class_slopes(logits, hot), None


def cross_entropy_bwd_no_rows(
    residuals: Residuals, y_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, None]:
    """Masked, and divided by the number of valid rows: 0 / 0 without any."""
    logits, hot, valid = residuals
    slopes = jnp.where(valid, y_bar, 0)[:, None] * _class_slopes(logits, hot)
    return slopes / jnp.sum(valid).astype(slopes.dtype) if reduction == "mean" else slopes, None


def soft_cross_entropy_bwd_normalized(residuals: Residuals, y_bar: Array) -> tuple[Array, Array]:
    """softmax(x) - t: right for targets that sum to 1."""
    logits, log_p, targets = residuals
    scale = y_bar / max(len(targets), 1)
    logits_bar = scale * (jnp.exp(log_p) - targets)
    return logits_bar.astype(logits.dtype), (-scale * log_p).astype(targets.dtype)


def _shifted(row: Array, by: int) -> Array:
    """The states moved on by some places, with `NEVER` moved in; back if `by` is negative."""
    size = row.shape[-1]
    fill = jnp.full((*row.shape[:-1], abs(by)), NEVER, row.dtype)
    if by < 0:
        return jnp.concatenate([row, fill], axis=-1)[..., -by:][..., :size]
    return jnp.concatenate([fill, row], axis=-1)[..., :size]


def _log_sum(*terms: Array) -> Array:
    return jax.nn.logsumexp(jnp.stack(terms), axis=0)


def _states(labels: Array, classes: int) -> tuple[Array, Array]:
    """The labels with blanks around them as one-hot rows, and which may follow two places on."""
    batch, length = labels.shape
    states = jnp.full((batch, 2 * length + 1), BLANK, labels.dtype).at[:, 1::2].set(labels)
    other = states[:, 2:] != states[:, :-2] if length else states[:, :0] != BLANK
    start = jnp.zeros((batch, min(2, 2 * length + 1)), bool)
    skips = jnp.concatenate([start, other], axis=1) & (states != BLANK)
    return states[..., None] == jnp.arange(classes), skips


def ctc_fwd(logits: Array, labels: Array) -> tuple[Array, Residuals]:
    """-log of the probability of all alignments of the labels; 0 where there is none.

    alpha_t(s) = p_t(s) (alpha_{t-1}(s) + alpha_{t-1}(s-1) + alpha_{t-1}(s-2) if it may skip).
    """
    if logits.ndim != 3 or labels.ndim != 2 or len(logits) != len(labels):
        raise ValueError(f"ctc: logits {logits.shape} and labels {labels.shape} do not fit")
    if not logits.shape[1]:
        raise ValueError("ctc: there are no steps")
    log_p = jax.nn.log_softmax(logits)
    hot, skips = _states(labels, logits.shape[2])
    steps = jnp.einsum("ntc,nsc->tns", log_p, hot.astype(log_p.dtype))
    place = jnp.arange(hot.shape[1])
    alphas = [jnp.where(place < 2, steps[0], NEVER)]
    for step in steps[1:]:
        last = alphas[-1]
        skip = jnp.where(skips, _shifted(last, 2), NEVER)
        alphas.append(step + _log_sum(last, _shifted(last, 1), skip))
    ends = place >= len(place) - 2
    total = jax.nn.logsumexp(jnp.where(ends, alphas[-1], NEVER), axis=-1)
    possible = total > NEVER / 2
    total = jnp.where(possible, total, 0)
    return -total, (log_p, hot, skips, steps, jnp.stack(alphas), total, possible)


def _occupancy(residuals: Residuals) -> Array:
    """How probable each class is at each step, among the alignments: alpha beta / total."""
    log_p, hot, skips, steps, alphas, total, _ = residuals
    place = jnp.arange(hot.shape[1])
    beta = jnp.where(place >= len(place) - 2, 0, jnp.full_like(steps[0], NEVER))
    betas = [beta]
    for step in steps[:0:-1]:
        later = betas[0] + step
        skip = _shifted(jnp.where(skips, later, NEVER), -2)
        betas.insert(0, _log_sum(later, _shifted(later, -1), skip))
    shares = jnp.exp(alphas + jnp.stack(betas) - total[:, None])
    return jnp.einsum("tns,nsc->ntc", shares, hot.astype(log_p.dtype))


def ctc_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array, None]:
    """x_bar = y_bar (softmax(x) sum occupancy - occupancy); the sum is 1 for labels in range."""
    log_p, possible = residuals[0], residuals[-1]
    occupancy = _occupancy(residuals)
    total = jnp.sum(occupancy, axis=-1, keepdims=True)
    slopes = y_bar[:, None, None] * (jnp.exp(log_p) * total - occupancy)
    return jnp.where(possible[:, None, None], slopes, 0), None


def ctc_bwd_one_branch(residuals: Residuals, y_bar: Array) -> tuple[Array, None]:
    """y_bar on the occupancy only."""
    log_p, possible = residuals[0], residuals[-1]
    occupancy = _occupancy(residuals)
    total = jnp.sum(occupancy, axis=-1, keepdims=True)
    slopes = jnp.exp(log_p) * total - y_bar[:, None, None] * occupancy
    return jnp.where(possible[:, None, None], slopes, 0), None


def sequences(rng: np.random.Generator) -> tuple[Any, ...]:
    """Logits of two sequences, and their labels; 0 is the blank."""
    labels = rng.integers(1, 5, (2, 3)).astype(np.int32)
    return rng.standard_normal((2, 7, 5), np.float32), labels


LAYERS = (
    Layer(
        "cross_entropy_all_rows",
        "B164",
        (cross_entropy_fwd, cross_entropy_bwd_all_rows),
        (cross_entropy_fwd, cross_entropy_bwd),
        logits_and_labels,
        "factor",
        why="too small by valid rows / all rows, a number that changes with the labels",
    ),
    Layer(
        "cross_entropy_no_rows",
        "B165",
        (cross_entropy_fwd, cross_entropy_bwd_no_rows),
        (cross_entropy_fwd, cross_entropy_bwd),
        logits_and_labels,
        "not finite",
    ),
    Layer(
        "soft_cross_entropy_normalized",
        "B166",
        (soft_cross_entropy_fwd, soft_cross_entropy_bwd_normalized),
        SOFT,
        logits_and_targets,
        "term missing",
        why="the error is softmax(x) (sum t - 1): nothing for targets that sum to 1",
    ),
    Layer(
        "ctc_upstream",
        "B113",
        (ctc_fwd, ctc_bwd_one_branch),
        (ctc_fwd, ctc_bwd),
        sequences,
        "upstream ignored",
    ),
)
