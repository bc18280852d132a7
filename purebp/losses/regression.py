"""The loss that compares outputs with target values."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    check_reduction,
    reduce_examples,
    spread_over_examples,
    sum_of_squares,
)
from purebp.numerics import widen
from purebp.op import Op
from purebp.residuals import Spec, spec_of


class SquaredErrorResiduals(NamedTuple):
    error: Float[Array, "*batch k"]
    y: Spec
    target: Spec


def half_squared_error_definition(
    y: Float[Array, "*batch k"], target: Float[Array, "*batch k"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = 1/2 sum_k (y_k - t_k)^2 for each example.

    Maths: y_bar = loss_bar (y - t), t_bar = -y_bar.
    Shapes: y, target (*batch, k); loss () or (*batch) without reduction.
    Residuals: the error y - t.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: the lecture notes on backpropagation, E = 1/2 (o - t)^2.

    Example:
        >>> y = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> z, res = half_squared_error.fwd(y, target)
        >>> for bar in half_squared_error.bwd(res, 1.0): print(bar)
        [[ 0.25  0.5   0.85]
         [ 1.25 -1.5  -0.25]]
        [[-0.25 -0.5  -0.85]
         [-1.25  1.5   0.25]]
    """
    error = y - target
    losses = jnp.sum(widen(error) ** 2, axis=-1) / 2
    return reduce_examples(losses, reduction).astype(error.dtype)


def half_squared_error_fwd(
    y: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, SquaredErrorResiduals]:
    error = y - target
    loss = sum_of_squares(widen(error), reduction) / 2
    return loss.astype(error.dtype), SquaredErrorResiduals(error, spec_of(y), spec_of(target))


def half_squared_error_bwd(
    res: SquaredErrorResiduals, loss_bar: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    y_bar = res.error * spread_over_examples(loss_bar, res.error.shape[:-1], reduction)
    return y_bar.astype(res.y.dtype), -y_bar.astype(res.target.dtype)


def check_half_squared_error(y: Array, target: Array, *, reduction: str) -> None:
    """Raise for an unknown reduction."""
    check_reduction("half_squared_error", reduction)


half_squared_error = Op(
    half_squared_error_fwd,
    half_squared_error_bwd,
    definition=half_squared_error_definition,
    options={"reduction": REDUCTIONS},
    check=check_half_squared_error,
)


OPS = (half_squared_error,)
