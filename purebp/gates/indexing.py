"""Gates that read entries at indices: the upstream gradient is added to the entries read.

Indices are integers and have no gradient. What happens outside of an array is said by `mode`, in
JAX's words: "fill" reads nan there and drops the gradient, "clip" reads the nearest entry.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact, Integer

from purebp.compat import zeros_varying_as
from purebp.errors import OptionError, PurebpError, ShapeError
from purebp.gate import Gate
from purebp.gates.dimensions import gather_numbers, scatter_numbers
from purebp.numerics import widen
from purebp.op import FIXED
from purebp.residuals import Spec

Numbers = lax.GatherDimensionNumbers | None
Sizes = tuple[int, ...] | None


def no_cotangent(y_bar: Array) -> None:
    return None


def gather_definition(
    x: Inexact[Array, "*s"],
    indices: Integer[Array, "*batch k"],
    *,
    dimension_numbers: Numbers = None,
    slice_sizes: Sizes = None,
    mode: Any = "fill",
    fill_value: float | None = None,
) -> Inexact[Array, "..."]:
    """y = windows of x that start at the given indices; by default rows, x[indices[..., 0]].

    Maths: x_bar = 0, plus each window of y_bar at the place it was read from: windows that overlap
        or repeat add up.
    Shapes: those of `lax.gather`. By default x (n, ...), indices (..., 1), y (..., *rest of x).
    Residuals: the indices; the shape of x is static.
    Kinks: none. A window that is not inside x is filled with `fill_value` (nan) and has no
        gradient; with mode "clip" it is moved inside. Negative indices are outside.
    Raises: ShapeError for what `lax.gather` refuses, DtypeError for integers.
    Source: the transpose of a selection is the sum into the places selected.

    Example:
        >>> y, res = gather.fwd(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1], [1]]))
        >>> for bar in gather.bwd(res, y): print(bar)
        [[0. 0.]
         [6. 8.]]
        None
    """
    numbers, sizes = gather_numbers(x.shape, indices.ndim, dimension_numbers, slice_sizes)
    return lax.gather(x, indices, numbers, sizes, mode=mode, fill_value=fill_value)


def gather_x_bar(
    y_bar: Array,
    indices: Array,
    x_spec: Spec,
    dimension_numbers: Numbers,
    slice_sizes: Sizes,
    mode: Any,
) -> Array:
    numbers, _ = gather_numbers(x_spec.shape, indices.ndim, dimension_numbers, slice_sizes)
    wide = widen(y_bar)
    zeros = zeros_varying_as(wide, x_spec.shape)
    return lax.scatter_add(zeros, indices, wide, scatter_numbers(numbers), mode=mode)


def check_gather(x: Array, indices: Array, **options: Any) -> None:
    """Raise for what JAX refuses."""
    if x.ndim == 0:
        raise ShapeError("gather: x has shape (), expected at least one axis")
    if options["dimension_numbers"] is None and indices.shape[-1] != 1:
        raise ShapeError(
            f"gather: indices has shape {indices.shape}, expected 1 as its last axis: the "
            "number of a row; or pass dimension_numbers"
        )
    try:
        jax.eval_shape(partial(gather_definition, **options), _like(x), _like(indices))
    except PurebpError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise ShapeError(f"gather: {error}") from error


def _like(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


def example_of_rows(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=(4, 3)), np.array([[1], [3], [1], [0]], np.int32)


gather = Gate(
    gather_definition,
    gather_x_bar,
    no_cotangent,
    primitive="gather",
    options={"mode": ("fill", "clip")},
    domains={"indices": FIXED},
    example=example_of_rows,
    check=check_gather,
)


def take_definition(
    x: Inexact[Array, "*s"], indices: Integer[Array, "*batch"], *, axis: int = 0, mode: str = "fill"
) -> Inexact[Array, "..."]:
    """y = the entries of x at the given indices of one axis.

    Maths: x_bar_i = sum of y_bar over the places that read entry i.
    Shapes: the axis of x is replaced by the axes of the indices.
    Residuals: the indices; the shape of x is static.
    Kinks: none. Outside of x: "fill" gives nan and no gradient, after a negative index was counted
        from the end; "wrap" counts on from the other end; "clip" takes the nearest entry (the
        first one for negative indices).
    Raises: OptionError if x has no such axis, or for another mode, DtypeError for integers.
    Source: CS231n, assignment 3, word_embedding_backward.

    Example:
        >>> y, res = take.fwd(jnp.array([1.0, 2.0, 3.0]), jnp.array([2, 0, 2]))
        >>> print(*take.bwd(res, y))
        [1. 0. 6.] None
    """
    return jnp.take(x, indices, axis=axis, mode=mode)


def take_x_bar(y_bar: Array, indices: Array, x_spec: Spec, axis: int, mode: str) -> Array:
    at = axis % len(x_spec.shape)
    wide = widen(y_bar)
    place = inside(indices, x_spec.shape[at], mode)
    zeros = zeros_varying_as(wide, x_spec.shape)
    return zeros.at[(*[slice(None)] * at, place)].add(wide, mode="drop")


def inside(indices: Array, size: int, mode: str) -> Array:
    """The indices from 0 to size - 1; size for what is dropped."""
    if mode == "wrap":
        return indices % max(size, 1)
    if mode == "clip":
        return jnp.clip(indices, 0, size - 1)
    counted = from_the_end(indices, size)
    return jnp.where((counted < 0) | (counted > size), size, counted)


def from_the_end(indices: Array, size: int) -> Array:
    """Negative indices counted from the end, as in Python."""
    return jnp.where(indices < 0, indices + size, indices)


def check_take(x: Array, indices: Array, *, axis: int, mode: str, op: str = "take") -> None:
    """Raise if x has no such axis."""
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"{op}: axis is {axis}, expected an axis of x of shape {x.shape}")
    if mode not in ("fill", "clip", "wrap"):
        raise OptionError(f"{op}: mode is {mode!r}, expected 'fill', 'clip' or 'wrap'")
    if x.shape[axis] == 0 and indices.size:
        raise ShapeError(f"{op}: x has shape {x.shape}, expected entries along axis {axis}")


def example_of_indices(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=(4, 5)), np.array([[1, -1], [3, 1]], np.int32)


take = Gate(
    take_definition,
    take_x_bar,
    no_cotangent,
    options={"axis": (0, -1), "mode": ("fill", "clip")},
    domains={"indices": FIXED},
    example=example_of_indices,
    check=check_take,
)


def take_along_axis_definition(
    x: Inexact[Array, "*s"], indices: Integer[Array, "*t"], *, axis: int = -1, mode: str = "fill"
) -> Inexact[Array, "..."]:
    """y = for each place the entry of x at its index along one axis.

    Maths: x_bar_i = sum of y_bar over the places that read entry i.
    Shapes: indices and y; x has as many axes, and agrees or is 1 in all but one.
    Residuals: the indices; the shape of x is static.
    Kinks: none. A negative index is counted from the end. Outside of x: as in take.
    Raises: OptionError if x has no such axis, or for another mode, ShapeError if x and the indices
        do not fit, DtypeError for integers.
    Source: as for take.

    Example:
        >>> y, res = take_along_axis.fwd(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([[1], [0]]))
        >>> for bar in take_along_axis.bwd(res, y): print(bar)
        [[0. 2.]
         [3. 0.]]
        None
    """
    return jnp.take_along_axis(x, indices, axis=axis, mode=mode)


def take_along_axis_x_bar(
    y_bar: Array, indices: Array, x_spec: Spec, axis: int, mode: str
) -> Array:
    at = axis % len(x_spec.shape)
    size = x_spec.shape[at]
    counted = from_the_end(indices, size) if mode == "clip" else indices
    return put_along_axis(y_bar, inside(counted, size, mode), size, at)


def put_along_axis(y_bar: Array, place: Array, size: int, at: int, *, once: bool = False) -> Array:
    """Add each entry at its place along an axis; `once` if no place is named twice."""
    wide = widen(y_bar)
    zeros = zeros_varying_as(wide, (*wide.shape[:at], size, *wide.shape[at + 1 :]))
    grid: list[Any] = list(jnp.indices(wide.shape, sparse=True))
    grid[at] = jnp.broadcast_to(place, wide.shape)
    return zeros.at[tuple(grid)].add(wide, mode="drop", unique_indices=once)


def check_take_along_axis(x: Array, indices: Array, *, axis: int, mode: str) -> None:
    """Raise if x and the indices do not fit."""
    check_take(x, indices, axis=axis, mode=mode, op="take_along_axis")
    at = axis % x.ndim
    pairs = zip(x.shape, indices.shape, strict=False)
    fits = [i == at or m == n or 1 in (m, n) for i, (m, n) in enumerate(pairs)]
    if x.ndim != indices.ndim or not all(fits):
        raise ShapeError(
            f"take_along_axis: indices has shape {indices.shape}, expected that of x, {x.shape}, "
            f"in all axes but {axis}"
        )


def example_of_places(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=(2, 4)), np.array([[3, 1, -1], [0, 0, 2]], np.int32)


take_along_axis = Gate(
    take_along_axis_definition,
    take_along_axis_x_bar,
    no_cotangent,
    options={"mode": ("fill", "clip")},
    domains={"indices": FIXED},
    example=example_of_places,
    check=check_take_along_axis,
)

OPS = (gather, take, take_along_axis)
