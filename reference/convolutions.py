"""The convolutions over one, two and three axes, as nested loops."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, Numbers, Padding, Windows, float64, numbers, windows_over

Place = tuple[int, ...]


def entry_under(axes: tuple[Windows, ...], output: Place, place: Place) -> Place | None:
    """The entry of x under a place of the kernel for one output; None in the padding."""
    found = [axis.entry(i, a) for axis, i, a in zip(axes, output, place, strict=True)]
    entry = tuple(each for each in found if each is not None)
    return entry if len(entry) == len(axes) else None


def convolution(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """y[n, k, i] = b[k] + sum over c, p of w[k, c, p] * x[n, first(k) + c, entry(i, p)].

    i and p have one index for each axis; entry(i, p) = i * stride + p * dilation - low; outside x
    there are zeros. Filter k sees the c / groups channels of its group, from first(k) on.
    Cross-correlation: the kernel is not turned.
    Shapes: (n, c, *sizes), (k, c / groups, *window), (k) or None -> (n, k, *outputs).
    """
    x, w = float64(x), float64(w)
    filters, inputs = w.shape[:2]
    bias = np.zeros(filters) if b is None else float64(b)
    axes = windows_over(x.shape[2:], w.shape[2:], stride, padding, dilation)
    y = np.empty((x.shape[0], filters, *(axis.outputs for axis in axes)))
    for n, k, *output in np.ndindex(y.shape):
        first = k // (filters // groups) * inputs
        total = 0.0
        for c, *place in np.ndindex(w.shape[1:]):
            entry = entry_under(axes, tuple(output), tuple(place))
            if entry is not None:
                total += w[(k, c, *place)] * x[(n, first + c, *entry)]
        y[(n, k, *output)] = total + bias[k]
    return y


conv1d = conv2d = conv3d = convolution


def conv_transpose2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Array:
    """Each x[n, c, i] adds x[n, c, i] * w[c, k, p] to y[n, first(c) + k, i stride + p dilation].

    Then `low` entries are cut off before and `high` after, where output_padding adds zeros; and
    b[k] is added. Channel c fills the filters of its group, from first(c) on.
    Shapes: (n, c, h, w), (c, k / groups, fh, fw), (k) or None -> (n, k, h2, w2).
    """
    x, w = float64(x), float64(w)
    channels, outputs = w.shape[:2]
    steps, spread, extra = (numbers(value, 2) for value in (stride, dilation, output_padding))
    low, high = zip(*sides_of(padding), strict=True)
    sizes = [
        (x.shape[a + 2] - 1) * steps[a] + (w.shape[a + 2] - 1) * spread[a] + 1 + extra[a]
        for a in range(2)
    ]
    whole = np.zeros((x.shape[0], outputs * groups, *sizes))
    for n, c, i, j in np.ndindex(x.shape):
        first = c // (channels // groups) * outputs
        for k, p, q in np.ndindex(w.shape[1:]):
            row, column = i * steps[0] + p * spread[0], j * steps[1] + q * spread[1]
            whole[n, first + k, row, column] += x[n, c, i, j] * w[c, k, p, q]
    y = whole[:, :, low[0] : sizes[0] - high[0], low[1] : sizes[1] - high[1]]
    return y if b is None else y + float64(b)[:, None, None]


def sides_of(padding: Padding) -> list[tuple[int, int]]:
    """(low, high) for rows and columns."""
    if isinstance(padding, str):
        raise ValueError(f"padding is {padding!r}, expected numbers")
    both = (padding, padding) if isinstance(padding, int) else padding
    return [(p, p) if isinstance(p, int) else (p[0], p[1]) for p in both]


def causal_conv1d(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None) -> Array:
    """y[n, c, t] = b[c] + sum over p of w[c, k - 1 - p] * x[n, c, t - p], p from 0 to t at most.

    Shapes: (n, c, t), (c, k), (c) or None -> (n, c, t).
    """
    x, w = float64(x), float64(w)
    bias = np.zeros(w.shape[0]) if b is None else float64(b)
    y = np.empty(x.shape)
    for n, c, t in np.ndindex(x.shape):
        past = range(min(w.shape[1], t + 1))
        y[n, c, t] = bias[c] + sum(w[c, w.shape[1] - 1 - p] * x[n, c, t - p] for p in past)
    return y


DEFINITIONS: dict[str, Callable] = {
    "conv1d": conv1d,
    "conv2d": conv2d,
    "conv3d": conv3d,
    "conv_transpose2d": conv_transpose2d,
    "causal_conv1d": causal_conv1d,
}
