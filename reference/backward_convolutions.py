"""Backward passes of the convolutions; see `reference.backward_gates` for how they are called.

conv2d is here twice: by scattering, and in the two convolutions of the lecture notes.
"""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.convolutions import conv2d, entry_under
from reference.shapes import Array, Numbers, Padding, Pair, float64, pair, windows_over

Maybe = Array | None


def convolution_backward(
    args: Arguments,
    y_bar: Array,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> tuple[Array, Array, Maybe]:
    """Each product w[k, c, p] * x[n, first(k) + c, entry] of the forward loops: two gradients."""
    x, w, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    filters, inputs = w.shape[:2]
    axes = windows_over(x.shape[2:], w.shape[2:], stride, padding, dilation)
    x_bar, w_bar, b_bar = np.zeros(x.shape), np.zeros(w.shape), np.zeros(filters)
    for n, k, *output in np.ndindex(y_bar.shape):
        first = k // (filters // groups) * inputs
        upstream = y_bar[(n, k, *output)]
        b_bar[k] += upstream
        for c, *place in np.ndindex(w.shape[1:]):
            entry = entry_under(axes, tuple(output), tuple(place))
            if entry is not None:
                w_bar[(k, c, *place)] += upstream * x[(n, first + c, *entry)]
                x_bar[(n, first + c, *entry)] += upstream * w[(k, c, *place)]
    return x_bar, w_bar, b_bar if len(args) > 2 and args[2] is not None else None


def conv2d_backward_as_convolutions(
    args: Arguments, y_bar: Array, *, stride: Pair = 1, padding: Padding = 0
) -> tuple[Array, Array]:
    """The two convolutions of the notes: w_bar = x * y_bar, x_bar = rotated kernel * y_bar.

    A stride s leaves s - 1 zeros between neighbouring entries of y_bar. For w_bar images and
    channels change places; for x_bar the kernel turns by 180 degrees and its filters and channels
    change places. No loops of its own: both are calls of the forward definition.
    """
    x, w, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    (n, k), (fh, fw), (height, width) = y_bar.shape[:2], w.shape[2:], x.shape[2:]
    sh, sw = pair(stride)
    rows, columns = windows_over((height, width), (fh, fw), stride, padding)
    # Entry i of y_bar goes to i * s; as many zeros follow as make the sizes match with stride 1.
    sides = (
        (rows.low, (rows.outputs - 1) * sh + fh - height - rows.low),
        (columns.low, (columns.outputs - 1) * sw + fw - width - columns.low),
    )
    spread = np.zeros((n, k, (rows.outputs - 1) * sh + 1, (columns.outputs - 1) * sw + 1))
    spread[:, :, ::sh, ::sw] = y_bar
    w_bar = conv2d(x.swapaxes(0, 1), spread.swapaxes(0, 1), padding=sides).swapaxes(0, 1)
    rotated = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    full = (
        (fh - 1 - sides[0][0], fh - 1 - sides[0][1]),
        (fw - 1 - sides[1][0], fw - 1 - sides[1][1]),
    )
    x_bar = conv2d(spread, rotated, padding=full)
    return x_bar, w_bar


BACKWARD: dict[str, Callable] = {
    "conv1d": convolution_backward,
    "conv2d": convolution_backward,
    "conv3d": convolution_backward,
}
