"""Pad and slice: each is the other's backward pass."""

import operator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.residuals import Spec

Config = tuple[tuple[int, int, int], ...]
Padding = int | tuple[tuple[int, ...], ...]
Places = tuple[int, ...] | None


def pad_definition(
    x: Inexact[Array, "*s"], value: Inexact[Array, ""], *, padding: Padding = 1
) -> Inexact[Array, "..."]:
    """y = x with entries of one value around it, and between its entries.

    Maths: x_bar = y_bar where the entries of x are; value_bar = sum of y_bar elsewhere. (JAX takes
        the sum of all less the sum of x_bar, which cancels.)
    Shapes: `padding` is (low, high) or (low, high, between) for each axis, or one number for all
        sides. A negative number cuts entries off, after those between have come.
        An axis of n entries has low + n + (n - 1) between + high.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError unless there is a pair or a triple for each axis, or where nothing would be
        left to cut off, DtypeError for integers.
    Source: the transpose of a slice.

    Example:
        >>> y, res = pad.fwd(jnp.array([1.0, 2.0]), 3.0, padding=((1, 1, 0),))
        >>> print(*pad.bwd(res, y))
        [1. 2.] 6.0
    """
    filled = _padded(jnp.ones(x.shape, bool), jnp.asarray(False), config_of(x.ndim, padding))
    zero = jnp.zeros((), x.dtype)
    placed = lax.pad(x, zero, config_of(x.ndim, padding))
    return jnp.where(filled, placed, value.astype(x.dtype))


def pad_forward(x: Array, value: Array, *, padding: Padding) -> Array:
    return _padded(x, value.astype(x.dtype), config_of(x.ndim, padding))


def _padded(x: Array, value: Array, config: Config) -> Array:
    return lax.pad(x, value, config)


def config_of(rank: int, padding: Padding) -> Config:
    """(low, high, between) for each axis."""
    if isinstance(padding, int):
        return ((padding, padding, 0),) * rank
    return tuple((side[0], side[1], side[2] if len(side) > 2 else 0) for side in padding)


def pad_x_bar(y_bar: Array, x_spec: Spec, padding: Padding) -> Array:
    config = config_of(len(x_spec.shape), padding)
    if 0 in x_spec.shape:
        return jnp.zeros(x_spec.shape, y_bar.dtype)
    whole = lax.pad(y_bar, jnp.zeros((), y_bar.dtype), [(-lo, -hi, 0) for lo, hi, _ in config])
    return lax.slice(whole, [0] * whole.ndim, whole.shape, [k + 1 for _, _, k in config])


def pad_value_bar(y_bar: Array, x_spec: Spec, padding: Padding) -> Array:
    filled = jnp.ones(x_spec.shape, bool)
    inside = lax.pad(filled, jnp.asarray(False), config_of(len(x_spec.shape), padding))
    return jnp.sum(jnp.where(inside, jnp.zeros_like(y_bar), y_bar))


def check_pad(x: Array, value: Array, *, padding: Padding) -> None:
    """Raise unless there is a pair or a triple for each axis."""
    try:
        config = config_of(x.ndim, padding)
        fits = len(config) == x.ndim and all(between >= 0 for _, _, between in config)
        if not isinstance(padding, int):
            fits = fits and all(len(side) in (2, 3) for side in padding)
            [operator.index(n) for side in padding for n in side]
    except (TypeError, IndexError):
        fits, config = False, ()
    if not fits:
        raise OptionError(
            f"pad: padding is {padding!r}, expected an integer, or (low, high) or "
            f"(low, high, between) for each of the {x.ndim} axes of x"
        )
    for size, (low, high, between) in zip(x.shape, config, strict=True):
        length = low + size + max(size - 1, 0) * between + high
        if length < 0:
            raise OptionError(
                f"pad: padding is {padding!r}, expected to cut off no more than there is of x of "
                f"shape {x.shape}"
            )


def example_of_a_padding(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=(3, 4)), rng.normal()


pad = Gate(
    pad_definition,
    pad_x_bar,
    pad_value_bar,
    forward=pad_forward,
    primitive="pad",
    options={"padding": (1, ((1, -2), (0, 2)), ((-1, 2, 2), (2, -3, 1)))},
    example=example_of_a_padding,
    check=check_pad,
)


def slice_definition(
    x: Inexact[Array, "*s"], *, start: Places = None, stop: Places = None, step: Places = None
) -> Inexact[Array, "..."]:
    """y = every step-th entry of x from `start` to before `stop`, along each axis.

    Maths: x_bar = y_bar where the entries came from, 0 elsewhere.
    Shapes: axis i of y has ceil((stop_i - start_i) / step_i) entries. By default all of x.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError unless 0 <= start <= stop <= the size and step >= 1 for each axis,
        DtypeError for integers.
    Source: the transpose of a selection.

    Example:
        >>> y, res = slice.fwd(jnp.array([1.0, 2.0, 3.0, 4.0]), start=(1,), stop=(3,))
        >>> print(*slice.bwd(res, y))
        [0. 2. 3. 0.]
    """
    return lax.slice(x, *_bounds(x.shape, start, stop, step))


def _bounds(
    shape: tuple[int, ...], start: Places, stop: Places, step: Places
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    first = (0,) * len(shape) if start is None else start
    each = (1,) * len(shape) if step is None else step
    return first, shape if stop is None else stop, each


def slice_x_bar(y_bar: Array, x_spec: Spec, start: Places, stop: Places, step: Places) -> Array:
    shape = x_spec.shape
    first, _, each = _bounds(shape, start, stop, step)
    config = [
        (lo, n - lo - max((m - 1) * k + 1, 0) if m else n - lo, k - 1)
        for lo, n, m, k in zip(first, shape, y_bar.shape, each, strict=True)
    ]
    return lax.pad(y_bar, jnp.zeros((), y_bar.dtype), config)


def check_slice(x: Array, *, start: Places, stop: Places, step: Places) -> None:
    """Raise for entries that x does not have."""
    first, last, each = _bounds(x.shape, start, stop, step)
    if not len(first) == len(last) == len(each) == x.ndim:
        raise OptionError(
            f"slice: start, stop and step are {start}, {stop} and {step}, expected {x.ndim} "
            f"numbers each, one for each axis of x of shape {x.shape}"
        )
    bounds = zip(x.shape, first, last, each, strict=True)
    if any(not 0 <= lo <= hi <= n or k < 1 for n, lo, hi, k in bounds):
        raise OptionError(
            f"slice: start, stop and step are {first}, {last} and {each}, expected "
            f"0 <= start <= stop <= size and step >= 1 for x of shape {x.shape}"
        )


def example_of_a_plane(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.normal(size=(4, 6)),)


slice = Gate(
    slice_definition,
    slice_x_bar,
    primitive="slice",
    options={"step": (None, (2, 3)), "stop": (None, (2, 0))},
    example=example_of_a_plane,
    check=check_slice,
)

OPS = (pad, slice)
