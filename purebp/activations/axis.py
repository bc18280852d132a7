"""Activations that look along an axis: each entry's value depends on its neighbours."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import Op, conditioned
from purebp.residuals import Spec, spec_of


def log_softmax_definition(x: Float[Array, "*s"], *, axis: int = -1) -> Float[Array, "*s"]:
    """y_i = x_i - ln sum_j e^{x_j} along one axis: log-probabilities.

    Maths: with p = e^y: x_bar = y_bar - p sum_j y_bar_j. For a loss on it that stays accurate
        where one p is near 1 see softmax_cross_entropy.
    Shapes: y and x_bar are shaped like x.
    Residuals: y alone.
    Kinks: none.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: derived by hand.

    Example:
        >>> y, res = log_softmax.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*log_softmax.bwd(res, y))
        [[-0.20073605 -2.6102977   2.8110335 ]
         [ 1.4844351  -2.378353    0.8939181 ]]
    """
    shifted = x - lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True, initial=-jnp.inf))
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis=axis, keepdims=True))


def log_softmax_forward(x: Array, *, axis: int) -> Array:
    return jax.nn.log_softmax(widen(x), axis=axis).astype(x.dtype)


def log_softmax_x_bar(y_bar: Array, y: Array, axis: int) -> Array:
    wide = widen(y_bar)
    return wide - jnp.exp(widen(y)) * jnp.sum(wide, axis=axis, keepdims=True)


def check_along(op: str, x: Array, axis: int) -> None:
    """Raise if x has no such axis."""
    if x.ndim == 0:
        raise ShapeError(f"{op}: x has shape (), expected at least one axis")
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"{op}: axis is {axis}, expected an axis of x of shape {x.shape}")


def check_log_softmax(x: Array, *, axis: int) -> None:
    """Raise if x has no such axis."""
    check_along("log_softmax", x, axis)


log_softmax = Gate(
    log_softmax_definition,
    log_softmax_x_bar,
    forward=log_softmax_forward,
    options={"axis": (-1, 0)},
    check=check_log_softmax,
    tolerance=conditioned("e^(x - max) magnifies the rounding of x - max"),
)


class SparsemaxResiduals(NamedTuple):
    inside: Bool[Array, "*s"]
    x: Spec


def sparsemax_definition(x: Float[Array, "*s"], *, axis: int = -1) -> Float[Array, "*s"]:
    """y = the point of the simplex nearest to x along one axis: a softmax with zeros.

    Maths: y_i = max(0, x_i - tau) with tau such that the y_i add up to 1: over the support S,
        tau = (sum_S x_j - 1) / |S|. x_bar = y_bar - mean of y_bar over S, within S; else 0.
        The support is found without sorting: from the entries above max - 1 those below their
        tau are left out again and again, which ends at S (Michelot).
    Shapes: y and x_bar are shaped like x.
    Residuals: which entries are in the support, a byte each.
    Kinks: an entry with x_i = tau is outside of the support.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: Martins and Astudillo 2016, "From softmax to sparsemax", equation 9; Michelot 1986.

    Example:
        >>> y, res = sparsemax.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*sparsemax.bwd(res, y))
        [[ 0.          0.          0.        ]
         [ 0.10000002  0.         -0.09999996]]
    """
    last = jnp.moveaxis(x, axis, -1)
    down = -jnp.sort(-lax.stop_gradient(last), axis=-1)
    sums = jnp.cumsum(down - down[..., :1], axis=-1)
    counts = jnp.arange(1, last.shape[-1] + 1)
    kept = jnp.sum(1 + counts * (down - down[..., :1]) > sums, axis=-1, keepdims=True)
    least = jnp.take_along_axis(down, jnp.maximum(kept - 1, 0), axis=-1)
    inside = last >= least
    size = jnp.sum(inside, axis=-1, keepdims=True)
    tau = (jnp.sum(jnp.where(inside, last, 0), axis=-1, keepdims=True) - 1) / size
    return jnp.moveaxis(jnp.where(inside, last - tau, 0 * down), -1, axis)


def sparsemax_fwd(x: Array, *, axis: int = -1) -> tuple[Array, SparsemaxResiduals]:
    z = widen(x)
    z = z - lax.stop_gradient(jnp.max(z, axis=axis, keepdims=True, initial=-jnp.inf))
    inside = _support(lax.stop_gradient(z), axis)
    y = jnp.where(inside | jnp.isnan(z), z - _threshold(z, inside, axis), 0)
    return y.astype(x.dtype), SparsemaxResiduals(inside, spec_of(x))


def _support(z: Array, axis: int) -> Array:
    """Where z is above the threshold; z is at most 0, so that the threshold is at least -1."""

    def go_on(state: tuple[Array, Array]) -> Array:
        return jnp.any(state[0] != state[1])

    def leave_out(state: tuple[Array, Array]) -> tuple[Array, Array]:
        inside = state[1]
        return inside, inside & (z > _threshold(z, inside, axis))

    first = z > -1
    second = first & (z > _threshold(z, first, axis))
    return lax.while_loop(go_on, leave_out, (first, second))[1]


def _threshold(z: Array, inside: Array, axis: int) -> Array:
    total = jnp.sum(jnp.where(inside, z, 0), axis=axis, keepdims=True)
    return (total - 1) / jnp.sum(inside, axis=axis, keepdims=True, dtype=z.dtype)


def sparsemax_bwd(res: SparsemaxResiduals, y_bar: Array, *, axis: int = -1) -> tuple[Array]:
    g = jnp.where(res.inside, widen(y_bar), 0)
    size = jnp.sum(res.inside, axis=axis, keepdims=True, dtype=g.dtype)
    x_bar = jnp.where(res.inside, g - jnp.sum(g, axis=axis, keepdims=True) / size, 0)
    return (x_bar.astype(res.x.dtype),)


def check_sparsemax(x: Array, *, axis: int) -> None:
    """Raise if x has no such axis."""
    check_along("sparsemax", x, axis)


sparsemax = Op(
    sparsemax_fwd,
    sparsemax_bwd,
    definition=sparsemax_definition,
    options={"axis": (-1, 0)},
    check=check_sparsemax,
    kinks="an entry at the threshold is outside",
    tolerance=conditioned("x - max and y_bar - its mean are differences that cancel"),
)


class StandardizeResiduals(NamedTuple):
    x_hat: Float[Array, "*s"]
    r: Float[Array, "*s"]


def standardize_definition(
    x: Float[Array, "*s"], *, axis: int = -1, eps: float = 1e-5
) -> Float[Array, "*s"]:
    """y = (x - mean) / sqrt(var + eps) along one axis: mean 0 and variance 1.

    Maths: with r = 1 / sqrt(var + eps), < > the mean along the axis:
        x_bar = r (y_bar - <y_bar> - y <y_bar y>). var is the mean of (x - mean)^2, which is not
        <x^2> - mean^2: that cancels where the mean is large.
    Shapes: y and x_bar are shaped like x.
    Residuals: y, which the next layer keeps anyway, in float32 or better, and r.
    Kinks: none for eps > 0.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis or eps is 0.
    Source: Ba, Kiros and Hinton 2016, "Layer normalization"; derived by hand.

    Example:
        >>> y, res = standardize.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*standardize.bwd(res, jnp.array([1.0, 0.0, 0.0])))
        [ 0.64034474 -0.25613853 -0.38420624]
    """
    centred = x - jnp.mean(x, axis=axis, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=axis, keepdims=True) + eps)


def standardize_fwd(
    x: Array, *, axis: int = -1, eps: float = 1e-5
) -> tuple[Array, StandardizeResiduals]:
    wide = widen(x)
    centred = wide - jnp.mean(wide, axis=axis, keepdims=True)
    r = lax.rsqrt(jnp.mean(centred * centred, axis=axis, keepdims=True) + eps)
    y = (centred * r).astype(x.dtype)
    return y, StandardizeResiduals(y, r)


def standardize_bwd(res: StandardizeResiduals, y_bar: Array, *, axis: int = -1) -> tuple[Array]:
    x_hat, g = widen(res.x_hat), widen(y_bar)
    mean = jnp.mean(g, axis=axis, keepdims=True)
    slope = jnp.mean(g * x_hat, axis=axis, keepdims=True)
    centre = jnp.mean(x_hat, axis=axis, keepdims=True)  # 0 but for the rounding of the mean
    x_bar = res.r * (g - mean - (x_hat - centre) * slope)
    return (x_bar.astype(y_bar.dtype),)


def check_standardize(x: Array, *, axis: int, eps: float) -> None:
    """Raise if x has no such axis, or if eps does not keep the division defined."""
    check_along("standardize", x, axis)
    if not eps > 0:
        raise OptionError(f"standardize: eps is {eps}, expected a number above 0")


standardize = Op(
    standardize_fwd,
    standardize_bwd,
    definition=standardize_definition,
    options={"axis": (-1, 0), "eps": (1e-5, 1e-2)},
    check=check_standardize,
    tolerance=conditioned(
        "x - mean and y_bar - <y_bar> - y <y_bar y> are differences that cancel", pooled=True
    ),
)

OPS = (log_softmax, sparsemax, standardize)
