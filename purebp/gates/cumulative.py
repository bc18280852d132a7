"""Cumulative gates: sum, product, maximum, minimum and logsumexp of all entries up to each.

All but the sum have the same backward pass: with weights a_k,

    S_k = y_bar_k + a_k S_{k+1}

runs from the end to the start, and x_bar_k is S_k times a factor. It is an associative scan.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import conditioned

OPTIONS = {"axis": (-1, 0), "reverse": (False, True)}
SIZES = {"s": ((2, 3), (4,), (3, 2, 2), (1, 5))}


def cumsum_definition(
    x: Inexact[Array, "*s"], *, axis: int = -1, reverse: bool = False
) -> Inexact[Array, "*s"]:
    """y_i = x_1 + ... + x_i along an axis; from the other end with `reverse`.

    Maths: x_bar_k = y_bar_k + ... + y_bar_n: the cumulative sum from the other end.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: none.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: transposed sum.

    Example:
        >>> y, res = cumsum.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*cumsum.bwd(res, y))
        [7.  6.  5.5 3. ]
    """
    return lax.cumsum(x, axis=axis % x.ndim, reverse=reverse)


def cumsum_forward(x: Array, *, axis: int, reverse: bool) -> Array:
    return lax.cumsum(widen(x), axis=axis % x.ndim, reverse=reverse).astype(x.dtype)


def cumsum_x_bar(y_bar: Array, axis: int, reverse: bool) -> Array:
    return lax.cumsum(widen(y_bar), axis=axis % y_bar.ndim, reverse=not reverse)


def check_cumulative(op: str, x: Array, *, axis: int, reverse: bool) -> None:
    """Raise if x has no such axis."""
    if x.ndim == 0:
        raise ShapeError(f"{op}: x has shape (), expected at least one axis")
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"{op}: axis is {axis}, expected an axis of x of shape {x.shape}")


def _rules(op: str) -> dict[str, Any]:
    return {"options": OPTIONS, "sizes": SIZES, "check": partial(check_cumulative, op)}


cumsum = Gate(
    cumsum_definition,
    cumsum_x_bar,
    forward=cumsum_forward,
    primitive="cumsum",
    **_rules("cumsum"),
)


def _ordered(x: Array, axis: int, reverse: bool) -> Array:
    """The axis last, from the start to the end."""
    last = jnp.moveaxis(x, axis, -1)
    return jnp.flip(last, -1) if reverse else last


def _restored(x: Array, axis: int, reverse: bool) -> Array:
    return jnp.moveaxis(jnp.flip(x, -1) if reverse else x, -1, axis)


def _next(x: Array, fill: float) -> Array:
    """The entry that follows each one."""
    return jnp.concatenate([x[..., 1:], jnp.full_like(x[..., :1], fill)], axis=-1)


def _previous(x: Array, fill: float) -> Array:
    """The entry before each one."""
    return jnp.concatenate([jnp.full_like(x[..., :1], fill), x[..., :-1]], axis=-1)


def _sum_from_the_end(weights: Array, y_bar: Array) -> Array:
    """S_k = y_bar_k + a_k S_{k+1} along the last axis."""
    return lax.associative_scan(_join, (weights, y_bar), reverse=True, axis=y_bar.ndim - 1)[1]


def _join(later: tuple[Array, Array], here: tuple[Array, Array]) -> tuple[Array, Array]:
    return here[0] * later[0], here[1] + here[0] * later[1]


def cumprod_definition(
    x: Inexact[Array, "*s"], *, axis: int = -1, reverse: bool = False
) -> Inexact[Array, "*s"]:
    """y_i = x_1 ... x_i along an axis; from the other end with `reverse`.

    Maths: x_bar_k = y_{k-1} S_k with S_k = y_bar_k + x_{k+1} S_{k+1}: what comes before k, times
        the sum over the products that follow. Nothing is divided, so zeros are as good as others.
    Shapes: y and x_bar are shaped like x.
    Residuals: x and y.
    Kinks: none.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: product rule, summed by Horner's scheme.

    Example:
        >>> y, res = cumprod.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*cumprod.bwd(res, y))
        [ 2.5   -3.     0.625  0.5  ]
    """
    return lax.cumprod(x, axis=axis % x.ndim, reverse=reverse)


def cumprod_forward(x: Array, *, axis: int, reverse: bool) -> Array:
    return lax.cumprod(widen(x), axis=axis % x.ndim, reverse=reverse).astype(x.dtype)


def cumprod_x_bar(y_bar: Array, x: Array, y: Array, axis: int, reverse: bool) -> Array:
    line, out, g = (_ordered(widen(v), axis, reverse) for v in (x, y, y_bar))
    total = _sum_from_the_end(_next(line, 0), g)
    return _restored(_previous(out, 1) * total, axis, reverse)


cumprod = Gate(
    cumprod_definition,
    cumprod_x_bar,
    forward=cumprod_forward,
    primitive="cumprod",
    **_rules("cumprod"),
)


def _first_winner(x: Array, y: Array) -> Array:
    """y with the derivative of the entry of x that won first, along the last axis."""
    won = lax.stop_gradient(_records(y))
    place = lax.cummax(jnp.where(won, jnp.arange(x.shape[-1]), 0), axis=x.ndim - 1)
    return jnp.take_along_axis(x, place, axis=-1)


def _records(y: Array) -> Array:
    """Where the running extreme changes, and at the start."""
    return (y != _previous(y, 0)) | (jnp.arange(y.shape[-1]) == 0)


def cummax_definition(
    x: Float[Array, "*s"], *, axis: int = -1, reverse: bool = False
) -> Float[Array, "*s"]:
    """y_i = the largest of x_1, ..., x_i along an axis; from the other end with `reverse`.

    Maths: x_bar_k = sum of y_bar_i over the i for which x_k is the largest so far.
    Shapes: y and x_bar are shaped like x.
    Residuals: y.
    Kinks: of equal entries the first receives all.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: max gates in a row.

    Example:
        >>> y, res = cummax.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*cummax.bwd(res, y))
        [2. 0. 4. 0.]
    """
    line = _ordered(x, axis, reverse)
    y = lax.cummax(lax.stop_gradient(line), axis=x.ndim - 1)
    return _restored(_first_winner(line, y), axis, reverse)


def cummax_forward(x: Array, *, axis: int, reverse: bool) -> Array:
    return lax.cummax(x, axis=axis % x.ndim, reverse=reverse)


def cummin_definition(
    x: Float[Array, "*s"], *, axis: int = -1, reverse: bool = False
) -> Float[Array, "*s"]:
    """y_i = the smallest of x_1, ..., x_i along an axis; from the other end with `reverse`.

    Maths: x_bar_k = sum of y_bar_i over the i for which x_k is the smallest so far.
    Shapes: y and x_bar are shaped like x.
    Residuals: y.
    Kinks: of equal entries the first receives all.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: min gates in a row.

    Example:
        >>> y, res = cummin.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*cummin.bwd(res, y))
        [ 1.  -1.5 -0.  -0. ]
    """
    line = _ordered(x, axis, reverse)
    y = lax.cummin(lax.stop_gradient(line), axis=x.ndim - 1)
    return _restored(_first_winner(line, y), axis, reverse)


def cummin_forward(x: Array, *, axis: int, reverse: bool) -> Array:
    return lax.cummin(x, axis=axis % x.ndim, reverse=reverse)


def cumulative_extreme_x_bar(y_bar: Array, y: Array, axis: int, reverse: bool) -> Array:
    out, g = _ordered(y, axis, reverse), _ordered(widen(y_bar), axis, reverse)
    won = _records(out).astype(g.dtype)
    return _restored(won * _sum_from_the_end(1 - _next(won, 0), g), axis, reverse)


cummax = Gate(
    cummax_definition,
    cumulative_extreme_x_bar,
    forward=cummax_forward,
    primitive="cummax",
    kinks="of equal entries the first receives all",
    **_rules("cummax"),
)
cummin = Gate(
    cummin_definition,
    cumulative_extreme_x_bar,
    forward=cummin_forward,
    primitive="cummin",
    kinks="of equal entries the first receives all",
    **_rules("cummin"),
)


def cumlogsumexp_definition(
    x: Float[Array, "*s"], *, axis: int = -1, reverse: bool = False
) -> Float[Array, "*s"]:
    """y_i = ln(e^{x_1} + ... + e^{x_i}) along an axis; from the other end with `reverse`.

    Maths: x_bar_k = e^(x_k - y_k) S_k with S_k = y_bar_k + e^(y_k - y_{k+1}) S_{k+1}. No exponent
        is above 0, for y only grows.
    Shapes: y and x_bar are shaped like x.
    Residuals: x and y.
    Kinks: while all entries so far are -inf, y is -inf and x_bar is 0.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: chain rule.

    Example:
        >>> y, res = cumlogsumexp.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*cumlogsumexp.bwd(res, y))
        [3.1368685  0.47679982 3.138592   0.33536643]
    """
    line = _ordered(x, axis, reverse)
    n = line.shape[-1]
    so_far = jnp.arange(n) <= jnp.arange(n)[:, None]
    each = jnp.where(so_far, line[..., None, :], -jnp.inf)
    top = lax.stop_gradient(jnp.max(each, axis=-1, keepdims=True, initial=-jnp.inf))
    y = jnp.log(jnp.sum(jnp.exp(each - top), axis=-1)) + top[..., 0]
    return _restored(y, axis, reverse)


def cumlogsumexp_forward(x: Array, *, axis: int, reverse: bool) -> Array:
    return lax.cumlogsumexp(widen(x), axis=axis % x.ndim, reverse=reverse).astype(x.dtype)


def cumlogsumexp_x_bar(y_bar: Array, x: Array, y: Array, axis: int, reverse: bool) -> Array:
    line, out, g = (_ordered(widen(v), axis, reverse) for v in (x, y, y_bar))
    masked = out == -jnp.inf
    finite = jnp.where(masked, 0, out)
    share = jnp.where(masked, 0, jnp.exp(line - finite))
    kept = jnp.exp(jnp.where(masked, -jnp.inf, finite - _next(out, jnp.inf)))
    return _restored(share * _sum_from_the_end(kept, g), axis, reverse)


cumlogsumexp = Gate(
    cumlogsumexp_definition,
    cumlogsumexp_x_bar,
    forward=cumlogsumexp_forward,
    primitive="cumlogsumexp",
    tolerance=conditioned("e^(x - y) magnifies the rounding of x - y"),
    **_rules("cumlogsumexp"),
)

OPS = (cumsum, cumprod, cummax, cummin, cumlogsumexp)
