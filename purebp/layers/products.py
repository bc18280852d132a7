"""Convolutions as matrix products, image by image, where XLA's CPU backend is slow at them.

Its convolution is close to the speed of a product, but for two cases: few channels (the first
layer of a net), and the weight gradient, whose "kernel" y_bar is as large as an image. There the
patches of one image, which fit the cache, are multiplied at once. Other devices and other cases
take the convolution of XLA. Measured forms of the weight gradient (3 x 3, 64 to 64 channels, 16
images of 32 x 32; XLA 1.0): the patches of all images as one product 2.0, nine products 1.4, one
product of shifted copies of x and y_bar 0.5, the patches image by image 0.55, the shifted copies
image by image 0.45, with a quarter of the memory.
"""

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.compat import explicit_sharding, zeros_varying_as
from purebp.layers import convolution
from purebp.layers.window import Axes, Steps
from purebp.numerics import full_product

FEW_CHANNELS = 6
LARGE_IMAGE = 256
Pads = tuple[tuple[int, int], tuple[int, int]]


def convolve(x: Array, w: Array, axes: Axes) -> Array:
    """y, for w (k, c, ...)."""
    plain = partial(_plain_convolve, axes)
    few = _few(w.shape[1], axes) and _area(axes) >= LARGE_IMAGE
    if not few or not _slides(axes, x, w):
        return plain(x, w)
    pads = (axes[0].low, axes[0].high), (axes[1].low, axes[1].high)
    return lax.platform_dependent(x, w, cpu=partial(patches_times, pads), default=plain)


def input_gradient(w: Array, y_bar: Array, axes: Axes) -> Array:
    """x_bar: y_bar convolved with the turned kernel, its filters and channels swapped."""
    plain = partial(_plain_input_gradient, axes)
    few = _few(w.shape[0], axes) and _area(axes) >= LARGE_IMAGE
    if not few or not _slides(axes, w, y_bar):
        return plain(w, y_bar)
    rows, columns = axes
    pads = _turned(rows), _turned(columns)
    return lax.platform_dependent(w, y_bar, cpu=partial(_turned_times, pads), default=plain)


def weight_gradient(x: Array, y_bar: Array, axes: Axes, out_sharding: Any = None) -> Array:
    """w_bar: x convolved with y_bar, summed over the images."""
    plain = partial(_plain_weight_gradient, axes, out_sharding)
    if not _slides(axes, x, y_bar) or _area(axes) < LARGE_IMAGE:
        return plain(x, y_bar)
    shifted = partial(shifted_products, axes)
    return lax.platform_dependent(x, y_bar, cpu=shifted, default=plain)


def patches_times(pads: Pads, x: Array, w: Array) -> Array:
    """Each image of x as the matrix of its patches, (c fh fw, positions), times the kernels."""
    filters, _, height, width = w.shape
    dtype = jnp.promote_types(x.dtype, w.dtype)
    kernels = w.astype(dtype).transpose(0, 2, 3, 1).reshape(filters, -1)
    rows = x.shape[2] + sum(pads[0]) - height + 1
    columns = x.shape[3] + sum(pads[1]) - width + 1

    def one_image(image: Array) -> Array:
        padded = lax.pad(
            image, jnp.zeros((), dtype), ((0, 0, 0), *((lo, hi, 0) for lo, hi in pads))
        )
        shifts = [(p, q) for p in range(height) for q in range(width)]
        patches = jnp.concatenate([padded[:, p : p + rows, q : q + columns] for p, q in shifts])
        y = full_product(kernels, patches.reshape(kernels.shape[1], -1))
        return y.reshape(filters, rows, columns)

    return lax.map(one_image, x.astype(dtype))


def shifted_products(axes: Axes, x: Array, y_bar: Array) -> Array:
    """w_bar as the sum over the images of one product of shifted copies.

    w_bar_kcpq = sum_ij y_bar_kij x_c(i+p)(j+q). With r = i + p the shift along the rows is one of
    y_bar, that along the columns one of x; all pairs of the two are the entries of one product.
    """
    (rows, columns), filters, channels = axes, y_bar.shape[1], x.shape[1]
    edges = ((0, 0), (rows.low, rows.high), (columns.low, columns.high))
    above = rows.window - 1

    def add_image(total: Array, image: tuple[Array, Array]) -> tuple[Array, None]:
        padded = jnp.pad(image[0], edges)
        upstream = jnp.pad(image[1], ((0, 0), (above, above), (0, 0)))
        by_column = [padded[:, :, q : q + columns.outputs] for q in range(columns.window)]
        by_row = [upstream[:, above - p :][:, : rows.padded] for p in range(rows.window)]
        left = jnp.concatenate(by_row).reshape(rows.window * filters, -1)
        right = jnp.concatenate(by_column).reshape(columns.window * channels, -1)
        return total + full_product(left, right.T), None

    start = zeros_varying_as(y_bar, (rows.window * filters, columns.window * channels))
    total, _ = lax.scan(add_image, start, (x.astype(y_bar.dtype), y_bar))
    total = total.reshape(rows.window, filters, columns.window, channels)
    return total.transpose(1, 3, 0, 2)


def _slides(axes: Axes, *arrays: Array) -> bool:
    """Whether these are images of 32 or 64 bits, moved over by single steps, on one device."""
    single = len(axes) == 2 and all(axis.stride == axis.dilation == 1 for axis in axes)
    wide = all(array.dtype.itemsize >= 4 for array in arrays)
    return single and wide and all(explicit_sharding(array) is None for array in arrays)


def _few(channels: int, axes: Axes) -> bool:
    """Whether there is little to sum over at each place, or nothing but channels."""
    return channels <= FEW_CHANNELS or all(axis.window == 1 for axis in axes)


def _area(axes: Axes) -> int:
    return math.prod(axis.outputs for axis in axes)


def _turned(axis: Steps) -> tuple[int, int]:
    """The padding of y_bar, which cuts where it is negative."""
    return axis.span - 1 - axis.low, axis.span - 1 - axis.high


def _turned_times(pads: Pads, w: Array, y_bar: Array) -> Array:
    return patches_times(pads, y_bar, lax.rev(w, (2, 3)).transpose(1, 0, 2, 3))


def _plain_convolve(axes: Axes, x: Array, w: Array) -> Array:
    return convolution.convolve(x, w, axes)


def _plain_input_gradient(axes: Axes, w: Array, y_bar: Array) -> Array:
    return convolution.input_gradient(w, y_bar, axes)


def _plain_weight_gradient(axes: Axes, out_sharding: Any, x: Array, y_bar: Array) -> Array:
    return convolution.weight_gradient(x, y_bar, axes, out_sharding)
