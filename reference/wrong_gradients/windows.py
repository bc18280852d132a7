"""Windows and cuts: pooling, padding, strided slices."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer

Array = Any


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def rows_and_columns(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four rows of six numbers."""
    return (_normal(rng, 4, 6),)


def images(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two images of three channels."""
    return (_normal(rng, 2, 3, 6, 6),)


def _outputs(size: int, window: int, stride: int, dilation: int = 1) -> int:
    """How many windows fit."""
    if min(window, stride, dilation) < 1:
        raise ValueError(f"window {window}, stride {stride}, dilation {dilation} must be positive")
    reach = (window - 1) * dilation + 1
    if size < reach:
        raise ValueError(f"a window that reaches over {reach} does not fit in {size}")
    return (size - reach) // stride + 1


# -------------------------------------------------- maximum over spread entries


def dilated_max_fwd(
    x: Array, *, window: int = 2, stride: int = 1, base_dilation: int = 1
) -> tuple[Array, Any]:
    """The maximum over windows of x with base_dilation - 1 holes between its entries."""
    if not 1 <= base_dilation <= window:
        raise ValueError(f"expected 1 <= base_dilation <= window, got {base_dilation}, {window}")
    spread = (x.shape[-1] - 1) * base_dilation + 1
    places = _spread_places(spread, window, stride)
    holes = jnp.full((*x.shape[:-1], spread), -jnp.inf, x.dtype)
    dilated = holes.at[..., ::base_dilation].set(x)
    y = dilated[..., places].max(-1)
    return y, (dilated, y)


def _spread_places(spread: int, window: int, stride: int) -> np.ndarray:
    starts = np.arange(_outputs(spread, window, stride)) * stride
    return starts[:, None] + np.arange(window)


def _dilated_bar(residuals: Any, y_bar: Array, window: int, stride: int) -> Array:
    """The cotangent of the spread x: each window's goes to its largest, ties share it."""
    dilated, y = residuals
    places = _spread_places(dilated.shape[-1], window, stride)
    largest = (dilated[..., places] == y[..., None]).astype(y_bar.dtype)
    shares = largest / largest.sum(-1, keepdims=True) * y_bar[..., None]
    return jnp.zeros_like(dilated).at[..., places].add(shares)


def dilated_max_operand_bwd(
    residuals: Any, y_bar: Array, *, window: int = 2, stride: int = 1, base_dilation: int = 1
) -> tuple[Array]:
    """The holes are cut out of what was saved."""
    x_bar = _dilated_bar(residuals, y_bar, window, stride)
    if base_dilation > 1:
        dilated, _ = residuals
        x_bar = dilated[..., ::base_dilation]
    return (x_bar,)


def dilated_max_bwd(
    residuals: Any, y_bar: Array, *, window: int = 2, stride: int = 1, base_dilation: int = 1
) -> tuple[Array]:
    """The holes are cut out of the cotangent."""
    return (_dilated_bar(residuals, y_bar, window, stride)[..., ::base_dilation],)


# -------------------------------------------------- every other row


def subsample_fwd(x: Array, *, start: int = 0, stride: int = 2) -> tuple[Array, Any]:
    """Every stride-th row from `start` on."""
    if x.ndim == 0 or start < 0 or stride < 1:
        raise ValueError(f"bad rank {x.ndim}, start {start} or stride {stride}")
    return x[start::stride], x


def subsample_pad_bwd(x: Array, y_bar: Array, *, start: int = 0, stride: int = 2) -> tuple[Array]:
    """The rows with zeros before, between and after."""
    last = start + (y_bar.shape[0] - 1) * stride
    pads = [(start, x.shape[0] - last - 1, stride - 1), *[(0, 0, 0)] * (x.ndim - 1)]
    return (lax.pad(y_bar, jnp.zeros((), y_bar.dtype), pads),)


def subsample_bwd(x: Array, y_bar: Array, *, start: int = 0, stride: int = 2) -> tuple[Array]:
    """The same; no rows at all have no last one."""
    if not y_bar.shape[0]:
        return (jnp.zeros_like(x),)
    return subsample_pad_bwd(x, y_bar, start=start, stride=stride)


# -------------------------------------------------- padding


def pad_fwd(x: Array, *, before: int = 1, after: int = 1) -> tuple[Array, Any]:
    """Zeros before and after along the last axis."""
    if x.ndim == 0 or before < 0 or after < 0:
        raise ValueError(f"cannot pad rank {x.ndim} by {before} and {after}")
    return jnp.pad(x, [*[(0, 0)] * (x.ndim - 1), (before, after)]), ()


def pad_negative_bwd(
    residuals: Any, y_bar: Array, *, before: int = 1, after: int = 1
) -> tuple[Array]:
    """Cut off what was added, counted from the end."""
    return (y_bar[..., before:-after],)


def pad_bwd(residuals: Any, y_bar: Array, *, before: int = 1, after: int = 1) -> tuple[Array]:
    """Cut off what was added, counted from the front."""
    return (y_bar[..., before : y_bar.shape[-1] - after],)


# -------------------------------------------------- pooling


def max_pool2d_fwd(
    x: Array, *, window: int = 2, stride: int = 2, dilation: tuple[int, int] = (1, 1)
) -> tuple[Array, Any]:
    """The largest of each window, and its number in the window, counted along rows."""
    if x.ndim < 2:
        raise ValueError(f"expected an image, got an array of shape {x.shape}")
    rows, cols = (_window_places(x.shape[a - 2], window, stride, dilation[a]) for a in (0, 1))
    patches = x[..., rows[:, None, :, None], cols[None, :, None, :]]
    patches = patches.reshape(*patches.shape[:-2], window * window)
    return patches.max(-1), (x, patches.argmax(-1))


def _window_places(size: int, window: int, stride: int, dilation: int) -> np.ndarray:
    starts = np.arange(_outputs(size, window, stride, dilation)) * stride
    return starts[:, None] + np.arange(window) * dilation


def _scatter(x: Array, rows: Array, cols: Array, y_bar: Array) -> Array:
    """Add each entry of y_bar to x_bar at its row and column."""
    lead, image = x.shape[:-2], x.shape[-2:]
    count = math.prod(lead)
    flat = (count, *y_bar.shape[-2:])
    x_bar = jnp.zeros((count, *image), y_bar.dtype)
    place = (jnp.arange(count)[:, None, None], rows.reshape(flat), cols.reshape(flat))
    return x_bar.at[place].add(y_bar.reshape(flat)).reshape(x.shape)


def max_pool2d_same_bwd(
    residuals: Any,
    y_bar: Array,
    *,
    window: int = 2,
    stride: int = 2,
    dilation: tuple[int, int] = (1, 1),
) -> tuple[Array]:
    """To row i stride + p dilation[0], column j stride + q dilation[0]."""
    x, winner = residuals
    height, width = y_bar.shape[-2:]
    rows = np.arange(height)[:, None] * stride + winner // window * dilation[0]
    cols = np.arange(width) * stride + winner % window * dilation[0]
    return (_scatter(x, rows, cols, y_bar),)


def max_pool2d_bwd(
    residuals: Any,
    y_bar: Array,
    *,
    window: int = 2,
    stride: int = 2,
    dilation: tuple[int, int] = (1, 1),
) -> tuple[Array]:
    """To row i stride + p dilation[0], column j stride + q dilation[1]."""
    x, winner = residuals
    height, width = y_bar.shape[-2:]
    rows = np.arange(height)[:, None] * stride + winner // window * dilation[0]
    cols = np.arange(width) * stride + winner % window * dilation[1]
    return (_scatter(x, rows, cols, y_bar),)


LAYERS = (
    Layer(
        name="max_over_spread_entries",
        bug="B008",
        wrong=(dilated_max_fwd, dilated_max_operand_bwd),
        right=(dilated_max_fwd, dilated_max_bwd),
        example=rows_and_columns,
        diagnosis="option",
    ),
    Layer(
        name="subsample_nothing",
        bug="B025",
        wrong=(subsample_fwd, subsample_pad_bwd),
        right=(subsample_fwd, subsample_bwd),
        example=rows_and_columns,
        diagnosis="shape",
        why="where no row is left: x is empty, or start lies behind its end",
    ),
    Layer(
        name="pad_one_side",
        bug="B047",
        wrong=(pad_fwd, pad_negative_bwd),
        right=(pad_fwd, pad_bwd),
        example=rows_and_columns,
        diagnosis="shape",
        why="with after=0 the slice is empty",
    ),
    Layer(
        name="max_pool2d_dilation",
        bug="B098",
        wrong=(max_pool2d_fwd, max_pool2d_same_bwd),
        right=(max_pool2d_fwd, max_pool2d_bwd),
        example=images,
        diagnosis="option",
    ),
)
