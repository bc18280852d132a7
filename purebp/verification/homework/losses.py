"""Losses, as courses write them: one function that returns the loss and its gradient."""

from typing import Any

import jax.numpy as jnp

from purebp.losses import half_squared_error, l1_loss, mse, softmax_cross_entropy, svm
from purebp.verification.homework.call import Arg, Call

SCORES = (Arg("x", "n c"), Arg("y", "n", "labels", "c"))
SCORES_SIZES = {"n": 4, "c": 3}
WORDS = (Arg("x", "n t v"), Arg("y", "n t", "labels", "v"), Arg("mask", "n t", "mask"))
WORDS_SIZES = {"n": 2, "t": 3, "v": 4}
TARGETS = (Arg("x", "n c"), Arg("y", "n c"))


def sum_of_svm(x: Any, y: Any) -> Any:
    """Without the mean over the examples."""
    return svm.define(x, y, reduction="sum")


def sum_of_cross_entropies(x: Any, y: Any) -> Any:
    """Without the mean over the examples."""
    return softmax_cross_entropy.define(x, y, reduction="sum")


def temporal_softmax(x: Any, y: Any, mask: Any) -> Any:
    """The sum over the words that count, divided by the number of sequences."""
    losses = softmax_cross_entropy.define(x, y, reduction="none")
    return jnp.sum(jnp.where(mask, losses, 0)) / x.shape[0]


def mean_of_counted(x: Any, y: Any, mask: Any) -> Any:
    """The mean over the words that count."""
    losses = softmax_cross_entropy.define(x, y, reduction="none")
    return jnp.sum(jnp.where(mask, losses, 0)) / jnp.sum(mask)


def mean_of_examples(x: Any, y: Any) -> Any:
    """Squares added up over the features, their mean over the examples."""
    return jnp.sum(mse.define(x, y, reduction="none")) / x.shape[0]


def half_mean_of_examples(x: Any, y: Any) -> Any:
    """Half of that."""
    return mean_of_examples(x, y) / 2


def sum_of_squares(x: Any, y: Any) -> Any:
    """Without a mean."""
    return jnp.sum(mse.define(x, y, reduction="none"))


def half_sum_of_squares(x: Any, y: Any) -> Any:
    """Half of that."""
    return jnp.sum(half_squared_error.define(x, y, reduction="none"))


def half_mean_of_squares(x: Any, y: Any) -> Any:
    """Half the mean over everything."""
    return mse.define(x, y) / 2


def sum_of_l1(x: Any, y: Any) -> Any:
    """Without a mean."""
    return jnp.sum(l1_loss.define(x, y, reduction="none"))


SQUARES = (
    mse.define,
    mean_of_examples,
    sum_of_squares,
    half_mean_of_squares,
    half_mean_of_examples,
    half_sum_of_squares,
)

CALLS: dict[tuple[str, ...], tuple[Call, ...]] = {
    ("svm_loss", "svm", "hinge_loss", "multiclass_svm_loss"): (
        Call("svm", SCORES, SCORES_SIZES, (svm.define, sum_of_svm)),
    ),
    (
        "softmax_loss",
        "cross_entropy_loss",
        "cross_entropy",
        "softmax_cross_entropy",
        "softmax_cross_entropy_loss",
    ): (
        Call(
            "softmax_cross_entropy",
            SCORES,
            SCORES_SIZES,
            (softmax_cross_entropy.define, sum_of_cross_entropies),
        ),
    ),
    ("temporal_softmax_loss",): (
        Call(
            "softmax_cross_entropy",
            WORDS,
            WORDS_SIZES,
            (temporal_softmax, mean_of_counted),
        ),
    ),
    ("mse", "mse_loss", "l2_loss", "squared_loss", "squared_error_loss", "mean_squared_error"): (
        Call("mse", TARGETS, SCORES_SIZES, SQUARES),
    ),
    ("l1_loss", "mae_loss"): (Call("l1_loss", TARGETS, SCORES_SIZES, (l1_loss.define, sum_of_l1)),),
}
