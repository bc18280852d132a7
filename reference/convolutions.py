"""The convolutions over one, two and three axes, as nested loops."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, Numbers, Padding, Windows, float64, windows_over

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

DEFINITIONS: dict[str, Callable] = {
    "conv1d": conv1d,
    "conv2d": conv2d,
    "conv3d": conv3d,
}
