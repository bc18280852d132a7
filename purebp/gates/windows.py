"""Sums over windows of any rank, stride, padding and dilation.

Along each axis: place t of x, spread out by `base_dilation`, is entry a of window i with
t = i stride + a window_dilation - low.
"""

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.residuals import Spec

Each = int | tuple[int, ...]
Sides = int | tuple[tuple[int, int], ...]


class Windows(NamedTuple):
    """For each axis: window, stride, (low, high), dilation of x, dilation of the window."""

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base: tuple[int, ...]
    dilation: tuple[int, ...]


def windows_over(
    rank: int,
    window_dimensions: Each,
    window_strides: Each,
    padding: Sides,
    base_dilation: Each,
    window_dilation: Each,
) -> Windows:
    """The options, one number for each axis."""
    sides = ((padding, padding),) * rank if isinstance(padding, int) else padding
    window, strides, base, dilation = (
        value if isinstance(value, tuple) else (value,) * rank
        for value in (window_dimensions, window_strides, base_dilation, window_dilation)
    )
    return Windows(window, strides, sides, base, dilation)


def reduce_over(x: Array, empty: Any, combine: Any, windows: Windows) -> Array:
    return lax.reduce_window(x, np.asarray(empty, x.dtype), combine, *windows)


def reduce_window_sum_definition(
    x: Inexact[Array, "*s"],
    *,
    window_dimensions: Each = 2,
    window_strides: Each = 1,
    padding: Sides = 0,
    base_dilation: Each = 1,
    window_dilation: Each = 1,
) -> Inexact[Array, "..."]:
    """y_i = sum of the entries of window i.

    Maths: x_bar_t = sum of y_bar_i over the windows that t is in: y_bar, spread out by the stride,
        summed over windows of the same form.
    Shapes: options are one number for all axes or one for each; padding (low, high) for each.
        An axis of n entries has (low + (n - 1) base + high - (window - 1) dilation) // stride + 1.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError unless there is a number for each axis, ShapeError where no window fits,
        DtypeError for integers.
    Source: transposed sum; CS231n, lecture 5, pooling.

    Example:
        >>> y, res = reduce_window_sum.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*reduce_window_sum.bwd(res, y))
        [[-0.5        -0.19999999  0.3       ]
         [-0.5        -0.19999999  0.3       ]]
    """
    options = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    return reduce_over(x, 0, lax.add, windows_over(x.ndim, *options))


def reduce_window_sum_forward(x: Array, **options: Any) -> Array:
    return reduce_window_sum_definition(widen(x), **options).astype(x.dtype)


def reduce_window_sum_x_bar(
    y_bar: Array,
    x_spec: Spec,
    window_dimensions: Each,
    window_strides: Each,
    padding: Sides,
    base_dilation: Each,
    window_dilation: Each,
) -> Array:
    options = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    windows = windows_over(y_bar.ndim, *options)
    sides = [
        ((w - 1) * d - low, (n - 1) * base + 1 + low - ((m - 1) * s + 1), s - 1)
        for n, m, w, s, (low, _), base, d in zip(x_spec.shape, y_bar.shape, *windows, strict=True)
    ]
    wide = widen(y_bar)
    spread = lax.pad(wide, jnp.zeros((), wide.dtype), sides)
    none = ((0, 0),) * y_bar.ndim
    back = Windows(windows.window, windows.base, none, (1,) * y_bar.ndim, windows.dilation)
    return reduce_over(spread, 0, lax.add, back)


def check_windows(op: str, x: Array, **options: Any) -> None:
    """Raise where no window fits."""
    words = ["window_dimensions", "window_strides", "base_dilation", "window_dilation"]
    for name in words:
        value = options[name]
        numbers = value if isinstance(value, tuple) else (value,) * x.ndim
        if len(numbers) != x.ndim or any(not isinstance(n, int) or n < 1 for n in numbers):
            raise OptionError(
                f"{op}: {name} is {value!r}, expected an integer of at least 1, or one for each "
                f"of the {x.ndim} axes of x"
            )
    padding = options["padding"]
    sides = ((padding, padding),) * x.ndim if isinstance(padding, int) else padding
    if len(sides) != x.ndim or any(len(side) != 2 or min(side) < 0 for side in sides):
        raise OptionError(
            f"{op}: padding is {padding!r}, expected an integer of at least 0, or (low, high) for "
            f"each of the {x.ndim} axes of x"
        )
    windows = windows_over(x.ndim, **options)
    for n, w, (low, high), spread, d in zip(
        x.shape, windows.window, windows.padding, windows.base, windows.dilation, strict=True
    ):
        if n == 0 or low + (n - 1) * spread + 1 + high < (w - 1) * d + 1:
            raise ShapeError(
                f"{op}: a window of {w} with dilation {d} does not fit into x of shape {x.shape} "
                f"with padding {padding!r}; raise padding"
            )


def example_of_a_plane(rng: np.random.Generator) -> tuple[Any, ...]:
    return (rng.normal(size=(3, 4)),)


STRIDES: dict[str, Any] = {"window_strides": (1, 2), "padding": (0, ((1, 0), (1, 1)))}
HOLES = {"base_dilation": (1, 2), "window_dilation": (1, 2)}
"""Where a window may lie in holes alone the largest of its entries is -inf."""


def rules(op: str, options: dict[str, Any]) -> dict[str, Any]:
    """What the windows have in common."""
    return {
        "options": options,
        "example": example_of_a_plane,
        "check": partial(check_windows, op),
        "primitive": op,
    }


reduce_window_sum = Gate(
    reduce_window_sum_definition,
    reduce_window_sum_x_bar,
    forward=reduce_window_sum_forward,
    **rules("reduce_window_sum", {**STRIDES, **HOLES}),
)


OPS = (reduce_window_sum,)
