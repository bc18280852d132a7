"""Layers that enlarge images: upsampling, and the pixel shuffle."""

from collections.abc import Iterable
from functools import reduce
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.layers.window import Pair, pair
from purebp.numerics import widen
from purebp.op import conditioned
from purebp.residuals import Spec

ROWS, COLUMNS = 2, 3
Method = Literal["nearest", "bilinear"]
Phase = tuple[float, float, float]


def upsample_definition(
    x: Float[Array, "n c h w"], *, scale: Pair = 2, method: Method = "nearest"
) -> Float[Array, "n c h2 w2"]:
    """Images `scale` times as large, with copies of the pixels or in between their centres.

    Maths: along each axis output i s + r lies at p = (r + 1/2) / s - 1/2 from the centre of entry
        i. nearest: y = x_i. bilinear: y = (1 - |p|) x_i + |p| of the neighbour on that side; the
        edge is its own neighbour. x_bar adds y_bar times the same weights.
    Shapes: x (n, c, h, w); y (n, c, h s, w s). scale: an integer or (rows, columns).
    Residuals: none; the weights are static.
    Kinks: none.
    Raises: OptionError for a scale below 1 or an unknown method, ShapeError for an empty image,
        DtypeError for integers.
    Source: as jax.image.resize with these factors (half-pixel centres); derived by hand.

    Example:
        >>> y, res = upsample.fwd(jax.random.normal(jax.random.key(0), (2, 2, 3, 2)))
        >>> [jnp.shape(bar) for bar in upsample.bwd(res, y)]
        [(2, 2, 3, 2)]
    """
    rows, columns = pair("upsample", "scale", scale, least=1)
    of_rows = jnp.asarray(_weight_matrix(x.shape[2], rows, method), widen(x).dtype)
    of_columns = jnp.asarray(_weight_matrix(x.shape[3], columns, method), widen(x).dtype)
    return jnp.einsum("ah,nchw,bw->ncab", of_rows, widen(x), of_columns).astype(x.dtype)


