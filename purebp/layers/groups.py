"""Convolutions in groups: each group of filters sees its own group of channels.

Groups are convolutions side by side. They run one after the other here: XLA on a CPU takes up to
forty times as long for one convolution with groups. Depthwise ones are sums of shifted copies.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from purebp.errors import OptionError, ShapeError
from purebp.layers import depthwise, products
from purebp.layers.window import Axes


def convolve(x: Array, w: Array, axes: Axes, groups: int) -> Array:
    """y, for w (k, c / groups, ...)."""
    if depthwise.fits(x.shape[1], axes, groups):
        return depthwise.convolve(x, w, axes)
    parts = zip(_split(x, groups, 1), _split(w, groups, 0), strict=True)
    return _join([products.convolve(part, kernel, axes) for part, kernel in parts], 1)


def input_gradient(w: Array, y_bar: Array, axes: Axes, groups: int) -> Array:
    """x_bar, group by group."""
    if depthwise.fits(w.shape[1] * groups, axes, groups):
        return depthwise.input_gradient(w, y_bar, axes, groups)
    parts = zip(_split(w, groups, 0), _split(y_bar, groups, 1), strict=True)
    return _join([products.input_gradient(kernel, bar, axes) for kernel, bar in parts], 1)


def weight_gradient(
    x: Array, y_bar: Array, axes: Axes, groups: int, out_sharding: Any = None
) -> Array:
    """w_bar, group by group."""
    if depthwise.fits(x.shape[1], axes, groups):
        return depthwise.weight_gradient(x, y_bar, axes)
    parts = zip(_split(x, groups, 1), _split(y_bar, groups, 1), strict=True)
    bars = [products.weight_gradient(part, bar, axes, out_sharding) for part, bar in parts]
    return _join(bars, 0)


def _split(x: Array, groups: int, axis: int) -> list[Array]:
    return [x] if groups == 1 else jnp.split(x, groups, axis)


def _join(parts: list[Array], axis: int) -> Array:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis)


def check_groups(op: str, channels: int, w_shape: tuple[int, ...], groups: int) -> None:
    """Raise unless groups divides the channels and the filters, and w fits."""
    filters, inputs = w_shape[:2]
    if not isinstance(groups, int) or groups < 1 or channels % groups or filters % groups:
        raise OptionError(
            f"{op}: groups is {groups!r}, expected a divisor of the {channels} channels of x and "
            f"of the {filters} filters of w"
        )
    if inputs != channels // groups:
        wanted = (filters, channels // groups, *w_shape[2:])
        source = "axis 1 of x" if groups == 1 else f"{channels} channels of x in {groups} groups"
        raise ShapeError(f"{op}: w has shape {w_shape}, expected {wanted} from {source}")
