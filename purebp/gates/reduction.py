"""Reduction gates: sum hands the upstream gradient to every entry, the others a share of it."""

import math
import operator
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Inexact

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import conditioned
from purebp.residuals import Spec

Axis = int | tuple[int, ...] | None


def sum_definition(
    x: Inexact[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Inexact[Array, "..."]:
    """y = sum of x over `axis` (all axes by default), the adder read from left to right.

    Maths: y = sum_i x_i; every x_bar_i = y_bar.
    Shapes: y lacks the axes summed over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: CS231n, lecture 4.

    Example:
        >>> y, res = sum.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*sum.bwd(res, 1.0))
        [[1. 1. 1.]
         [1. 1. 1.]]
    """
    return jnp.sum(x, axis=axis, keepdims=keepdims)


def sum_x_bar(y_bar: Array, x_spec: Spec, axis: Axis, keepdims: bool) -> Array:
    return spread(restore_axes(y_bar, axis, keepdims), x_spec)


def mean_definition(
    x: Inexact[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Inexact[Array, "..."]:
    """y = mean of x over `axis` (all axes by default).

    Maths: y = 1/n sum_i x_i; every x_bar_i = y_bar / n.
    Shapes: y lacks the axes averaged over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: CS231n, lecture 4.

    Example:
        >>> y, res = mean.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*mean.bwd(res, 1.0))
        [[0.16666667 0.16666667 0.16666667]
         [0.16666667 0.16666667 0.16666667]]
    """
    return jnp.mean(x, axis=axis, keepdims=keepdims)


def mean_x_bar(y_bar: Array, x_spec: Spec, axis: Axis, keepdims: bool) -> Array:
    axes = axes_of(axis, len(x_spec.shape))
    count = math.prod(x_spec.shape[i] for i in axes)
    return spread(restore_axes(y_bar / count, axis, keepdims), x_spec)


def check_axis(op: str, x: Array, *, axis: Axis, keepdims: bool) -> None:
    """Raise if x has no such axis, or not twice."""
    try:
        axes = axes_of(axis, x.ndim)
    except TypeError:
        axes = (x.ndim,)
    inside = [i % x.ndim for i in axes if -x.ndim <= i < x.ndim]
    if len(set(inside)) < len(axes):
        raise OptionError(
            f"{op}: axis is {axis!r}, expected None or axes of x of shape {x.shape}, each once"
        )


def axes_of(axis: Axis, rank: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    return tuple(map(operator.index, axis if isinstance(axis, tuple) else (axis,)))


def spread(y_bar: Array, x_spec: Spec) -> Array:
    return jnp.broadcast_to(y_bar, x_spec.shape, out_sharding=x_spec.sharding)


def restore_axes(y_bar: Array, axis: Axis, keepdims: bool) -> Array:
    if axis is None or keepdims:
        return y_bar
    return jnp.expand_dims(y_bar, axis)


TRIED = {"axis": (None, 0, -1, (0, -1)), "keepdims": (False, True)}
sum = Gate(
    sum_definition,
    sum_x_bar,
    options=TRIED,
    check=partial(check_axis, "sum"),
    primitive="reduce_sum",
)
mean = Gate(mean_definition, mean_x_bar, options=TRIED, check=partial(check_axis, "mean"))


def logsumexp_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """y = ln sum e^x over `axis` (all axes by default), a smooth maximum.

    Maths: y = m + ln sum e^(x_i - m), m the largest; x_bar_i = y_bar e^(x_i - y).
    Shapes: y lacks the axes summed over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: x and y.
    Kinks: where every x_i is -inf (a row that is masked altogether) y is -inf and x_bar is 0.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: chain rule; the softmax is the gradient.

    Example:
        >>> y, res = logsumexp.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*logsumexp.bwd(res, 1.0))
        [[0.19506057 0.04352389 0.53022957]
         [0.11831021 0.01601155 0.09686421]]
    """
    top = lax.stop_gradient(jnp.max(x, axis=axis, keepdims=True, initial=-jnp.inf))
    top = jnp.where(top == -jnp.inf, 0, top)
    total = jnp.log(jnp.sum(jnp.exp(x - top), axis=axis, keepdims=True)) + top
    return jnp.sum(total, axis=axis, keepdims=keepdims)


def logsumexp_forward(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    return jax.nn.logsumexp(widen(x), axis=axis, keepdims=keepdims).astype(x.dtype)


def logsumexp_x_bar(y_bar: Array, x: Array, y: Array, axis: Axis, keepdims: bool) -> Array:
    y = restore_axes(widen(y), axis, keepdims)
    masked = y == -jnp.inf
    share = jnp.exp(jnp.where(masked, -jnp.inf, widen(x) - jnp.where(masked, 0, y)))
    return restore_axes(y_bar, axis, keepdims) * share


logsumexp = Gate(
    logsumexp_definition,
    logsumexp_x_bar,
    forward=logsumexp_forward,
    options=TRIED,
    check=partial(check_axis, "logsumexp"),
    tolerance=conditioned("e^(x - y) magnifies the rounding of x - y"),
)


def prod_definition(
    x: Inexact[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Inexact[Array, "..."]:
    """y = product of x over `axis` (all axes by default), the switcher with many inputs.

    Maths: x_bar_i = y_bar times the product of the others. These products come from a tree:
        pairs are multiplied up to the root, and on the way down each half receives what is
        outside of it times the other half. Nothing is divided, so zeros are as good as others.
    Shapes: y lacks the axes multiplied over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: product rule.

    Example:
        >>> y, res = prod.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*prod.bwd(res, 1.0))
        [[ 0.22500001 -0.45000002  0.1125    ]
         [ 0.45000002 -0.15        0.75      ]]
    """
    return jnp.prod(x, axis=axis, keepdims=keepdims)


def prod_forward(x: Array, *, axis: Axis, keepdims: bool) -> Array:
    return jnp.prod(widen(x), axis=axis, keepdims=keepdims).astype(x.dtype)


def prod_x_bar(y_bar: Array, x: Array, axis: Axis, keepdims: bool, x_spec: Spec) -> Array:
    if x.size == 0:
        return jnp.zeros_like(x)
    axes = tuple(i % x.ndim for i in axes_of(axis, x.ndim))
    whole = widen(x if x_spec.sharding is None else jax.sharding.reshard(x, PartitionSpec()))
    last = jnp.moveaxis(whole, axes, range(-len(axes), 0))
    kept = x.ndim - len(axes)
    others = _product_of_others(last.reshape(*last.shape[:kept], -1)).reshape(last.shape)
    others = jnp.moveaxis(others, range(-len(axes), 0), axes)
    if x_spec.sharding is not None:
        others = jax.sharding.reshard(others, x_spec.sharding)
    return restore_axes(y_bar, axis, keepdims) * others


def _product_of_others(x: Array) -> Array:
    """For each entry of the last axis the product of the other ones."""
    levels = [x]
    while levels[-1].shape[-1] > 1:
        left, right = _halves(levels[-1])
        levels.append(left * right)
    outside = jnp.ones_like(levels[-1])
    for level in reversed(levels[:-1]):
        left, right = _halves(level)
        outside = jnp.concatenate([outside * right, outside * left], axis=-1)
        outside = outside[..., : level.shape[-1]]
    return outside


def _halves(x: Array) -> tuple[Array, Array]:
    """The first and the second half of the last axis, the second filled up with a 1."""
    half = (x.shape[-1] + 1) // 2
    right = x[..., half:]
    if 2 * half > x.shape[-1]:
        right = jnp.concatenate([right, jnp.ones_like(x[..., :1])], axis=-1)
    return x[..., :half], right


prod = Gate(
    prod_definition,
    prod_x_bar,
    forward=prod_forward,
    options=TRIED,
    check=partial(check_axis, "prod"),
    primitive="reduce_prod",
)

OPS = (sum, mean, logsumexp, prod)