def _weight_matrix(size: int, scale: int, method: Method) -> np.ndarray:
    """How much of each entry is in each output. Counted in halves of an output: no rounding.

    `jax.image.resize` gives 1e-16 of an entry a whole step away, whose weight is 0.
    """
    entries, outputs = np.arange(size)[None, :], np.arange(size * scale)[:, None]
    if method == "nearest":
        return (outputs // scale == entries).astype(float)
    steps = np.abs(2 * outputs + 1 - scale - 2 * scale * entries)
    weights = np.maximum(2 * scale - steps, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def upsample_forward(x: Array, *, scale: Pair, method: Method) -> Array:
    rows, columns = pair("upsample", "scale", scale, least=1)
    along = _enlarge(widen(x), COLUMNS, phases(columns, method))
    return _enlarge(along, ROWS, phases(rows, method)).astype(x.dtype)


def upsample_x_bar(y_bar: Array, x_spec: Spec, scale: Pair, method: Method) -> Array:
    rows, columns = pair("upsample", "scale", scale, least=1)
    along_bar = _gather(widen(y_bar), ROWS, phases(rows, method))
    return _gather(along_bar, COLUMNS, phases(columns, method))


def phases(scale: int, method: Method) -> list[Phase]:
    """For each of the outputs of an entry the weights of the one before it, itself, the next."""
    if method == "nearest":
        return [(0.0, 1.0, 0.0)] * scale
    places = [(r + 0.5) / scale - 0.5 for r in range(scale)]
    return [(max(-p, 0.0), 1 - abs(p), max(p, 0.0)) for p in places]


def _enlarge(x: Array, axis: int, weights: list[Phase]) -> Array:
    size = x.shape[axis]
    first = lax.slice_in_dim(x, 0, 1, axis=axis)
    last = lax.slice_in_dim(x, size - 1, size, axis=axis)
    before = jnp.concatenate([first, lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis)
    after = jnp.concatenate([lax.slice_in_dim(x, 1, size, axis=axis), last], axis)
    near = (before, x, after)
    outputs = [jnp.asarray(_weighted(zip(phase, near, strict=True))) for phase in weights]
    shape = (*x.shape[:axis], size * len(weights), *x.shape[axis + 1 :])
    return jnp.stack(outputs, axis + 1).reshape(shape)


def _gather(y_bar: Array, axis: int, weights: list[Phase]) -> Array:
    size = y_bar.shape[axis] // len(weights)
    split = y_bar.reshape(*y_bar.shape[:axis], size, len(weights), *y_bar.shape[axis + 1 :])
    bars = [lax.index_in_dim(split, r, axis + 1, keepdims=False) for r in range(len(weights))]
    before, own, after = (
        _weighted((phase[side], bar) for phase, bar in zip(weights, bars, strict=True))
        for side in range(3)
    )
    moved = [_shift(bar, axis, step) for bar, step in ((before, -1), (after, 1)) if bar is not None]
    return reduce(jnp.add, moved, jnp.asarray(own))


def _weighted(terms: Iterable[tuple[float, Array]]) -> Array | None:
    """sum weight * value without the terms of weight 0; None if there are no others."""
    parts = [value if weight == 1 else weight * value for weight, value in terms if weight]
    return reduce(jnp.add, parts) if parts else None


def _shift(bar: Array, axis: int, step: int) -> Array:
    """Each entry goes to its neighbour, the one without a neighbour stays where it is."""
    size, zero = bar.shape[axis], jnp.zeros((), bar.dtype)
    moved, kept = [(0, 0, 0)] * bar.ndim, [(0, 0, 0)] * bar.ndim
    moved[axis] = (step, -step, 0)
    edge = 0 if step < 0 else size - 1
    kept[axis] = (edge, size - 1 - edge, 0)
    stays = lax.slice_in_dim(bar, edge, edge + 1, axis=axis)
    return lax.pad(bar, zero, moved) + lax.pad(stays, zero, kept)


def check_upsample(x: Array, *, scale: Pair, method: str) -> None:
    """Raise for a scale or method that is none, or an empty image."""
    pair("upsample", "scale", scale, least=1)
    if method not in ("nearest", "bilinear"):
        raise OptionError(f"upsample: method is {method!r}, expected 'nearest' or 'bilinear'")
    if 0 in x.shape[2:]:
        raise ShapeError(f"upsample: x has shape {x.shape}, expected entries in each image")


upsample = Gate(
    upsample_definition,
    upsample_x_bar,
    forward=upsample_forward,
    options={"scale": (2, (1, 3)), "method": ("nearest", "bilinear")},
    sizes={"n": (2, 1), "c": (2, 1), "h": (3, 2, 1), "w": (2, 4, 1)},
    check=check_upsample,
    tolerance=conditioned("(1 - p) x_i + p x_j cancels where neighbours differ in sign"),
)


def pixel_shuffle_definition(
    x: Float[Array, "n c h w"], *, factor: int = 2
) -> Float[Array, "n c2 h2 w2"]:
    """Channels become pixels: r^2 channels in a row fill the r x r pixels of one place.

    Maths: y_nc(i r + a)(j r + b) = x_n(c r^2 + a r + b)ij; x_bar is y_bar, sent back.
    Shapes: x (n, c r^2, h, w); y (n, c, h r, w r), r the factor.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError unless the factor is at least 1 and its square divides the channels.
    Source: Shi et al. 2016, "Real-time single image and video super-resolution", equation 4.

    Example:
        >>> y, res = pixel_shuffle.fwd(jax.random.normal(jax.random.key(0), (2, 8, 2, 3)))
        >>> [jnp.shape(bar) for bar in pixel_shuffle.bwd(res, y)]
        [(2, 8, 2, 3)]
    """
    n, c, h, w = x.shape
    parts = x.reshape(n, c // factor**2, factor, factor, h, w)
    places = parts.transpose(0, 1, 4, 2, 5, 3)
    rows = places.reshape(n, c // factor**2, h * factor, w, factor)
    return rows.reshape(n, c // factor**2, h * factor, w * factor)


def pixel_shuffle_x_bar(y_bar: Array, x_spec: Spec, factor: int) -> Array:
    n, c, h, w = x_spec.shape
    rows = y_bar.reshape(n, c // factor**2, h * factor, w, factor)
    parts = rows.reshape(n, c // factor**2, h, factor, w, factor)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(x_spec.shape)


def check_pixel_shuffle(x: Array, *, factor: int) -> None:
    """Raise unless the square of the factor divides the channels."""
    if not isinstance(factor, int) or factor < 1 or x.shape[1] % factor**2:
        raise OptionError(
            f"pixel_shuffle: factor is {factor!r}, expected one whose square divides the "
            f"{x.shape[1]} channels of x"
        )


pixel_shuffle = Gate(
    pixel_shuffle_definition,
    pixel_shuffle_x_bar,
    options={"factor": (2, 1, 3)},
    sizes={"n": (2, 1), "c": (8, 4, 9), "h": (2, 3, 1), "w": (3, 2, 2)},
    check=check_pixel_shuffle,
)

OPS = (upsample, pixel_shuffle)
