"""Windows of any rank, stride, padding and dilation: entry by entry.

Entry a of window i is place t = i stride + a dilation - low of the spread-out array, in which
entry j stands at place j base.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from reference.shapes import Array, float64

Index = tuple[int, ...]
Sides = Any


class Steps:
    """The options along each axis, and what follows from them."""

    def __init__(
        self,
        sizes: Index,
        window: Any,
        strides: Any = 1,
        padding: Sides = 0,
        base: Any = 1,
        dilation: Any = 1,
    ) -> None:
        rank = len(sizes)
        self.sizes = sizes
        self.window, self.strides, self.base, self.dilation = (
            v if isinstance(v, tuple) else (v,) * rank for v in (window, strides, base, dilation)
        )
        sides = ((padding, padding),) * rank if isinstance(padding, int) else padding
        self.low = [low for low, _ in sides]
        self.outputs = tuple(
            (low + (n - 1) * b + 1 + high - (w - 1) * d - 1) // s + 1
            for n, w, s, (low, high), b, d in zip(
                sizes, self.window, self.strides, sides, self.base, self.dilation, strict=True
            )
        )

    def entries(self, output: Index) -> Iterator[tuple[Index, Index]]:
        """The entries of a window that are not padding: where in the window, where in the array."""
        for offset in np.ndindex(*self.window):
            steps = zip(
                output, offset, self.strides, self.dilation, self.low, self.base, self.sizes,
                strict=True,
            )  # fmt: skip
            source = []
            for i, a, s, d, low, b, n in steps:
                place = i * s + a * d - low
                if place % b or not 0 <= place // b < n:
                    break
                source.append(place // b)
            else:
                yield offset, tuple(source)


def steps_of(x: Array, options: dict[str, Any]) -> Steps:
    """The windows that the options of a gate describe."""
    return Steps(
        x.shape,
        options.get("window_dimensions", 2),
        options.get("window_strides", 1),
        options.get("padding", 0),
        options.get("base_dilation", 1),
        options.get("window_dilation", 1),
    )


def reduce_window(combine: Callable[..., float], x: Array, **options: Any) -> Array:
    """Each window's entries, combined."""
    x = float64(x)
    steps = steps_of(x, options)
    y = np.empty(steps.outputs, x.dtype)
    for output in np.ndindex(*y.shape):
        y[output] = combine([x[source] for _, source in steps.entries(output)])
    return y


def largest(values: list[float]) -> float:
    """The largest, -inf if there is none."""
    return max(values, default=-np.inf)


def smallest(values: list[float]) -> float:
    """The smallest, inf if there is none."""
    return min(values, default=np.inf)


def sum_backward(args: Any, y_bar: Array, **options: Any) -> tuple[Array]:
    """Every entry of a window receives its gradient."""
    x = float64(args[0])
    x_bar, steps = np.zeros(x.shape, x.dtype), steps_of(x, options)
    for output in np.ndindex(*steps.outputs):
        for _, source in steps.entries(output):
            x_bar[source] += y_bar[output]
    return (x_bar,)


def extreme_backward(
    best: Callable[..., float], args: Any, y_bar: Array, **options: Any
) -> tuple[Array]:
    """The first entry of a window that is the best one receives its gradient."""
    x = float64(args[0])
    x_bar, steps = np.zeros(x.shape), steps_of(x, options)
    for output in np.ndindex(*steps.outputs):
        sources = [source for _, source in steps.entries(output)]
        if sources:
            values = [float(x[source]) for source in sources]
            x_bar[sources[values.index(best(values))]] += y_bar[output]
    return (x_bar,)


def conv_products(
    x: Array, w: Array, options: dict[str, Any]
) -> Iterator[tuple[Index, Index, Index]]:
    """Every product of the convolution: its entry of y, of x and of w."""
    groups, batches = options.get("feature_group_count", 1), options.get("batch_group_count", 1)
    steps = Steps(
        x.shape[2:],
        w.shape[2:],
        options.get("window_strides", 1),
        options.get("padding", 0),
        options.get("lhs_dilation", 1),
        options.get("rhs_dilation", 1),
    )
    images, filters = x.shape[0] // batches, w.shape[0]
    for image, k, *output in np.ndindex(images, filters, *steps.outputs):
        first_channel = k // (filters // groups) * w.shape[1]
        of_batch = k // (filters // batches) * images + image
        for offset, source in steps.entries(tuple(output)):
            for c in range(w.shape[1]):
                yield (image, k, *output), (of_batch, first_channel + c, *source), (k, c, *offset)


def conv_general_dilated(x: Array, w: Array, **options: Any) -> Array:
    """All products added up."""
    x, w = float64(x), float64(w)
    steps = Steps(
        x.shape[2:],
        w.shape[2:],
        options.get("window_strides", 1),
        options.get("padding", 0),
        options.get("lhs_dilation", 1),
        options.get("rhs_dilation", 1),
    )
    images = x.shape[0] // options.get("batch_group_count", 1)
    y = np.zeros((images, w.shape[0], *steps.outputs))
    for at_y, at_x, at_w in conv_products(x, w, options):
        y[at_y] += x[at_x] * w[at_w]
    return y


def conv_backward(args: Any, y_bar: Array, **options: Any) -> tuple[Array, Array]:
    """Each factor of a product receives the gradient times the other one."""
    x, w = float64(args[0]), float64(args[1])
    x_bar, w_bar = np.zeros(x.shape), np.zeros(w.shape)
    for at_y, at_x, at_w in conv_products(x, w, options):
        x_bar[at_x] += y_bar[at_y] * w[at_w]
        w_bar[at_w] += y_bar[at_y] * x[at_x]
    return x_bar, w_bar


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "reduce_window_sum": partial(reduce_window, sum),
    "reduce_window_max": partial(reduce_window, largest),
    "reduce_window_min": partial(reduce_window, smallest),
    "conv_general_dilated": conv_general_dilated,
}
BACKWARD: dict[str, Callable[..., Any]] = {
    "reduce_window_sum": sum_backward,
    "reduce_window_max": partial(extreme_backward, largest),
    "reduce_window_min": partial(extreme_backward, smallest),
    "conv_general_dilated": conv_backward,
}
