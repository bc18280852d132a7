"""The other losses, against optax and plain jnp."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from purebp.benchmark.case import Case, Draw, normal, positive, uniform
from purebp.benchmark.eager import functional
from purebp.losses import (
    binary_cross_entropy,
    cosine_distance,
    cosine_similarity,
    dice,
    elastic_net,
    focal,
    gaussian_nll,
    hinge,
    huber,
    info_nce,
    js_divergence,
    kl_divergence,
    l1_loss,
    log_cosh,
    max_norm,
    mse,
    triplet,
)


def log_probability(*shape: int) -> Draw:
    """Logarithms of the softmax of normal values."""
    return partial(_log_probability, shape)


def _log_probability(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return jax.nn.log_softmax(jnp.asarray(rng.standard_normal(shape, np.float32)))


def fraction(*shape: int) -> Draw:
    """Values between 0 and 1, as labels and probabilities are."""
    return uniform(0.05, 0.95, *shape)


SMALL, LARGE = (64, 10), (1024, 1024)
TWO = (normal(*SMALL), normal(*SMALL)), (normal(*LARGE), normal(*LARGE))
LOGITS = (normal(*SMALL), fraction(*SMALL)), (normal(*LARGE), fraction(*LARGE))
LOGS = (log_probability(*SMALL),) * 2, (log_probability(*LARGE),) * 2
BOTH = (positive(*SMALL), positive(*SMALL)), (positive(*LARGE), positive(*LARGE))
WEIGHTS = (normal(*SMALL),), (normal(*LARGE),)


def plain_mse(y: Array, target: Array) -> Array:
    return jnp.mean(optax.squared_error(y, target))


def plain_l1_loss(y: Array, target: Array) -> Array:
    return jnp.mean(jnp.abs(y - target))


def optax_huber(y: Array, target: Array) -> Array:
    return jnp.mean(optax.huber_loss(y, target))


def optax_log_cosh(y: Array, target: Array) -> Array:
    return jnp.mean(optax.log_cosh(y, target))


def plain_gaussian_nll(mean: Array, target: Array, var: Array) -> Array:
    return jnp.mean(jnp.log(var) + (target - mean) ** 2 / var) / 2


def optax_binary_cross_entropy(logits: Array, target: Array) -> Array:
    return jnp.mean(optax.sigmoid_binary_cross_entropy(logits, target))


def optax_focal(logits: Array, target: Array) -> Array:
    return jnp.mean(optax.sigmoid_focal_loss(logits, target))


def plain_hinge(scores: Array, target: Array) -> Array:
    return jnp.mean(jnp.maximum(0, 1 - scores * target))


def plain_dice(p: Array, target: Array) -> Array:
    top = 2 * jnp.sum(p * target, axis=-1) + 1
    return jnp.mean(1 - top / (jnp.sum(p, axis=-1) + jnp.sum(target, axis=-1) + 1))


def optax_kl_divergence(log_p: Array, target: Array) -> Array:
    return jnp.mean(optax.kl_divergence(log_p, target))


def plain_js_divergence(log_p: Array, log_q: Array) -> Array:
    middle = jnp.logaddexp(log_p, log_q) - math.log(2)
    both = optax.losses.kl_divergence_with_log_targets(middle, log_p)
    return jnp.mean(both + optax.losses.kl_divergence_with_log_targets(middle, log_q)) / 2


def optax_info_nce(x: Array, y: Array) -> Array:
    scores, pairs = x @ y.T / 0.07, jnp.arange(x.shape[0])
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    return jnp.mean(cross_entropy(scores, pairs) + cross_entropy(scores.T, pairs)) / 2


def torch_info_nce(torch: Any, x: Any, y: Any) -> Any:
    scores, pairs = x @ y.T / 0.07, torch.arange(x.shape[0])
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(scores, pairs) + cross_entropy(scores.T, pairs)) / 2


def optax_cosine_distance(x: Array, y: Array) -> Array:
    return jnp.mean(optax.cosine_distance(x, y))


def plain_triplet(anchor: Array, positive: Array, negative: Array) -> Array:
    near = jnp.linalg.norm(anchor - positive, axis=-1)
    far = jnp.linalg.norm(anchor - negative, axis=-1)
    return jnp.mean(jnp.maximum(0, near - far + 1))


def plain_elastic_net(w: Array) -> Array:
    return jnp.sum(jnp.abs(w)) + jnp.sum(w**2) / 2


def plain_max_norm(w: Array) -> Array:
    return jnp.sum(jnp.maximum(0, jnp.linalg.norm(w, axis=0) - 1) ** 2) / 2


ERROR = "temporaries: the error, which is saved in the place of both inputs"

CASES = (
    Case(mse, plain_mse, "optax.squared_error", *TWO, torch=functional("mse_loss")),
    Case(
        l1_loss,
        plain_l1_loss,
        "jnp.abs",
        *TWO,
        torch=functional("l1_loss"),
        more_memory="the error; autodiff keeps two masks of a byte an entry",
    ),
    Case(
        huber,
        optax_huber,
        "optax.huber_loss",
        *TWO,
        torch=functional("huber_loss"),
        more_memory=ERROR,
    ),
    Case(log_cosh, optax_log_cosh, "optax.log_cosh", *TWO, more_memory=ERROR),
    Case(
        gaussian_nll,
        plain_gaussian_nll,
        "plain jnp",
        (*TWO[0], positive(*SMALL)),
        (*TWO[1], positive(*LARGE)),
        torch=functional("gaussian_nll_loss"),
        more_memory="small: the error; in large inputs it is subtracted again",
    ),
    Case(
        binary_cross_entropy,
        optax_binary_cross_entropy,
        "optax.sigmoid_binary_cross_entropy",
        *LOGITS,
        torch=functional("binary_cross_entropy_with_logits"),
    ),
    Case(focal, optax_focal, "optax.sigmoid_focal_loss", *LOGITS),
    Case(hinge, plain_hinge, "jnp.maximum", *TWO),
    Case(dice, plain_dice, "plain jnp", *BOTH),
    Case(
        kl_divergence,
        optax_kl_divergence,
        "optax.kl_divergence",
        *LOGITS,
        torch=functional("kl_div", reduction="batchmean"),
        more_memory="temporaries: the terms of the sum; autodiff writes an output over them",
    ),
    Case(js_divergence, plain_js_divergence, "optax.kl_divergence", *LOGS),
    Case(
        info_nce,
        optax_info_nce,
        "optax.softmax_cross_entropy",
        (normal(16, 8, scale=0.3), normal(16, 8, scale=0.3)),
        (normal(1024, 256, scale=0.06), normal(1024, 256, scale=0.06)),
        torch=torch_info_nce,
        more_memory="temporaries: both softmaxes until they are added; autodiff saves them instead",
    ),
    Case(
        cosine_similarity,
        optax.cosine_similarity,
        "optax.cosine_similarity",
        *TWO,
        torch=functional("cosine_similarity", dim=-1),
    ),
    Case(cosine_distance, optax_cosine_distance, "optax.cosine_distance", *TWO),
    Case(
        triplet,
        plain_triplet,
        "jnp.linalg.norm",
        (*TWO[0], normal(*SMALL)),
        (*TWO[1], normal(*LARGE)),
        torch=functional("triplet_margin_loss"),
        more_memory="temporaries: both differences; autodiff writes an output over one of them",
    ),
    Case(elastic_net, plain_elastic_net, "plain jnp", *WEIGHTS),
    Case(max_norm, plain_max_norm, "jnp.linalg.norm", *WEIGHTS),
)
