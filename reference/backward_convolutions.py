"""Backward passes of the convolutions; see `reference.backward_gates` for how they are called.

conv2d is here twice: by scattering, and in the two convolutions of the lecture notes.
"""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.convolutions import conv2d, entry_under, sides_of
from reference.shapes import Array, Numbers, Padding, Pair, float64, numbers, pair, windows_over

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


def conv_transpose2d_backward(
    args: Arguments,
    y_bar: Array,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> tuple[Array, Array, Maybe]:
    """Each product x[n, c, i] * w[c, k, p] of the forward loops: two gradients."""
    x, w, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    channels, outputs = w.shape[:2]
    steps, spread = numbers(stride, 2), numbers(dilation, 2)
    (top, _), (left, _) = sides_of(padding)
    x_bar, w_bar = np.zeros(x.shape), np.zeros(w.shape)
    for n, c, i, j in np.ndindex(x.shape):
        first = c // (channels // groups) * outputs
        for k, p, q in np.ndindex(w.shape[1:]):
            row = i * steps[0] + p * spread[0] - top
            column = j * steps[1] + q * spread[1] - left
            if 0 <= row < y_bar.shape[2] and 0 <= column < y_bar.shape[3]:
                upstream = y_bar[n, first + k, row, column]
                x_bar[n, c, i, j] += upstream * w[c, k, p, q]
                w_bar[c, k, p, q] += upstream * x[n, c, i, j]
    b_bar = np.array([sum(y_bar[:, k].ravel()) for k in range(y_bar.shape[1])])
    return x_bar, w_bar, b_bar if len(args) > 2 and args[2] is not None else None


def causal_conv1d_backward(args: Arguments, y_bar: Array) -> tuple[Array, Array, Maybe]:
    """As convolution_backward, along the past of each t."""
    x, w, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, w_bar, b_bar = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[0])
    last = w.shape[1] - 1
    for n, c, t in np.ndindex(y_bar.shape):
        b_bar[c] += y_bar[n, c, t]
        for p in range(min(last + 1, t + 1)):
            x_bar[n, c, t - p] += y_bar[n, c, t] * w[c, last - p]
            w_bar[c, last - p] += y_bar[n, c, t] * x[n, c, t - p]
    return x_bar, w_bar, b_bar if len(args) > 2 and args[2] is not None else None


BACKWARD: dict[str, Callable] = {
    "conv1d": convolution_backward,
    "conv2d": convolution_backward,
    "conv3d": convolution_backward,
    "conv_transpose2d": conv_transpose2d_backward,
    "causal_conv1d": causal_conv1d_backward,
}
