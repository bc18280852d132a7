"""Losses, against optax and plain jnp."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from purebp.benchmark.case import Case, integers, normal, positive
from purebp.benchmark.eager import functional, labelled
from purebp.losses import (
    ctc,
    fused_linear_cross_entropy,
    half_squared_error,
    l1,
    l2,
    soft_cross_entropy,
    softmax_cross_entropy,
    svm,
)

FEW_CLASSES = (normal(8192, 10, scale=2), integers(8192, below=10))
SOME_CLASSES = (normal(1024, 1000, scale=2), integers(1024, below=1000))
SMALL = (normal(64, 10, scale=2), integers(64, below=10))
VOCABULARY = (normal(512, 32768, scale=2), integers(512, below=32768))


def optax_cross_entropy(logits: Array, labels: Array) -> Array:
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def optax_smoothed_cross_entropy(logits: Array, labels: Array) -> Array:
    smooth = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1]), 0.1)
    return jnp.mean(optax.softmax_cross_entropy(logits, smooth))


def optax_soft_cross_entropy(logits: Array, targets: Array) -> Array:
    return jnp.mean(optax.softmax_cross_entropy(logits, targets))


def optax_ctc(logits: Array, labels: Array) -> Array:
    paddings = jnp.zeros(logits.shape[:2]), jnp.zeros(labels.shape)
    return jnp.mean(optax.ctc_loss(logits, paddings[0], labels, paddings[1]))


def torch_ctc(torch: Any, logits: Any, labels: Any) -> Any:
    p = torch.log_softmax(logits, -1).transpose(0, 1)
    n, t, s = logits.shape[0], logits.shape[1], labels.shape[1]
    lengths = torch.full((n,), t), torch.full((n,), s)
    loss = torch.nn.functional.ctc_loss(p, labels.long(), *lengths, reduction="none")
    return loss.mean()


def plain_svm(scores: Array, labels: Array) -> Array:
    right = jnp.take_along_axis(scores, labels[:, None], axis=-1)
    margins = jnp.maximum(scores - right + 1, 0).at[jnp.arange(labels.size), labels].set(0)
    return jnp.mean(jnp.sum(margins, axis=-1))


def optax_half_squared_error(y: Array, target: Array) -> Array:
    return jnp.mean(jnp.sum(optax.l2_loss(y, target), axis=-1))


def plain_l2(w: Array) -> Array:
    return 0.5 * jnp.sum(w**2)


def plain_l1(w: Array) -> Array:
    return jnp.sum(jnp.abs(w))


def torch_linear_cross_entropy(torch: Any, x: Any, w: Any, labels: Any) -> Any:
    return torch.nn.functional.cross_entropy(x @ w, labels.long())


def torch_svm(torch: Any, scores: Any, labels: Any) -> Any:
    loss = torch.nn.functional.multi_margin_loss(scores, labels.long())
    return loss * scores.shape[-1]


def torch_half_squared_error(torch: Any, y: Any, target: Any) -> Any:
    return torch.nn.functional.mse_loss(y, target, reduction="sum") / (2 * y.shape[0])


def torch_l2(torch: Any, w: Any) -> Any:
    return 0.5 * (w * w).sum()


def torch_l1(torch: Any, w: Any) -> Any:
    return w.abs().sum()


OPTAX = "optax.softmax_cross_entropy_with_integer_labels"
ONE_MORE = "two numbers for each example, so that p_t - 1 keeps its digits"


def optax_linear_cross_entropy(x: Array, w: Array, labels: Array) -> Array:
    return optax_cross_entropy(x @ w, labels)


CASES = (
    Case(
        fused_linear_cross_entropy,
        optax_linear_cross_entropy,
        "a product and optax",
        (normal(64, 16), normal(16, 10), integers(64, below=10)),
        (normal(2048, 256), normal(256, 8192, scale=0.06), integers(2048, below=8192)),
        torch=torch_linear_cross_entropy,
    ),
    Case(
        softmax_cross_entropy,
        optax_cross_entropy,
        OPTAX,
        SMALL,
        VOCABULARY,
        torch=labelled("cross_entropy"),
        more_memory=ONE_MORE,
    ),
    Case(
        softmax_cross_entropy,
        optax_cross_entropy,
        OPTAX,
        SMALL,
        SOME_CLASSES,
        torch=labelled("cross_entropy"),
        more_memory=ONE_MORE,
        label="1000 classes",
    ),
    Case(
        softmax_cross_entropy,
        optax_cross_entropy,
        OPTAX,
        SMALL,
        FEW_CLASSES,
        torch=labelled("cross_entropy"),
        more_memory=ONE_MORE,
        label="10 classes",
    ),
    Case(
        softmax_cross_entropy,
        optax_smoothed_cross_entropy,
        "optax, smoothed labels",
        SMALL,
        SOME_CLASSES,
        options={"smoothing": 0.1},
        torch=labelled("cross_entropy", label_smoothing=0.1),
        more_memory=ONE_MORE,
        label="smoothing",
    ),
    Case(
        soft_cross_entropy,
        optax_soft_cross_entropy,
        "optax.softmax_cross_entropy",
        (normal(64, 10), positive(64, 10)),
        (normal(1024, 1000), positive(1024, 1000)),
        torch=functional("cross_entropy"),
    ),
    Case(
        ctc,
        optax_ctc,
        "optax.ctc_loss",
        (normal(4, 20, 10), integers(4, 5, below=10)),
        (normal(16, 200, 64), integers(16, 25, below=64)),
        torch=torch_ctc,
        more_memory="three weights for each state, so that the walk back is products alone",
    ),
    Case(
        svm, plain_svm, "jnp, margins set to 0 at the label", SMALL, SOME_CLASSES, torch=torch_svm
    ),
    Case(
        half_squared_error,
        optax_half_squared_error,
        "optax.l2_loss",
        (normal(64, 10), normal(64, 10)),
        (normal(1024, 1000), normal(1024, 1000)),
        torch=torch_half_squared_error,
    ),
    Case(
        l2, plain_l2, "jnp.sum(w**2) / 2", (normal(64, 10),), (normal(1024, 3072),), torch=torch_l2
    ),
    Case(
        l1,
        plain_l1,
        "jnp.sum(jnp.abs(w))",
        (normal(64, 10),),
        (normal(1024, 3072),),
        torch=torch_l1,
        more_memory="w, a parameter that is kept anyway; autodiff keeps its sign beside it",
    ),
)
