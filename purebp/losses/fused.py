"""The output layer and the softmax cross-entropy as one op: the logits never exist as a whole."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer

from purebp.compat import explicit_sharding
from purebp.errors import OptionError, ShapeError
from purebp.losses.classification import softmax_cross_entropy
from purebp.losses.reduction import Reduction
from purebp.numerics import widen
from purebp.op import Op, conditioned, index_below
from purebp.residuals import Spec, spec_of

CHUNK = 256
Pair = tuple[Array, Array]


def fused_linear_cross_entropy_definition(
    x: Float[Array, "*batch d"],
    w: Float[Array, "d v"],
    labels: Integer[Array, "*batch"],
    *,
    reduction: Reduction = "mean",
    chunk: int | None = None,
) -> Float[Array, ""]:
    """softmax_cross_entropy(x w, labels), without an array of all examples times all classes.

    Maths: G = (p - 1_t) / n, p = softmax(x w), for the mean of n examples (G = p - 1_t for the
        sum); x_bar = loss_bar G w^T, w_bar = loss_bar x^T G.
    Shapes: x (*batch, d), w (d, v), labels (*batch); loss (), in nats. The work is cut into chunks
        of `chunk` examples (256 by default); only their logits exist at one time.
    Residuals: G w^T and x^T G, which the forward pass computes chunk by chunk while it has the
        logits: backward is one product with loss_bar. So there is no reduction="none".
    Kinks: none.
    Raises: ShapeError if the shapes do not fit or there are no classes, OptionError for another
        reduction or a chunk below 1. For a label that is no class loss and gradients are nan.
    Source: Hsu et al. 2024, "Liger Kernel", section 3.2; derived by hand.

    Example:
        >>> x = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> w = jax.random.normal(jax.random.key(1), (3, 5))
        >>> labels = jnp.array([0, 0])
        >>> y, res = fused_linear_cross_entropy.fwd(x, w, labels)
        >>> [bar if bar is None else bar.shape for bar in fused_linear_cross_entropy.bwd(res, 1.0)]
        [(2, 3), (3, 5), None]
    """
    logits = jnp.matmul(widen(x), widen(w))
    loss = softmax_cross_entropy.definition(logits, labels, reduction=reduction)
    return loss.astype(jnp.result_type(x, w))


class FusedResiduals(NamedTuple):
    x_slope: Float[Array, "*batch d"]
    w_slope: Float[Array, "d v"]
    x: Spec
    w: Spec


def fused_linear_cross_entropy_fwd(
    x: Array,
    w: Array,
    labels: Array,
    *,
    reduction: Reduction = "mean",
    chunk: int | None = None,
) -> tuple[Array, FusedResiduals]:
    rows, wide = labels.size, widen(w)
    share = 1 / max(rows, 1) if reduction == "mean" else 1.0
    size = min(chunk or CHUNK, max(rows, 1))
    flat, targets = widen(x).reshape(-1, x.shape[-1]), labels.reshape(-1).astype(jnp.int32)
    if rows <= size:
        loss, x_slope, w_slope = _chunk(flat, wide, targets, share)
    else:
        loss, x_slope, w_slope = _over_chunks(flat, wide, targets, share, size)
    if reduction == "mean" and rows == 0:
        loss = loss * jnp.nan
    loss = loss.astype(jnp.result_type(x, w))
    return loss, FusedResiduals(x_slope.reshape(x.shape), w_slope, spec_of(x), spec_of(w))


def _over_chunks(
    x: Array, w: Array, labels: Array, share: float, size: int
) -> tuple[Array, Array, Array]:
    """The chunks one after the other; what is left over at the end is a smaller one."""
    whole = len(x) // size * size

    def step(carry: Pair, each: Pair) -> tuple[Pair, Array]:
        loss, x_slope, w_slope = _chunk(each[0], w, each[1], share)
        return (carry[0] + loss, carry[1] + w_slope), x_slope

    parts = x[:whole].reshape(-1, size, x.shape[1]), labels[:whole].reshape(-1, size)
    last_loss, last_x_slope, last_w_slope = _chunk(x[whole:], w, labels[whole:], share)
    (loss, w_slope), x_slopes = lax.scan(step, (last_loss, last_w_slope), parts)
    return loss, jnp.concatenate([x_slopes.reshape(whole, -1), last_x_slope]), w_slope


def _chunk(x: Array, w: Array, labels: Array, share: float) -> tuple[Array, Array, Array]:
    """share times the sum of the losses, and its slopes along x and w.

    p_t - 1 is written as -sum_{j != t} p_j, which keeps its digits where p_t is near 1.
    """
    z = jnp.matmul(x, w)
    z = z - lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True))
    own_class = jnp.arange(w.shape[1]) == labels[:, None]
    terms = jnp.exp(z)
    others = jnp.sum(jnp.where(own_class, 0, terms), axis=-1, keepdims=True)
    target = jnp.sum(jnp.where(own_class, z, 0), axis=-1, keepdims=True)
    inside = (labels >= 0) & (labels < w.shape[1])
    target = jnp.where(inside[:, None], target, jnp.nan)
    own = jnp.exp(target)
    likely = own >= others
    near = jnp.log1p(others / jnp.where(likely, own, 1))
    loss = share * jnp.sum(jnp.where(likely, near, jnp.log(own + others) - target))
    g = jnp.where(own_class, -others, terms) * (share / (own + others))
    x_slope = jnp.matmul(g, w.T, out_sharding=explicit_sharding(x))
    return loss, x_slope, jnp.matmul(x.T, g, out_sharding=explicit_sharding(w))


def fused_linear_cross_entropy_bwd(
    res: FusedResiduals, loss_bar: Array
) -> tuple[Array, Array, None]:
    wide = widen(loss_bar)
    return (res.x_slope * wide).astype(res.x.dtype), (res.w_slope * wide).astype(res.w.dtype), None


def check_fused_linear_cross_entropy(
    x: Array, w: Array, labels: Array, *, reduction: str, chunk: int | None
) -> None:
    """Raise for an unknown reduction or chunk, and for weights without classes."""
    op = "fused_linear_cross_entropy"
    if reduction not in ("mean", "sum"):
        hint = "; for each example's loss use affine and softmax_cross_entropy"
        raise OptionError(f"{op}: reduction is {reduction!r}, expected 'mean' or 'sum'{hint}")
    if chunk is not None and (not isinstance(chunk, int) or chunk < 1):
        raise OptionError(f"{op}: chunk is {chunk!r}, expected None or a number of examples")
    if w.shape[1] == 0:
        raise ShapeError(f"{op}: w has shape {w.shape}, expected at least one class")


fused_linear_cross_entropy = Op(
    fused_linear_cross_entropy_fwd,
    fused_linear_cross_entropy_bwd,
    definition=fused_linear_cross_entropy_definition,
    options={"reduction": ("mean", "sum"), "chunk": (None, 2)},
    domains={"labels": index_below("v")},
    check=check_fused_linear_cross_entropy,
    tolerance=conditioned("e^(z - max) magnifies the rounding of z - max", pooled=True),
)

OPS = (fused_linear_cross_entropy,)
