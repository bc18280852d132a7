"""The loss of two masks that are to overlap."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.losses.difference import check_entries
from purebp.losses.reduction import REDUCTIONS, Reduction, reduce_examples, spread_over_examples
from purebp.numerics import widen
from purebp.op import Op, between, conditioned


class DiceResiduals(NamedTuple):
    p: Array
    target: Array
    overlap: Array
    scale: Array


def dice_definition(
    p: Float[Array, "*batch k"],
    target: Float[Array, "*batch k"],
    *,
    smooth: float = 1.0,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = 1 - (2 sum p t + c) / (sum p + sum t + c): how little two masks overlap.

    Maths: with the fraction N / D: p_bar = loss_bar (N / D - 2t) / D, t_bar with p for t.
    Shapes: p, target (*batch, k), from 0 to 1; loss () or (*batch) without reduction.
    Residuals: p, target, and N / D and 1 / D of each example.
    Kinks: none for D > 0.
    Raises: ShapeError if the shapes differ, OptionError for a smooth below 0.
    Source: Milletari, Navab and Ahmadi 2016, "V-Net", section 3.

    Example:
        >>> p = jnp.array([[0.25, 0.55, 0.9], [0.65, 0.05, 0.8]])
        >>> target = jnp.array([[0.65, 0.05, 0.8], [0.4, 0.7, 0.25]])
        >>> y, res = dice.fwd(p, target)
        >>> for bar in dice.bwd(res, 1.0): print(bar)
        [[-0.07482993  0.06802722 -0.11054422]
         [-0.03676843 -0.1146905   0.00219261]]
        [[ 0.02040817 -0.05102041 -0.13435373]
         [-0.10170349  0.05414067 -0.14066453]]
    """
    a, b = widen(p), widen(target)
    top = 2 * jnp.sum(a * b, axis=-1) + smooth
    losses = 1 - top / (jnp.sum(a, axis=-1) + jnp.sum(b, axis=-1) + smooth)
    return reduce_examples(losses, reduction).astype(jnp.result_type(p, target))


def dice_fwd(
    p: Array, target: Array, *, smooth: float = 1.0, reduction: Reduction = "mean"
) -> tuple[Array, DiceResiduals]:
    a, b = widen(p), widen(target)
    scale = 1 / (jnp.sum(a + b, axis=-1) + smooth)
    overlap = (2 * jnp.sum(a * b, axis=-1) + smooth) * scale
    loss = reduce_examples(1 - overlap, reduction).astype(jnp.result_type(p, target))
    return loss, DiceResiduals(p, target, overlap, scale)


def dice_bwd(res: DiceResiduals, loss_bar: Array, *, reduction: Reduction) -> tuple[Array, Array]:
    share = spread_over_examples(loss_bar, res.p.shape[:-1], reduction) * res.scale[..., None]
    overlap = res.overlap[..., None]
    p_bar = share * (overlap - 2 * widen(res.target))
    t_bar = share * (overlap - 2 * widen(res.p))
    return p_bar.astype(res.p.dtype), t_bar.astype(res.target.dtype)


def check_dice(p: Array, target: Array, *, smooth: float, reduction: str) -> None:
    """Raise for an unknown reduction, and for a smooth that is not above 0."""
    check_entries("dice", reduction=reduction, smooth=smooth)


dice = Op(
    dice_fwd,
    dice_bwd,
    definition=dice_definition,
    options={"smooth": (1.0, 0.1), "reduction": REDUCTIONS},
    domains={"p": between(0, 1), "target": between(0, 1)},
    check=check_dice,
    tolerance=conditioned("N / D - 2t is a difference that cancels"),
)

OPS = (dice,)
