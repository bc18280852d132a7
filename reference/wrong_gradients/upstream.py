"""Losses that do not use the upstream gradient, use it in one of two branches, or one number of it.

Every one of them passes a test that calls `loss.backward()` or sums the outputs: y_bar is 1 there.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from reference.wrong_gradients.layer import Layer

Residuals = Any


def _same_shape(name: str, x: Array, y: Array) -> None:
    if x.ndim != 2 or x.shape != y.shape:
        raise ValueError(f"{name}: expected two arrays (n, d), got {x.shape} and {y.shape}")


def _labels_fit(name: str, logits: Array, labels: Array) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"{name}: logits {logits.shape} and labels {labels.shape} do not fit")


def _class_slopes(logits: Array, hot: Array) -> Array:
    """softmax(x) - hot, the label's own entry as minus the sum of the others."""
    others = jnp.where(hot, 0, jax.nn.softmax(logits))
    return others - hot * jnp.sum(others, axis=-1, keepdims=True)


def _token_losses(logits: Array, hot: Array) -> Array:
    """log sum exp (x - x[label]), one for each row."""
    picked = jnp.sum(jnp.where(hot, logits, 0), axis=-1, keepdims=True)
    return jax.nn.logsumexp(jnp.where(hot, 0, logits - picked), axis=-1)


def soft_cross_entropy_fwd(logits: Array, targets: Array) -> tuple[Array, Residuals]:
    """The mean over the rows of -sum_c t_c log softmax(x)_c."""
    _same_shape("soft_cross_entropy", logits, targets)
    log_p = jax.nn.log_softmax(logits)
    loss = -jnp.sum(targets * log_p) / max(len(logits), 1)
    return loss, (logits, log_p, targets)


def soft_cross_entropy_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array, Array]:
    """x_bar = y_bar / n (softmax(x) sum t - t), t_bar = -y_bar / n log softmax(x)."""
    logits, log_p, targets = residuals
    scale = y_bar / max(len(targets), 1)
    total = jnp.sum(targets, axis=-1, keepdims=True)
    logits_bar = scale * (jnp.exp(log_p) * total - targets)
    return logits_bar.astype(logits.dtype), (-scale * log_p).astype(targets.dtype)


def soft_cross_entropy_bwd_alone(residuals: Residuals, y_bar: Array) -> tuple[Array, Array]:
    """x_bar without y_bar: right where the loss is the last node."""
    logits, log_p, targets = residuals
    coefficient = 1 / max(len(targets), 1)
    total = jnp.sum(targets, axis=-1, keepdims=True)
    logits_bar = coefficient * (jnp.exp(log_p) * total - targets)
    return logits_bar.astype(logits.dtype), (-y_bar * coefficient * log_p).astype(targets.dtype)


def huber_fwd(x: Array, target: Array, *, delta: float = 1.0) -> tuple[Array, Residuals]:
    """The sum over a row of d^2 / 2, or delta (|d| - delta / 2) where |d| > delta; d = x - t."""
    _same_shape("huber", x, target)
    if not delta > 0:
        raise ValueError(f"huber: delta is {delta}, expected a number above 0")
    d = x - target
    size = jnp.abs(d)
    entries = jnp.where(size <= delta, 0.5 * d * d, delta * (size - 0.5 * delta))
    return jnp.sum(entries, axis=1), (x, target)


def huber_bwd(residuals: Residuals, y_bar: Array, *, delta: float = 1.0) -> tuple[Array, Array]:
    """x_bar = y_bar clip(d, -delta, delta), t_bar = -x_bar."""
    x, target = residuals
    x_bar = y_bar[:, None] * jnp.clip(x - target, -delta, delta)
    return x_bar.astype(x.dtype), -x_bar.astype(target.dtype)


