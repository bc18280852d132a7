"""Arrays stretched over others."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from reference.wrong_gradients.layer import Layer

Array = Any


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def rows_and_weights(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four rows, a weight for each column."""
    return _normal(rng, 4, 3), _normal(rng, 3)


def sparse_and_number(rng: np.random.Generator) -> tuple[Any, ...]:
    """Five entries of a sparse matrix, their rows and columns, a number."""
    rows, cols = np.array([0, 0, 1, 2, 2], np.int32), np.array([1, 3, 0, 2, 3], np.int32)
    return _normal(rng, 5), rows, cols, np.float32(rng.standard_normal())


def _sum_to(bar: Array, shape: tuple[int, ...]) -> Array:
    """The sum over every axis along which an array of this shape was stretched."""
    bar = bar.sum(tuple(range(bar.ndim - len(shape))))
    return bar.sum(tuple(i for i, size in enumerate(shape) if size == 1), keepdims=True)


def _sum_to_axes(bar: Array, shape: tuple[int, ...]) -> Array:
    """The same, for an array with axes; a number was not stretched."""
    return _sum_to(bar, shape) if shape else bar


# -------------------------------------------------- a product


def scale_fwd(x: Array, w: Array) -> tuple[Array, Any]:
    """x w."""
    return x * w, (x, w)


def scale_axes_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """x_bar = y_bar w, w_bar = y_bar x, summed over the axes that were stretched."""
    x, w = residuals
    x_bar, w_bar = _sum_to_axes(y_bar * w, x.shape), _sum_to_axes(y_bar * x, w.shape)
    return x_bar.astype(x.dtype), w_bar.astype(w.dtype)


def scale_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """The same; a number is stretched over everything."""
    x, w = residuals
    x_bar, w_bar = _sum_to(y_bar * w, x.shape), _sum_to(y_bar * x, w.shape)
    return x_bar.astype(x.dtype), w_bar.astype(w.dtype)


# -------------------------------------------------- a sparse matrix and a number


def sparse_scale_fwd(
    values: Array, rows: Array, cols: Array, y: Array, *, shape: tuple[int, int] = (3, 4)
) -> tuple[Array, Any]:
    """X y, with values[i] at (rows[i], cols[i]) in X; y is a number or stretches to X."""
    if values.ndim != 1 or values.shape != rows.shape or rows.shape != cols.shape:
        raise ValueError(f"shapes {values.shape}, {rows.shape}, {cols.shape} are not the same (n)")
    if min(shape) < 1 or np.broadcast_shapes(y.shape, shape) != tuple(shape):
        raise ValueError(f"{y.shape} does not stretch to {shape}, or that is empty")
    x = jnp.zeros(shape, values.dtype).at[rows, cols].add(values)
    return x * y, (values, rows, cols, x, y)


def _values_bar(residuals: Any, y_bar: Array) -> Array:
    values, rows, cols, _, y = residuals
    picked = (y_bar * y).at[rows, cols].get(mode="fill", fill_value=0)
    return picked.astype(values.dtype)


def sparse_scale_full_bwd(
    residuals: Any, y_bar: Array, *, shape: tuple[int, int] = (3, 4)
) -> tuple[Array | None, ...]:
    """The cotangent of y is the whole product."""
    *_, x, y = residuals
    return _values_bar(residuals, y_bar), None, None, (x * y_bar).astype(y.dtype)


def sparse_scale_bwd(
    residuals: Any, y_bar: Array, *, shape: tuple[int, int] = (3, 4)
) -> tuple[Array | None, ...]:
    """The cotangent of y is the product, summed over the axes that were stretched."""
    *_, x, y = residuals
    total = _sum_to(x * y_bar, y.shape).astype(y.dtype)
    return _values_bar(residuals, y_bar), None, None, total


LAYERS = (
    Layer(
        name="scale",
        bug="B092",
        wrong=(scale_fwd, scale_axes_bwd),
        right=(scale_fwd, scale_bwd),
        example=rows_and_weights,
        diagnosis="sum missing",
        why="only for an operand without axes",
    ),
    Layer(
        name="sparse_scale",
        bug="B103",
        wrong=(sparse_scale_fwd, sparse_scale_full_bwd),
        right=(sparse_scale_fwd, sparse_scale_bwd),
        example=sparse_and_number,
        diagnosis="sum missing",
    ),
)
