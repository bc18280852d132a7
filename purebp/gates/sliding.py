"""Gates that read and write a block at a place that is known at run time only."""

from typing import Any

import numpy as np
from jax import lax
from jaxtyping import Array, Float, Inexact, Integer

from purebp.compat import zeros_varying_as
from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.gates.indexing import no_cotangent
from purebp.op import FIXED
from purebp.residuals import Spec

Starts = Any  # one array of r integers, or r of them in a tuple


def dynamic_slice_definition(
    x: Inexact[Array, "*s"], start: Integer[Array, "r"], *, sizes: tuple[int, ...] = (2,)
) -> Inexact[Array, "..."]:
    """y = the block of x of the given sizes that begins at `start`.

    Maths: x_bar = y_bar at the place of the block, 0 elsewhere.
    Shapes: x with r axes, y (*sizes).
    Residuals: the start; the shape of x is static.
    Kinks: none. A start from which the block would not fit is moved as far as needed, a negative
        one to 0 (the function `lax.dynamic_slice` counts it from the end, its primitive does not).
    Raises: ShapeError unless there is a start for each axis, OptionError for a block that is
        larger than x, DtypeError for integers.
    Source: the transpose of a selection.

    Example:
        >>> y, res = dynamic_slice.fwd(jnp.array([1.0, -0.5, 2.0, 0.5, -1.5]), jnp.array([2]))
        >>> print(*dynamic_slice.bwd(res, y))
        [0.  0.  2.  0.5 0. ] None
    """
    return lax.dynamic_slice(x, start, sizes, allow_negative_indices=False)


def dynamic_slice_x_bar(y_bar: Array, start: Starts, x_spec: Spec) -> Array:
    zeros = zeros_varying_as(y_bar, x_spec.shape)
    return lax.dynamic_update_slice(zeros, y_bar, start, allow_negative_indices=False)


def check_dynamic_slice(x: Array, start: Array, *, sizes: tuple[int, ...]) -> None:
    """Raise unless the block fits."""
    _check_start("dynamic_slice", x, start)
    if len(sizes) != x.ndim or any(not 0 <= k <= n for k, n in zip(sizes, x.shape, strict=True)):
        raise OptionError(
            f"dynamic_slice: sizes is {sizes}, expected {x.ndim} sizes of at most those of x, "
            f"{x.shape}"
        )


def _check_start(op: str, x: Array, start: Array) -> None:
    if start.shape != (x.ndim,):
        raise ShapeError(
            f"{op}: start has shape {start.shape}, expected {(x.ndim,)}, one for each axis of x"
        )


def example_of_a_line(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=5), np.array([2], np.int32)


dynamic_slice = Gate(
    dynamic_slice_definition,
    dynamic_slice_x_bar,
    no_cotangent,
    primitive="dynamic_slice",
    options={"sizes": ((2,), (4,))},
    domains={"start": FIXED},
    example=example_of_a_line,
    check=check_dynamic_slice,
)


def dynamic_update_slice_definition(
    x: Float[Array, "*s"], update: Float[Array, "*t"], start: Integer[Array, "r"]
) -> Float[Array, "*s"]:
    """y = x with a block of it, from `start` on, replaced by the update.

    Maths: x_bar = y_bar with zeros in the place of the block; update_bar = y_bar there.
    Shapes: x and y with r axes, and update, nowhere larger.
    Residuals: the start; the shapes are static.
    Kinks: none. A start from which the block would not fit is moved, as in dynamic_slice.
    Raises: ShapeError unless the update fits and there is a start for each axis, DtypeError for
        integers.
    Source: the transpose of two selections.

    Example:
        >>> x, update = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([5.0, 6.0])
        >>> y, res = dynamic_update_slice.fwd(x, update, jnp.array([1]))
        >>> print(*dynamic_update_slice.bwd(res, y))
        [1. 0. 0. 4.] [5. 6.] None
    """
    block = update.astype(x.dtype)
    return lax.dynamic_update_slice(x, block, start, allow_negative_indices=False)


def dynamic_update_slice_x_bar(y_bar: Array, start: Starts, update_spec: Spec) -> Array:
    zeros = zeros_varying_as(y_bar, update_spec.shape)
    return lax.dynamic_update_slice(y_bar, zeros, start, allow_negative_indices=False)


def dynamic_update_slice_update_bar(y_bar: Array, start: Starts, update_spec: Spec) -> Array:
    return lax.dynamic_slice(y_bar, start, update_spec.shape, allow_negative_indices=False)


def check_dynamic_update_slice(x: Array, update: Array, start: Array) -> None:
    """Raise unless the update fits."""
    _check_start("dynamic_update_slice", x, start)
    if update.ndim != x.ndim or any(k > n for k, n in zip(update.shape, x.shape, strict=True)):
        raise ShapeError(
            f"dynamic_update_slice: update has shape {update.shape}, expected {x.ndim} axes, "
            f"nowhere larger than x of shape {x.shape}"
        )


def example_of_a_block(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=(4, 5)), rng.normal(size=(2, 3)), np.array([1, 9], np.int32)


dynamic_update_slice = Gate(
    dynamic_update_slice_definition,
    dynamic_update_slice_x_bar,
    dynamic_update_slice_update_bar,
    no_cotangent,
    primitive="dynamic_update_slice",
    domains={"start": FIXED},
    example=example_of_a_block,
    check=check_dynamic_update_slice,
)

OPS = (dynamic_slice, dynamic_update_slice)
