"""Gates that write entries at indices: the upstream gradient is read there.

With p(k) the place of x that entry k of the updates goes to. Where the window of an update is not
inside x it is dropped; with mode "clip" it is moved inside. Negative indices are outside.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from purebp.errors import PurebpError, ShapeError
from purebp.gate import Gate
from purebp.gates.dimensions import of_rows, reading
from purebp.gates.indexing import no_cotangent
from purebp.numerics import widen
from purebp.op import FIXED
from purebp.residuals import Spec

Numbers = lax.ScatterDimensionNumbers | None


def read_at(
    values: Array, indices: Array, updates: tuple[int, ...], numbers: Numbers, mode: Any, fill: int
) -> Array:
    """The values at the places of the updates; `fill` for the updates that are dropped."""
    whole = of_rows(values.shape, indices.ndim, numbers)
    gathers, sizes = reading(values.shape, updates, whole)
    return lax.gather(values, indices, gathers, sizes, mode=mode, fill_value=fill)


def places(
    shape: tuple[int, ...], indices: Array, updates: tuple[int, ...], numbers: Numbers, mode: Any
) -> Array:
    """p(k): for each entry of the updates the number of its place in x, -1 if it is dropped."""
    numbered = lax.iota(np.int32, int(np.prod(shape))).reshape(shape)
    return read_at(numbered, indices, updates, numbers, mode, -1)


def scatter_definition(
    x: Float[Array, "*s"],
    indices: Integer[Array, "*batch k"],
    updates: Float[Array, "*u"],
    *,
    dimension_numbers: Numbers = None,
    mode: Any = "drop",
    unique_indices: bool = False,
) -> Float[Array, "*s"]:
    """y = x with windows replaced by the updates; by default rows, x.at[indices[..., 0]].set.

    Maths: x_bar = y_bar, 0 where an update came; updates_bar_k = y_bar_p(k) if y_p(k) is update k,
        and 0 if another one came to the same place after it.
    Shapes: those of `lax.scatter`. By default x (n, ...), indices (..., 1), updates (..., *rest).
    Residuals: the indices; the shapes are static.
    Kinks: none. Of several updates for one place the last one stays on a CPU; JAX leaves it open.
        The backward pass finds it by scattering numbers in the same way.
    Raises: ShapeError for what `lax.scatter` refuses, DtypeError for integers.
    Source: the transpose of two selections.

    Example:
        >>> x, indices = jnp.array([1.0, 2.0, 3.0]), jnp.array([[2], [0]])
        >>> y, res = scatter.fwd(x, indices, jnp.array([4.0, 5.0]))
        >>> print(*scatter.bwd(res, y))
        [0. 2. 0.] None [4. 5.]
    """
    numbers = of_rows(x.shape, indices.ndim, dimension_numbers)
    return lax.scatter(
        x, indices, updates.astype(x.dtype), numbers, mode=mode, unique_indices=unique_indices
    )


def scatter_x_bar(
    y_bar: Array, indices: Array, updates_spec: Spec, dimension_numbers: Numbers, mode: Any
) -> Array:
    numbers = of_rows(y_bar.shape, indices.ndim, dimension_numbers)
    zeros = jnp.zeros(updates_spec.shape, y_bar.dtype)
    return lax.scatter(y_bar, indices, zeros, numbers, mode=mode)


def scatter_updates_bar(
    y_bar: Array,
    indices: Array,
    updates_spec: Spec,
    dimension_numbers: Numbers,
    mode: Any,
    unique_indices: bool,
) -> Array:
    where = (indices, updates_spec.shape, dimension_numbers, mode, 0)
    read = read_at(y_bar, *where)
    if unique_indices:
        return read
    number = 1 + lax.iota(np.int32, read.size).reshape(read.shape)
    numbers = of_rows(y_bar.shape, indices.ndim, dimension_numbers)
    last = lax.scatter(jnp.zeros(y_bar.shape, np.int32), indices, number, numbers, mode=mode)
    return jnp.where(read_at(last, *where) == number, read, jnp.zeros_like(read))


def check_scatter(op: str, x: Array, indices: Array, updates: Array, **options: Any) -> None:
    """Raise for what JAX refuses."""
    numbers = options["dimension_numbers"]
    if x.ndim == 0 and numbers is None:
        raise ShapeError(f"{op}: x has shape (), expected at least one axis")
    if numbers is None and (*indices.shape[:-1], 1, *x.shape[1:]) != (
        *indices.shape, *updates.shape[indices.ndim - 1 :]
    ):  # fmt: skip
        raise ShapeError(
            f"{op}: indices has shape {indices.shape} and updates {updates.shape}, expected "
            f"(..., 1) and (..., *{x.shape[1:]}), rows of x of shape {x.shape}; or pass "
            "dimension_numbers"
        )
    try:
        like = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (x, indices, updates)]
        jax.eval_shape(partial(scatter_definition, **options), *like)
    except PurebpError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise ShapeError(f"{op}: {error}") from error


def example_of_rows(rng: np.random.Generator) -> tuple[Any, ...]:
    indices = np.array([[1], [3], [1], [4]], np.int32)
    return rng.normal(size=(4, 2)), indices, rng.normal(size=(4, 2))


def rules(op: str) -> dict[str, Any]:
    """What the scatters have in common."""
    return {
        "options": {"mode": ("drop", "clip")},
        "domains": {"indices": FIXED},
        "example": example_of_rows,
        "check": partial(check_scatter, op),
    }


scatter = Gate(
    scatter_definition,
    scatter_x_bar,
    no_cotangent,
    scatter_updates_bar,
    primitive="scatter",
    **rules("scatter"),
)


def scatter_add_definition(
    x: Float[Array, "*s"],
    indices: Integer[Array, "*batch k"],
    updates: Float[Array, "*u"],
    *,
    dimension_numbers: Numbers = None,
    mode: Any = "drop",
    unique_indices: bool = False,
) -> Float[Array, "*s"]:
    """y = x plus the updates at their places; by default rows, x.at[indices[..., 0]].add.

    Maths: x_bar = y_bar; updates_bar_k = y_bar_p(k).
    Shapes: those of scatter.
    Residuals: the indices; the shapes are static.
    Kinks: none.
    Raises: ShapeError for what `lax.scatter_add` refuses, DtypeError for integers.
    Source: the transpose of gather.

    Example:
        >>> x, indices = jnp.array([1.0, 2.0, 3.0]), jnp.array([[2], [0]])
        >>> y, res = scatter_add.fwd(x, indices, jnp.array([4.0, 5.0]))
        >>> print(*scatter_add.bwd(res, y))
        [6. 2. 7.] None [7. 6.]
    """
    numbers = of_rows(x.shape, indices.ndim, dimension_numbers)
    return lax.scatter_add(
        x, indices, updates.astype(x.dtype), numbers, mode=mode, unique_indices=unique_indices
    )


def scatter_add_forward(x: Array, indices: Array, updates: Array, **options: Any) -> Array:
    return scatter_add_definition(widen(x), indices, updates, **options).astype(x.dtype)


def scatter_add_x_bar(y_bar: Array) -> Array:
    return y_bar


def scatter_add_updates_bar(
    y_bar: Array, indices: Array, updates_spec: Spec, dimension_numbers: Numbers, mode: Any
) -> Array:
    return read_at(y_bar, indices, updates_spec.shape, dimension_numbers, mode, 0)


scatter_add = Gate(
    scatter_add_definition,
    scatter_add_x_bar,
    no_cotangent,
    scatter_add_updates_bar,
    forward=scatter_add_forward,
    primitive="scatter-add",
    **rules("scatter_add"),
)


def scatter_sub_definition(
    x: Float[Array, "*s"],
    indices: Integer[Array, "*batch k"],
    updates: Float[Array, "*u"],
    *,
    dimension_numbers: Numbers = None,
    mode: Any = "drop",
    unique_indices: bool = False,
) -> Float[Array, "*s"]:
    """y = x minus the updates at their places; by default rows, x.at[...].subtract.

    Maths: x_bar = y_bar; updates_bar_k = -y_bar_p(k).
    Shapes: those of scatter.
    Residuals: the indices; the shapes are static.
    Kinks: none.
    Raises: ShapeError for what `lax.scatter_sub` refuses, DtypeError for integers.
    Source: the transpose of gather.

    Example:
        >>> x, indices = jnp.array([1.0, 2.0, 3.0]), jnp.array([[2], [0]])
        >>> y, res = scatter_sub.fwd(x, indices, jnp.array([4.0, 5.0]))
        >>> print(*scatter_sub.bwd(res, y))
        [-4.  2. -1.] None [1. 4.]
    """
    numbers = of_rows(x.shape, indices.ndim, dimension_numbers)
    return lax.scatter_sub(
        x, indices, updates.astype(x.dtype), numbers, mode=mode, unique_indices=unique_indices
    )


def scatter_sub_forward(x: Array, indices: Array, updates: Array, **options: Any) -> Array:
    return scatter_sub_definition(widen(x), indices, updates, **options).astype(x.dtype)


def scatter_sub_updates_bar(
    y_bar: Array, indices: Array, updates_spec: Spec, dimension_numbers: Numbers, mode: Any
) -> Array:
    return -scatter_add_updates_bar(y_bar, indices, updates_spec, dimension_numbers, mode)


scatter_sub = Gate(
    scatter_sub_definition,
    scatter_add_x_bar,
    no_cotangent,
    scatter_sub_updates_bar,
    forward=scatter_sub_forward,
    primitive="scatter-sub",
    **rules("scatter_sub"),
)

OPS = (scatter, scatter_add, scatter_sub)
