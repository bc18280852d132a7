"""Gathering, scattering, joining."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reference.wrong_gradients.layer import Layer

Array = Any
WIDTH = 3


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def rows_and_starts(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four rows of seven numbers, a start in each."""
    return _normal(rng, 4, 7), np.array([0, 2, 1, 4], np.int32)


def rows_and_index(rng: np.random.Generator) -> tuple[Any, ...]:
    """Five rows, what is added to them, and to which."""
    return _normal(rng, 5, 3), _normal(rng, 5, 3), np.arange(5, dtype=np.int32)


def three_parts(rng: np.random.Generator) -> tuple[Any, ...]:
    """Rows to be joined."""
    return _normal(rng, 2, 3), _normal(rng, 4, 3), _normal(rng, 5, 3)


# -------------------------------------------------- a slice of each row


def row_slices(x: Array, start: Array) -> Array:
    """x[n, s : s + WIDTH] for s = start[n], moved into the row where it does not fit."""
    if x.ndim != 2 or start.shape != x.shape[:1] or x.shape[1] < WIDTH:
        raise ValueError(f"expected (n, at least {WIDTH}) and (n), got {x.shape}, {start.shape}")
    first = jnp.clip(start, 0, x.shape[1] - WIDTH)
    return jnp.take_along_axis(x, first[:, None] + jnp.arange(WIDTH), axis=1)


def _row_slices_fwd(x: Array, start: Array) -> tuple[Array, Any]:
    return row_slices(x, start), (x, start)


def _add_to_rows(x: Array, start: Array, y_bar: Array) -> Array:
    rows, places = jnp.arange(len(x))[:, None], start[:, None] + jnp.arange(WIDTH)
    return jnp.zeros_like(x).at[rows, places].add(y_bar)


def _row_slices_start_bwd(residuals: Any, y_bar: Array) -> tuple[Array, None]:
    """To where the slices were asked to start; what lies outside is dropped."""
    x, start = residuals
    return _add_to_rows(x, start, y_bar), None


def _row_slices_bwd(residuals: Any, y_bar: Array) -> tuple[Array, None]:
    """To where the slices were taken."""
    x, start = residuals
    return _add_to_rows(x, jnp.clip(start, 0, x.shape[1] - WIDTH), y_bar), None


row_slices_at_start = jax.custom_vjp(row_slices)
row_slices_at_start.defvjp(_row_slices_fwd, _row_slices_start_bwd)
row_slices_clipped = jax.custom_vjp(row_slices)
row_slices_clipped.defvjp(_row_slices_fwd, _row_slices_bwd)


# -------------------------------------------------- adding to rows


def select_assign_fwd(x: Array, v: Array, index: Array) -> tuple[Array, Any]:
    """x, with v[i] added to row index[i]."""
    if not x.ndim or not len(x) or x.shape[1:] != v.shape[1:] or index.shape != v.shape[:1]:
        raise ValueError(f"cannot add {v.shape} to rows {index.shape} of {x.shape}")
    return x.at[index].add(v), (x, v, index)


def select_assign_scatter_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array, None]:
    """Both are y_bar scattered to the rows of the index."""
    x, v, index = residuals
    rows = y_bar[: len(index)]
    x_bar = jnp.zeros(x.shape, y_bar.dtype).at[index].add(rows)
    v_bar = jnp.zeros(v.shape, y_bar.dtype).at[index].add(rows)
    return x_bar.astype(x.dtype), v_bar.astype(v.dtype), None


def select_assign_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array, None]:
    """x_bar = y_bar, v_bar = y_bar[index]; nothing for an index outside."""
    x, v, index = residuals
    v_bar = y_bar.at[index].get(mode="fill", fill_value=0)
    return y_bar.astype(x.dtype), v_bar.astype(v.dtype), None


# -------------------------------------------------- joining


def concat_fwd(a: Array, b: Array, c: Array) -> tuple[Array, Any]:
    """The rows of a, b and c."""
    return jnp.concatenate([a, b, c]), (a, b, c)


def concat_one_bwd(residuals: Any, y_bar: Array) -> tuple[Array, ...]:
    """Part i gets entry i."""
    return tuple(y_bar[i : i + 1].astype(part.dtype) for i, part in enumerate(residuals))


def concat_bwd(residuals: Any, y_bar: Array) -> tuple[Array, ...]:
    """Each part gets as many rows as it has, after those of the parts before it."""
    ends = np.cumsum([len(part) for part in residuals])
    return tuple(
        y_bar[end - len(part) : end].astype(part.dtype)
        for part, end in zip(residuals, ends, strict=True)
    )


LEFT_OUT = {
    "B037": "a miscompiled gather on TPUs: the formula is right, and so is every other backend",
}

LAYERS = (
    Layer(
        name="row_slices",
        bug="B022",
        wrong=row_slices_at_start,
        right=row_slices_clipped,
        example=rows_and_starts,
        diagnosis="subdomain",
        why="the batched slice written out; wrong for a start at which the slice does not fit",
    ),
    Layer(
        name="select_assign",
        bug="B097",
        wrong=(select_assign_fwd, select_assign_scatter_bwd),
        right=(select_assign_fwd, select_assign_bwd),
        example=rows_and_index,
        diagnosis="transposed",
        why="right only where the index names every row in its place",
    ),
    Layer(
        name="concat",
        bug="B100",
        wrong=(concat_fwd, concat_one_bwd),
        right=(concat_fwd, concat_bwd),
        example=three_parts,
        diagnosis="shape",
        why="right for parts of one row",
    ),
)