def huber_bwd_alone(
    residuals: Residuals, y_bar: Array, *, delta: float = 1.0
) -> tuple[Array, Array]:
    """The slopes alone."""
    x, target = residuals
    x_bar = jnp.clip(x - target, -delta, delta)
    return x_bar.astype(x.dtype), -x_bar.astype(target.dtype)


def _is_top(logits: Array) -> Array:
    """Where the largest logit of each row is, the first of equals."""
    return jnp.argmax(logits, axis=-1, keepdims=True) == jnp.arange(logits.shape[-1])


def l2_wrap_fwd(loss: Array, logits: Array, *, factor: float = 1e-4) -> tuple[Array, Residuals]:
    """loss + factor / 2 mean over the rows of (max logit)^2."""
    if loss.shape != () or logits.ndim < 1:
        raise ValueError(f"l2_wrap: loss {loss.shape} is no scalar or logits {logits.shape} is one")
    top = jnp.sum(jnp.where(_is_top(logits), logits, 0), axis=-1)
    return loss + 0.5 * factor * jnp.sum(top * top) / max(top.size, 1), (loss, logits)


def _top_logits(logits: Array) -> Array:
    """Each row's largest logit in its place, zeros elsewhere."""
    return jnp.where(_is_top(logits), logits, 0) / max(logits[..., 0].size, 1)


def l2_wrap_bwd(residuals: Residuals, y_bar: Array, *, factor: float = 1e-4) -> tuple[Array, Array]:
    """loss_bar = y_bar, logits_bar = y_bar factor max / rows at the largest logit."""
    loss, logits = residuals
    logits_bar = y_bar * factor * _top_logits(logits)
    return y_bar.astype(loss.dtype), logits_bar.astype(logits.dtype)


def l2_wrap_bwd_unscaled(
    residuals: Residuals, y_bar: Array, *, factor: float = 1e-4
) -> tuple[Array, Array]:
    """The penalty's branch forgets y_bar."""
    loss, logits = residuals
    return y_bar.astype(loss.dtype), factor * _top_logits(logits)


def token_loss_fwd(
    logits: Array, labels: Array, *, ignore_index: int = -100
) -> tuple[Array, Residuals]:
    """-log softmax(x)[label] for each row; 0 where the label is `ignore_index`."""
    _labels_fit("token_loss", logits, labels)
    hot = labels[:, None] == jnp.arange(logits.shape[1])
    valid = labels != ignore_index
    return jnp.where(valid, _token_losses(logits, hot), 0), (logits, hot, valid)


def token_loss_bwd(residuals: Residuals, y_bar: Array) -> tuple[Array, None]:
    """x_bar = y_bar (softmax(x) - hot), row by row."""
    logits, hot, valid = residuals
    weight = jnp.where(valid, y_bar, 0)
    return weight[:, None] * _class_slopes(logits, hot), None


def token_loss_bwd_first(residuals: Residuals, y_bar: Array) -> tuple[Array, None]:
    """The first number of y_bar for every row."""
    logits, hot, valid = residuals
    weight = jnp.where(valid, y_bar[0], 0)
    return weight[:, None] * _class_slopes(logits, hot), None


