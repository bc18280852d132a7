"""Convolutions over any number of axes, and the two convolutions of their backward pass.

With the sizes n of x, k of the kernel with its dilation and m of y with the stride's zeros between
its entries, pads lo and hi:

    y     = conv(x, w)                                stride s, kernel dilation d, pads (lo, hi)
    x_bar = conv(y_bar, the turned kernel, its filters and channels swapped)
                                                      input dilation s, kernel dilation d,
                                                      pads (k - 1 - lo, n + lo - m)
    w_bar = conv(x, y_bar, images and channels swapped)
                                                      stride d, kernel dilation s,
                                                      pads (lo, m + k - n - 1 - lo)
"""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.layers.window import Axes, Steps

SPATIAL = {1: "W", 2: "HW", 3: "DHW"}


def layout(rank: int) -> tuple[str, str, str]:
    """x (n, c, ...) with w (k, c, ...) gives (n, k, ...)."""
    names = SPATIAL[rank]
    return "NC" + names, "OI" + names, "NC" + names


def filters_and_channels_swapped(rank: int) -> tuple[str, str, str]:
    """y_bar (n, k, ...) with w (k, c, ...) gives (n, c, ...): the filters are summed over."""
    names = SPATIAL[rank]
    return "NC" + names, "IO" + names, "NC" + names


def images_and_channels_swapped(rank: int) -> tuple[str, str, str]:
    """x (n, c, ...) with y_bar (n, k, ...) gives (k, c, ...): the images are summed over."""
    names = SPATIAL[rank]
    return "CN" + names, "IO" + names, "CN" + names


def convolve(x: Array, w: Array, axes: Axes, groups: int = 1) -> Array:
    """y, for w (k, c / groups, ...), as XLA computes it."""
    dtype = jnp.promote_types(x.dtype, w.dtype)
    bare = [int(_is_bare(axis)) for axis in axes]
    if any(bare):
        x = jnp.pad(x, ((0, 0), (0, 0), *((0, one) for one in bare)))
    return lax.conv_general_dilated(
        x.astype(dtype),
        w.astype(dtype),
        window_strides=[axis.stride for axis in axes],
        padding=[(axis.low, axis.high - one) for axis, one in zip(axes, bare, strict=True)],
        rhs_dilation=[axis.dilation for axis in axes],
        dimension_numbers=layout(len(axes)),
        feature_group_count=groups,
    )


def input_gradient(w: Array, y_bar: Array, axes: Axes, groups: int = 1) -> Array:
    """x_bar: y_bar spread out by the stride, convolved with the turned kernel."""
    if groups > 1:  # the filters of each group in turn, and all channels side by side
        parts = w.reshape(groups, -1, *w.shape[1:]).swapaxes(0, 1)
        w = parts.reshape(parts.shape[0], -1, *w.shape[2:])
    x_bar = lax.conv_general_dilated(
        y_bar,
        lax.rev(w.astype(y_bar.dtype), tuple(range(2, w.ndim))),
        window_strides=[1 for _ in axes],
        padding=[_input_padding(axis) for axis in axes],
        lhs_dilation=[axis.stride for axis in axes],
        rhs_dilation=[axis.dilation for axis in axes],
        dimension_numbers=filters_and_channels_swapped(len(axes)),
        feature_group_count=groups,
    )
    return x_bar[(..., *(slice(axis.size) for axis in axes))]


def weight_gradient(x: Array, y_bar: Array, axes: Axes, out_sharding: Any = None) -> Array:
    """w_bar: x convolved with y_bar spread out by the stride, summed over the images."""
    return lax.conv_general_dilated(
        x.astype(y_bar.dtype),
        y_bar,
        window_strides=[axis.dilation for axis in axes],
        padding=[_weight_padding(axis) for axis in axes],
        rhs_dilation=[axis.stride for axis in axes],
        dimension_numbers=images_and_channels_swapped(len(axes)),
        out_sharding=out_sharding,
    )


def _input_padding(axis: Steps) -> tuple[int, int]:
    """Entry i of the spread y_bar met the inputs from i - low to i - low + span - 1.

    So x_bar_a sums over the entries a + low - span + 1 ... a + low. What the stride leaves over
    at the end makes the high side larger: inputs that no window covers receive 0.
    """
    low, high = axis.span - 1 - axis.low, axis.size + axis.low - axis.reach
    return (low, 1) if _is_bare(axis) else (low, high)


def _is_bare(axis: Steps) -> bool:
    """Whether the axis of y_bar is spread but not padded, for x_bar.

    XLA can abort the process on such a convolution, and on the one that JAX derives from the
    forward pass. So x_bar is made with one entry too many, and x gets its last zero beforehand.
    """
    unpadded = axis.low == axis.span - 1 and axis.reach == axis.size + axis.low
    return unpadded and axis.window > 1 and axis.stride > 1


def _weight_padding(axis: Steps) -> tuple[int, int]:
    """Weight p met the inputs from p d - low to p d - low + reach - 1, for p = 0 ... window - 1."""
    return axis.low, axis.reach + axis.span - axis.size - 1 - axis.low
