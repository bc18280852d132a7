"""What becomes of the losses of the examples: their mean, their sum, or nothing."""

import math
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array

from purebp.errors import OptionError
from purebp.numerics import widen

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")


def reduce_examples(losses: Array, reduction: str, counted: Array | None = None) -> Array:
    """The mean, the sum or all of the examples' losses; those that do not count are 0."""
    if counted is not None:
        losses = jnp.where(counted, losses, 0)
        if reduction == "mean":
            return jnp.sum(losses) / _number(counted)
    if reduction == "none":
        return losses
    return jnp.mean(losses) if reduction == "mean" else jnp.sum(losses)


def sum_of_squares(errors: Array, reduction: str) -> Array:
    """The sum over the last axis, reduced over the examples, in one sum where that is the same."""
    if reduction == "none":
        return jnp.sum(errors * errors, axis=-1)
    total = jnp.sum(errors * errors)
    return total / math.prod(errors.shape[:-1]) if reduction == "mean" else total


def spread_over_examples(
    loss_bar: Array, examples: tuple[int, ...], reduction: str, counted: Array | None = None
) -> Array:
    """The cotangent of each example's loss, ready to multiply (examples, features)."""
    wide = widen(loss_bar)
    if counted is not None:
        share = wide / _number(counted) if reduction == "mean" else wide
        return jnp.where(counted, share, 0)[..., None]
    if reduction == "none":
        return wide[..., None]
    share = wide / math.prod(examples) if reduction == "mean" else wide
    return jnp.broadcast_to(share, (*examples, 1))


def _number(counted: Array) -> Array:
    """How many examples count, at least 1: the mean of none is 0."""
    return jnp.maximum(jnp.sum(counted), 1)


def check_reduction(op: str, reduction: str) -> None:
    """Raise unless the reduction is known."""
    if reduction not in REDUCTIONS:
        known = ", ".join(map(repr, REDUCTIONS))
        raise OptionError(f"{op}: reduction is {reduction!r}, expected one of {known}")


def share_of(loss_bar: Array, entries: tuple[int, ...], reduction: str) -> Array:
    """The cotangent of each entry's loss, ready to multiply (entries)."""
    wide = widen(loss_bar)
    return wide / math.prod(entries) if reduction == "mean" else wide
