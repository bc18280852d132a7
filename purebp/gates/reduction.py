"""Reduction gates: sum hands the upstream gradient to every entry, mean a share of it."""

import math
import operator
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.residuals import Spec

Axis = int | tuple[int, ...] | None


def sum_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """y = sum of x over `axis` (all axes by default), the adder read from left to right.

    Maths: y = sum_i x_i; every x_bar_i = y_bar.
    Shapes: y lacks the axes summed over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: CS231n, lecture 4.
    """
    return jnp.sum(x, axis=axis, keepdims=keepdims)


def sum_x_bar(y_bar: Array, x_spec: Spec, axis: Axis, keepdims: bool) -> Array:
    return _spread(_restore_axes(y_bar, axis, keepdims), x_spec)


def mean_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """y = mean of x over `axis` (all axes by default).

    Maths: y = 1/n sum_i x_i; every x_bar_i = y_bar / n.
    Shapes: y lacks the axes averaged over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: CS231n, lecture 4.
    """
    return jnp.mean(x, axis=axis, keepdims=keepdims)


def mean_x_bar(y_bar: Array, x_spec: Spec, axis: Axis, keepdims: bool) -> Array:
    axes = _axes(axis, len(x_spec.shape))
    count = math.prod(x_spec.shape[i] for i in axes)
    return _spread(_restore_axes(y_bar / count, axis, keepdims), x_spec)


def check_axis(op: str, x: Array, *, axis: Axis, keepdims: bool) -> None:
    """Raise if x has no such axis, or not twice."""
    try:
        axes = _axes(axis, x.ndim)
    except TypeError:
        axes = (x.ndim,)
    inside = [i % x.ndim for i in axes if -x.ndim <= i < x.ndim]
    if len(set(inside)) < len(axes):
        raise OptionError(
            f"{op}: axis is {axis!r}, expected None or axes of x of shape {x.shape}, each once"
        )


def _axes(axis: Axis, rank: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    return tuple(map(operator.index, axis if isinstance(axis, tuple) else (axis,)))


def _spread(y_bar: Array, x_spec: Spec) -> Array:
    return jnp.broadcast_to(y_bar, x_spec.shape, out_sharding=x_spec.sharding)


def _restore_axes(y_bar: Array, axis: Axis, keepdims: bool) -> Array:
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

OPS = (sum, mean)
