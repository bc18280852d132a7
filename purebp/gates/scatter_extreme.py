"""Scatters that multiply, and that keep the smallest or the largest."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from purebp.gate import Gate
from purebp.gates.dimensions import of_rows
from purebp.gates.indexing import no_cotangent
from purebp.gates.scattering import Numbers, places, read_at, rules
from purebp.numerics import widen


def _candidates(x: Array, place: Array, updates: Array, other: float) -> Array:
    """One row for x, and one for each entry of the updates: it at its place, `other` elsewhere."""
    hits = place.reshape(-1, 1) == jnp.arange(x.size)
    rows = jnp.where(hits, updates.astype(x.dtype).reshape(-1, 1), other)
    return jnp.concatenate([x.reshape(1, -1), rows])


def scatter_mul_definition(
    x: Float[Array, "*s"],
    indices: Integer[Array, "*batch k"],
    updates: Float[Array, "*u"],
    *,
    dimension_numbers: Numbers = None,
    mode: Any = "drop",
    unique_indices: bool = False,
) -> Float[Array, "*s"]:
    """y = x times the updates at their places; by default rows, x.at[indices[..., 0]].multiply.

    Maths: x_bar = y_bar times the product of the updates there; updates_bar_k = y_bar_p(k)
        x_p(k) times the product of the other updates there: those before and those after it, in
        the order of the places. Nothing is divided, so zeros are as good as others. (JAX has
        this gradient for unique indices only.)
    Shapes: those of scatter.
    Residuals: x, the indices and the updates.
    Kinks: none.
    Raises: ShapeError for what `lax.scatter_mul` refuses, DtypeError for integers.
    Source: product rule.

    Example:
        >>> x, indices = jnp.array([1.0, 2.0, 3.0]), jnp.array([[2], [0]])
        >>> y, res = scatter_mul.fwd(x, indices, jnp.array([4.0, 5.0]))
        >>> print(*scatter_mul.bwd(res, y))
        [25.  2. 48.] None [36.  5.]
    """
    place = places(x.shape, indices, updates.shape, dimension_numbers, mode)
    return jnp.prod(_candidates(x, place, updates, 1), axis=0).reshape(x.shape)


def scatter_mul_forward(
    x: Array,
    indices: Array,
    updates: Array,
    *,
    dimension_numbers: Numbers,
    mode: Any,
    unique_indices: bool,
) -> Array:
    place = places(x.shape, indices, updates.shape, dimension_numbers, mode)
    return (widen(x) * _products(widen(updates), place, x.shape)[0]).astype(x.dtype)


def _products(updates: Array, place: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """The product of the updates at each place; and for each update that of the other ones."""
    size = math.prod(shape)
    order = jnp.argsort(place.ravel(), stable=True)
    ordered, factors = place.ravel()[order], updates.ravel()[order]
    first = ordered != jnp.concatenate([ordered[:1] - 1, ordered[:-1]])
    last = ordered != jnp.concatenate([ordered[1:], ordered[-1:] - 1])
    before = _running_product(factors, first)
    after = _running_product(factors[::-1], last[::-1])[::-1]
    one = jnp.ones_like(factors[:1])
    others = jnp.where(first, 1, jnp.concatenate([one, before[:-1]]))
    others = others * jnp.where(last, 1, jnp.concatenate([after[1:], one]))
    ends = jnp.where(last & (ordered >= 0), ordered, size)
    total = jnp.ones(size, updates.dtype).at[ends].set(before, mode="drop")
    back = jnp.zeros_like(others).at[order].set(others, unique_indices=True)
    return total.reshape(shape), back.reshape(updates.shape)


def _running_product(factors: Array, starts: Array) -> Array:
    """The product of all factors since the last start."""
    return lax.associative_scan(_join, (starts, factors))[1]


def _join(left: tuple[Array, Array], right: tuple[Array, Array]) -> tuple[Array, Array]:
    return left[0] | right[0], jnp.where(right[0], right[1], left[1] * right[1])


def scatter_mul_x_bar(
    y_bar: Array, indices: Array, updates: Array, dimension_numbers: Numbers, mode: Any
) -> Array:
    place = places(y_bar.shape, indices, updates.shape, dimension_numbers, mode)
    return widen(y_bar) * _products(widen(updates), place, y_bar.shape)[0]


def scatter_mul_updates_bar(
    y_bar: Array, x: Array, indices: Array, updates: Array, dimension_numbers: Numbers, mode: Any
) -> Array:
    where = (indices, updates.shape, dimension_numbers, mode)
    others = _products(widen(updates), places(x.shape, *where), x.shape)[1]
    return read_at(widen(y_bar) * widen(x), *where, 0) * others


def example_of_numbers(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=3), np.array([[1], [2], [1], [3]], np.int32), rng.normal(size=4)


scatter_mul = Gate(
    scatter_mul_definition,
    scatter_mul_x_bar,
    no_cotangent,
    scatter_mul_updates_bar,
    forward=scatter_mul_forward,
    primitive="scatter-mul",
    **(rules("scatter_mul") | {"example": example_of_numbers, "options": {}}),
)


def scatter_max_definition(
    x: Float[Array, "*s"],
    indices: Integer[Array, "*batch k"],
    updates: Float[Array, "*u"],
    *,
    dimension_numbers: Numbers = None,
    mode: Any = "drop",
    unique_indices: bool = False,
) -> Float[Array, "*s"]:
    """y = the larger of x and the updates at their places; by default rows, x.at[...].max.

    Maths: y_bar goes to what y is equal to, x or updates, in equal shares.
    Shapes: those of scatter.
    Residuals: x, the indices, the updates and y.
    Kinks: ties share equally, as in JAX.
    Raises: ShapeError for what `lax.scatter_max` refuses, DtypeError for integers.
    Source: the max gate, with more inputs.

    Example:
        >>> x, indices = jnp.array([1.0, 2.0, 3.0]), jnp.array([[2], [0]])
        >>> y, res = scatter_max.fwd(x, indices, jnp.array([4.0, 5.0]))
        >>> print(*scatter_max.bwd(res, y))
        [0. 2. 0.] None [4. 5.]
    """
    place = places(x.shape, indices, updates.shape, dimension_numbers, mode)
    return jnp.max(_candidates(x, place, updates, -jnp.inf), axis=0).reshape(x.shape)


def scatter_max_forward(
    x: Array, indices: Array, updates: Array, *, dimension_numbers: Numbers, **options: Any
) -> Array:
    numbers = of_rows(x.shape, indices.ndim, dimension_numbers)
    return lax.scatter_max(x, indices, updates.astype(x.dtype), numbers, **options)


def scatter_min_definition(
    x: Float[Array, "*s"],
    indices: Integer[Array, "*batch k"],
    updates: Float[Array, "*u"],
    *,
    dimension_numbers: Numbers = None,
    mode: Any = "drop",
    unique_indices: bool = False,
) -> Float[Array, "*s"]:
    """y = the smaller of x and the updates at their places; by default rows, x.at[...].min.

    Maths: y_bar goes to what y is equal to, x or updates, in equal shares.
    Shapes: those of scatter.
    Residuals: x, the indices, the updates and y.
    Kinks: ties share equally, as in JAX.
    Raises: ShapeError for what `lax.scatter_min` refuses, DtypeError for integers.
    Source: the min gate, with more inputs.

    Example:
        >>> x, indices = jnp.array([1.0, 2.0, 3.0]), jnp.array([[2], [0]])
        >>> y, res = scatter_min.fwd(x, indices, jnp.array([4.0, 5.0]))
        >>> print(*scatter_min.bwd(res, y))
        [1. 2. 3.] None [0. 0.]
    """
    place = places(x.shape, indices, updates.shape, dimension_numbers, mode)
    return jnp.min(_candidates(x, place, updates, jnp.inf), axis=0).reshape(x.shape)


def scatter_min_forward(
    x: Array, indices: Array, updates: Array, *, dimension_numbers: Numbers, **options: Any
) -> Array:
    numbers = of_rows(x.shape, indices.ndim, dimension_numbers)
    return lax.scatter_min(x, indices, updates.astype(x.dtype), numbers, **options)


def _share(
    y_bar: Array, x: Array, indices: Array, updates: Array, y: Array, numbers: Numbers, mode: Any
) -> tuple[Array, Array]:
    """What each winner at a place receives; and which updates are winners."""
    here = (indices, updates.shape, numbers, mode)
    kept = places(x.shape, *here) >= 0
    won = kept & (read_at(y, *here, 0) == updates.astype(y.dtype))
    wide = widen(y_bar)
    number = of_rows(x.shape, indices.ndim, numbers)
    count = (x == y).astype(wide.dtype)
    count = lax.scatter_add(count, indices, won.astype(wide.dtype), number, mode=mode)
    return wide / jnp.maximum(count, 1), won


def scatter_extreme_x_bar(
    y_bar: Array,
    x: Array,
    indices: Array,
    updates: Array,
    y: Array,
    dimension_numbers: Numbers,
    mode: Any,
) -> Array:
    share, _ = _share(y_bar, x, indices, updates, y, dimension_numbers, mode)
    return jnp.where(x == y, share, jnp.zeros_like(share))


def scatter_extreme_updates_bar(
    y_bar: Array,
    x: Array,
    indices: Array,
    updates: Array,
    y: Array,
    dimension_numbers: Numbers,
    mode: Any,
) -> Array:
    share, won = _share(y_bar, x, indices, updates, y, dimension_numbers, mode)
    read = read_at(share, indices, updates.shape, dimension_numbers, mode, 0)
    return jnp.where(won, read, jnp.zeros_like(read))


scatter_max = Gate(
    scatter_max_definition,
    scatter_extreme_x_bar,
    no_cotangent,
    scatter_extreme_updates_bar,
    forward=scatter_max_forward,
    primitive="scatter-max",
    kinks="ties share equally",
    **rules("scatter_max"),
)
scatter_min = Gate(
    scatter_min_definition,
    scatter_extreme_x_bar,
    no_cotangent,
    scatter_extreme_updates_bar,
    forward=scatter_min_forward,
    primitive="scatter-min",
    kinks="ties share equally",
    **(rules("scatter_min") | {"options": {}}),
)

OPS = (scatter_mul, scatter_max, scatter_min)
