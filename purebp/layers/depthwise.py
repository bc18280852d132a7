"""Depthwise convolution: each channel has kernels of its own, so that no channels are summed.

It is a sum of shifted copies of x, one for each weight of a kernel, and its backward pass is too.
XLA makes one loop over the entries of that. Its own grouped convolution takes ten times as long.
"""

import itertools
import math
from collections.abc import Iterator
from functools import reduce

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.layers.window import Axes
from purebp.numerics import widen

MOST_TAPS = 64
Tap = tuple[int, ...]


def fits(channels: int, axes: Axes, groups: int) -> bool:
    """Whether this is the way: one channel in each group, and a small kernel."""
    taps = math.prod(axis.window for axis in axes)
    return channels == groups > 1 and taps <= MOST_TAPS


def convolve(x: Array, w: Array, axes: Axes) -> Array:
    """y_n(cm)i = sum_p w_(cm)p x_nc(i s + p d - lo), m = 0 ... multiplier - 1."""
    kernels = _by_channel(widen(w), x.shape[1])
    entries = _entries_of_windows(widen(x), axes)
    y = reduce(jnp.add, [x_p * _each(kernels, tap) for tap, x_p in entries])
    dtype = jnp.promote_types(x.dtype, w.dtype)
    return y.reshape(x.shape[0], w.shape[0], *y.shape[3:]).astype(dtype)


def input_gradient(w: Array, y_bar: Array, axes: Axes, channels: int) -> Array:
    """x_bar_nc(i s + p d - lo) adds sum_m w_(cm)p y_bar_n(cm)i."""
    kernels = _by_channel(widen(w), channels)
    upstream = _by_channel(widen(y_bar), channels, 1)
    edges = [(axis.span - 1 - axis.low, axis.size + axis.low - axis.reach) for axis in axes]
    spread = _pad(upstream, edges, [axis.stride - 1 for axis in axes])
    terms = list[Array]()
    for tap in _taps(axes):
        starts = [axis.span - 1 - p * axis.dilation for axis, p in zip(axes, tap, strict=True)]
        met = _slice(spread, starts, [axis.size for axis in axes], [1 for _ in axes])
        terms.append(met * _each(kernels, tap))
    return jnp.sum(reduce(jnp.add, terms), axis=2).astype(y_bar.dtype)


def weight_gradient(x: Array, y_bar: Array, axes: Axes) -> Array:
    """w_bar_(cm)p = sum_ni y_bar_n(cm)i x_nc(i s + p d - lo)."""
    upstream = _by_channel(widen(y_bar), x.shape[1], 1)
    summed = (0, *range(3, upstream.ndim))
    entries = _entries_of_windows(widen(x), axes)
    taps = [jnp.sum(x_p * upstream, axis=summed) for _, x_p in entries]
    window = [axis.window for axis in axes]
    return jnp.stack(taps, axis=-1).reshape(y_bar.shape[1], 1, *window).astype(y_bar.dtype)


def _taps(axes: Axes) -> Iterator[Tap]:
    """The places in a kernel."""
    return itertools.product(*(range(axis.window) for axis in axes))


def _entries_of_windows(x: Array, axes: Axes) -> Iterator[tuple[Tap, Array]]:
    """For each place in the kernel the entry of every window there, as (n, c, 1, ...)."""
    edges = [(axis.low, axis.reach + axis.span - 1 - axis.low - axis.size) for axis in axes]
    padded = _pad(x[:, :, None], edges, [0 for _ in axes])
    for tap in _taps(axes):
        starts = [p * axis.dilation for axis, p in zip(axes, tap, strict=True)]
        lengths = [axis.reach for axis in axes]
        yield tap, _slice(padded, starts, lengths, [axis.stride for axis in axes])


def _by_channel(values: Array, channels: int, axis: int = 0) -> Array:
    """(..., c m, ...) as (..., c, m, ...): the channels of x, and the kernels of each."""
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    return values.reshape(*before, channels, values.shape[axis] // channels, *after)


def _each(kernels: Array, tap: Tap) -> Array:
    """One weight for each kernel, shaped to broadcast against (n, c, m, ...)."""
    weights = kernels[(slice(None), slice(None), 0, *tap)]
    return weights.reshape(*weights.shape, *(1,) * len(tap))


def _pad(x: Array, edges: list[tuple[int, int]], between: list[int]) -> Array:
    config = [(0, 0, 0)] * (x.ndim - len(edges))
    config += [(low, high, zeros) for (low, high), zeros in zip(edges, between, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _slice(x: Array, starts: list[int], lengths: list[int], strides: list[int]) -> Array:
    places = [
        slice(start, start + length, step)
        for start, length, step in zip(starts, lengths, strides, strict=True)
    ]
    return x[(..., *places)]