def linear_loss_fwd(
    x: Array, w: Array, labels: Array, *, reduction: Literal["none", "mean"] = "none"
) -> tuple[Array, Residuals]:
    """The token losses of the logits x w, or their mean."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0]:
        raise ValueError(f"linear_loss: x {x.shape} and w {w.shape} do not fit")
    if reduction not in {"none", "mean"}:
        raise ValueError(f"linear_loss: reduction is {reduction!r}, expected 'none' or 'mean'")
    logits = x @ w
    _labels_fit("linear_loss", logits, labels)
    hot = labels[:, None] == jnp.arange(w.shape[1])
    losses = _token_losses(logits, hot)
    slopes = _class_slopes(logits, hot)
    loss = losses if reduction == "none" else jnp.sum(losses) / max(len(x), 1)
    return loss, (x, w, slopes)


def _row_weights(y_bar: Array, rows: int, reduction: str) -> Array:
    """What the reduction makes of y_bar: a column, one number for each row."""
    if reduction == "mean":
        y_bar = jnp.broadcast_to(y_bar / max(rows, 1), (rows,))
    return y_bar[:, None]


def linear_loss_bwd(
    residuals: Residuals, y_bar: Array, *, reduction: Literal["none", "mean"] = "none"
) -> tuple[Array, Array, None]:
    """x_bar = d w', w_bar = x' d with d = y_bar (softmax - hot)."""
    x, w, slopes = residuals
    d = _row_weights(y_bar, len(x), reduction) * slopes
    return (d @ w.T).astype(x.dtype), (x.T @ d).astype(w.dtype), None


def linear_loss_bwd_late(
    residuals: Residuals, y_bar: Array, *, reduction: Literal["none", "mean"] = "none"
) -> tuple[Array, Array, None]:
    """w_bar is summed over the rows before y_bar comes in."""
    x, w, slopes = residuals
    weights = _row_weights(y_bar, len(x), reduction)
    w_bar = (x.T @ slopes) * weights[0]
    return (weights * slopes @ w.T).astype(x.dtype), w_bar.astype(w.dtype), None


def logits_and_targets(rng: np.random.Generator) -> tuple[Any, ...]:
    """Logits, and targets that sum to 1 in each row."""
    targets = np.exp(rng.standard_normal((4, 3)))
    targets /= targets.sum(axis=1, keepdims=True)
    return rng.standard_normal((4, 3), np.float32), targets.astype(np.float32)


def two_arrays(rng: np.random.Generator) -> tuple[Any, ...]:
    """Predictions and targets."""
    return tuple(rng.standard_normal((4, 3), np.float32) for _ in range(2))


def loss_and_logits(rng: np.random.Generator) -> tuple[Any, ...]:
    """A loss, and the logits of a batch of sequences."""
    return np.float32(1.7), rng.standard_normal((2, 3, 5), np.float32)


def logits_and_labels(rng: np.random.Generator) -> tuple[Any, ...]:
    """Logits and labels in range."""
    return rng.standard_normal((4, 3), np.float32), rng.integers(0, 3, 4, np.int32)


def features_and_labels(rng: np.random.Generator) -> tuple[Any, ...]:
    """Features, a weight matrix and labels in range."""
    x, w = rng.standard_normal((4, 3), np.float32), rng.standard_normal((3, 5), np.float32)
    return x, w, rng.integers(0, 5, 4, np.int32)


SOFT = (soft_cross_entropy_fwd, soft_cross_entropy_bwd)

LAYERS = (
    Layer(
        "soft_cross_entropy_upstream",
        "B109",
        (soft_cross_entropy_fwd, soft_cross_entropy_bwd_alone),
        SOFT,
        logits_and_targets,
        "upstream ignored",
    ),
    Layer(
        "huber_upstream",
        "B110",
        (huber_fwd, huber_bwd_alone),
        (huber_fwd, huber_bwd),
        two_arrays,
        "upstream ignored",
    ),
    Layer(
        "l2_wrap_upstream",
        "B112",
        (l2_wrap_fwd, l2_wrap_bwd_unscaled),
        (l2_wrap_fwd, l2_wrap_bwd),
        loss_and_logits,
        "upstream ignored",
        why="the original returns the loss as it came and only adds the penalty's gradient",
    ),
    Layer(
        "token_loss_first_upstream",
        "B114",
        (token_loss_fwd, token_loss_bwd_first),
        (token_loss_fwd, token_loss_bwd),
        logits_and_labels,
        "upstream as a scalar",
    ),
    Layer(
        "linear_loss_late_upstream",
        "B115",
        (linear_loss_fwd, linear_loss_bwd_late),
        (linear_loss_fwd, linear_loss_bwd),
        features_and_labels,
        "upstream as a scalar",
    ),
)
