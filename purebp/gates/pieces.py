"""Gates that join arrays and cut them: the upstream gradient is cut and joined."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact

from purebp.errors import ArgumentError, DtypeError, OptionError, ShapeError, in_words
from purebp.gate import Gate
from purebp.residuals import Spec

Arrays = tuple[Array, ...]
Specs = tuple[Spec, ...]


def concatenate_definition(
    xs: tuple[Inexact[Array, "..."], ...], *, axis: int = 0
) -> Inexact[Array, "..."]:
    """y = the arrays x_1, ..., x_n one after the other along an axis.

    Maths: x_i_bar = the part of y_bar that x_i became.
    Shapes: the x_i agree in all axes but one; there y has the sum of their sizes.
    Residuals: none; the shapes are static.
    Kinks: none.
    Raises: ArgumentError unless xs is a tuple of arrays, ShapeError if they do not fit,
        OptionError if they have no such axis, DtypeError for integers.
    Source: a selection of entries is transposed by putting them back.

    Example:
        >>> y, res = concatenate.fwd((jnp.array([1.0, 2.0]), jnp.array([3.0])))
        >>> print(*concatenate.bwd(res, y))
        (Array([1., 2.], dtype=float32), Array([3.], dtype=float32))
    """
    return jnp.concatenate(xs, axis=axis)


def concatenate_xs_bar(y_bar: Array, xs_spec: Specs, axis: int) -> Arrays:
    at = axis % y_bar.ndim
    return tuple(lax.split(y_bar, [spec.shape[at] for spec in xs_spec], axis=at))


def check_concatenate(xs: Arrays, *, axis: int) -> None:
    """Raise unless the arrays fit."""
    rank = _check_arrays("concatenate", xs)
    _check_place("concatenate", rank, axis, xs[0].shape)
    at = axis % rank
    shapes = [(*x.shape[:at], *x.shape[at + 1 :]) for x in xs]
    for index, (x, shape) in enumerate(zip(xs, shapes, strict=True)):
        if x.ndim != rank or shape != shapes[0]:
            raise ShapeError(
                f"concatenate: xs[{index}] has shape {x.shape}, expected {xs[0].shape} "
                f"in all axes but {axis}, as xs[0]"
            )


def _check_arrays(op: str, xs: Arrays) -> int:
    """The rank of the first array; raise unless there are some, of floating or complex numbers."""
    if not isinstance(xs, tuple) or not xs or any(not hasattr(x, "dtype") for x in xs):
        raise ArgumentError(f"{op}: xs is {in_words(xs)}, expected a tuple of arrays")
    for index, x in enumerate(xs):
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            raise DtypeError(f"{op}: xs[{index}] has dtype {x.dtype}, expected a floating dtype")
    return xs[0].ndim


def _check_place(op: str, rank: int, axis: int, shape: tuple[int, ...]) -> None:
    if not -rank <= axis < rank:
        raise OptionError(f"{op}: axis is {axis}, expected an axis of an array of shape {shape}")


def example_of_three(rng: np.random.Generator) -> tuple[Any, ...]:
    return (tuple(rng.normal(size=(n, 3)) for n in (2, 1, 3)),)


concatenate = Gate(
    concatenate_definition,
    concatenate_xs_bar,
    primitive="concatenate",
    options={"axis": (0, -2)},
    example=example_of_three,
    takes_tuple=True,
    check=check_concatenate,
)


def stack_definition(
    xs: tuple[Inexact[Array, "..."], ...], *, axis: int = 0
) -> Inexact[Array, "..."]:
    """y = the arrays x_1, ..., x_n along a new axis.

    Maths: x_i_bar = y_bar at place i of that axis.
    Shapes: the x_i have one shape; y has one axis more, of size n.
    Residuals: none.
    Kinks: none.
    Raises: ArgumentError unless xs is a tuple of arrays, ShapeError if their shapes differ,
        OptionError if y would have no such axis, DtypeError for integers.
    Source: as for concatenate.

    Example:
        >>> y, res = stack.fwd((jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])))
        >>> print(*stack.bwd(res, y))
        (Array([1., 2.], dtype=float32), Array([3., 4.], dtype=float32))
    """
    return jnp.stack(xs, axis=axis)


def stack_xs_bar(y_bar: Array, axis: int) -> Arrays:
    return jnp.unstack(y_bar, axis=axis)


def check_stack(xs: Arrays, *, axis: int) -> None:
    """Raise unless the arrays have one shape."""
    rank = _check_arrays("stack", xs)
    _check_place("stack", rank + 1, axis, (len(xs), *xs[0].shape))
    for index, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise ShapeError(
                f"stack: xs[{index}] has shape {x.shape}, expected {xs[0].shape} as xs[0]"
            )


def example_of_equal_shapes(rng: np.random.Generator) -> tuple[Any, ...]:
    return (tuple(rng.normal(size=(2, 3)) for _ in range(3)),)


stack = Gate(
    stack_definition,
    stack_xs_bar,
    primitive="stack",
    options={"axis": (0, -1)},
    example=example_of_equal_shapes,
    takes_tuple=True,
    check=check_stack,
)


def unstack_definition(
    x: Inexact[Array, "*s"], *, axis: int = 0
) -> tuple[Inexact[Array, "..."], ...]:
    """(y_1, ..., y_n) = the n entries of x along an axis, which they lack.

    Maths: x_bar = the y_i_bar along that axis.
    Shapes: each y_i lacks the axis.
    Residuals: none.
    Kinks: none.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: the inverse of stack.

    Example:
        >>> y, res = unstack.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]))
        >>> print(*unstack.bwd(res, y))
        [ 1.  -0.5  2.   0.5]
    """
    return jnp.unstack(x, axis=axis)


def unstack_x_bar(y_bars: Arrays, x_spec: Spec, axis: int) -> Array:
    return jnp.stack(y_bars, axis=axis) if y_bars else jnp.zeros(x_spec.shape, x_spec.dtype)


def check_unstack(x: Array, *, axis: int) -> None:
    """Raise if x has no such axis."""
    _check_place("unstack", x.ndim, axis, x.shape)


unstack = Gate(
    unstack_definition,
    unstack_x_bar,
    primitive="unstack",
    options={"axis": (0, -1)},
    sizes={"s": ((2, 3), (4,), (3, 2, 2))},
    check=check_unstack,
)


def split_definition(
    x: Inexact[Array, "*s"], *, sizes: int | tuple[int, ...] = 2, axis: int = 0
) -> tuple[Inexact[Array, "..."], ...]:
    """(y_1, ..., y_n) = x cut along an axis, into equal parts or parts of given sizes.

    Maths: x_bar = the y_i_bar one after the other.
    Shapes: y_i has sizes_i entries along the axis, else it is shaped like x.
    Residuals: none.
    Kinks: none.
    Raises: OptionError if x has no such axis or the sizes do not add up to its size, DtypeError
        for integers.
    Source: the inverse of concatenate.

    Example:
        >>> y, res = split.fwd(jnp.array([1.0, 2.0, 3.0, 4.0]), sizes=(1, 3), axis=0)
        >>> print(*split.bwd(res, y))
        [1. 2. 3. 4.]
    """
    return tuple(lax.split(x, _lengths(x.shape[axis], sizes), axis=axis % x.ndim))


def _lengths(length: int, sizes: int | tuple[int, ...]) -> tuple[int, ...]:
    return sizes if isinstance(sizes, tuple) else (length // sizes,) * sizes


def split_x_bar(y_bars: Arrays, axis: int) -> Array:
    return jnp.concatenate(y_bars, axis=axis)


def check_split(x: Array, *, sizes: int | tuple[int, ...], axis: int) -> None:
    """Raise if the sizes do not add up."""
    _check_place("split", x.ndim, axis, x.shape)
    length = x.shape[axis]
    if isinstance(sizes, int) and (sizes < 1 or length % sizes):
        raise OptionError(f"split: sizes is {sizes}, expected a number that divides {length}")
    lengths = _lengths(length, sizes)
    if not lengths or min(lengths) < 0 or sum(lengths) != length:
        raise OptionError(f"split: sizes is {sizes}, expected sizes that add up to {length}")


def example_of_a_square(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.normal(size=(4, 4)),)


split = Gate(
    split_definition,
    split_x_bar,
    primitive="split",
    options={"sizes": (2, (1, 3))},
    example=example_of_a_square,
    check=check_split,
)

OPS = (concatenate, stack, unstack, split)
