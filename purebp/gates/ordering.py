"""Gates that put entries in order: the upstream gradient goes back to where each entry was.

Where the largest one is (argmax) does not change by a little: no gradient goes back.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from purebp.errors import ArgumentError, OptionError, ShapeError, in_words
from purebp.gate import Gate
from purebp.gates.indexing import put_along_axis
from purebp.residuals import Spec


def sort_definition(xs: Any, *, axis: int = -1, num_keys: int = 1) -> Any:
    """y = x in rising order along an axis; or several arrays, in the order of the first ones.

    Maths: y_i = x_p(i) with a permutation p of each line; x_bar_p(i) = y_bar_i. Each array of a
        tuple is permuted by the same p.
    Shapes: xs is an array or a tuple of arrays of one shape, of which the first `num_keys` are
        compared, one after the other; y is like xs.
    Residuals: xs; the permutation is found again by sorting numbers along.
    Kinks: equal entries keep their order (the sort is stable). nan is the largest number.
    Raises: ArgumentError if xs is no array and no tuple of arrays, ShapeError if their shapes
        differ, OptionError if they have no such axis or too few keys.
    Source: a permutation is transposed by its inverse.

    Example:
        >>> y, res = sort.fwd((jnp.array([3.0, 1.0, 2.0]),))
        >>> print(*sort.bwd(res, y))
        (Array([3., 1., 2.], dtype=float32),)
    """
    first = xs[0] if isinstance(xs, tuple) else xs
    return lax.sort(xs, dimension=axis % first.ndim, is_stable=True, num_keys=num_keys)


def sort_xs_bar(y_bar: Any, xs: Any, axis: int, num_keys: int) -> Any:
    arrays, bars = (v if isinstance(v, tuple) else (v,) for v in (xs, y_bar))
    keys = tuple(map(lax.stop_gradient, arrays[:num_keys]))
    at, size = axis % keys[0].ndim, keys[0].shape[axis]
    numbers = lax.broadcasted_iota(np.int32, keys[0].shape, at)
    *_, order = lax.sort((*keys, numbers), dimension=at, is_stable=True, num_keys=num_keys)
    back = tuple(
        put_along_axis(bar, order, size, at, once=True)
        if jnp.issubdtype(x.dtype, jnp.inexact)
        else None
        for x, bar in zip(arrays, bars, strict=True)
    )
    return back if isinstance(xs, tuple) else back[0]


def check_sort(xs: Any, *, axis: int, num_keys: int) -> None:
    """Raise unless the arrays have one shape."""
    arrays = xs if isinstance(xs, tuple) else (xs,)
    if not arrays or any(not hasattr(x, "dtype") for x in arrays):
        raise ArgumentError(f"sort: xs is {in_words(xs)}, expected an array or a tuple of arrays")
    shape = arrays[0].shape
    for index, x in enumerate(arrays):
        if x.shape != shape:
            raise ShapeError(f"sort: xs[{index}] has shape {x.shape}, expected {shape} as xs[0]")
    if not -len(shape) <= axis < len(shape):
        raise OptionError(f"sort: axis is {axis}, expected an axis of an array of shape {shape}")
    if not 1 <= num_keys <= len(arrays):
        raise OptionError(f"sort: num_keys is {num_keys}, expected 1 to {len(arrays)}")


def example_of_keys_and_values(rng: np.random.Generator) -> tuple[Any, ...]:
    return ((rng.integers(0, 3, (2, 5)).astype(np.float32), rng.normal(size=(2, 5))),)


sort = Gate(
    sort_definition,
    sort_xs_bar,
    primitive="sort",
    options={"axis": (-1, 0), "num_keys": (1, 2)},
    example=example_of_keys_and_values,
    kinks="equal entries keep their order",
    takes_tuple=True,
    check=check_sort,
)


def top_k_definition(
    x: Float[Array, "*s"], *, k: int = 1, axis: int = -1
) -> tuple[Float[Array, "..."], Integer[Array, "..."]]:
    """y = the k largest entries of x along an axis, in falling order, and their indices.

    Maths: x_bar = y_bar at those indices, 0 elsewhere.
    Shapes: y and the indices have k entries along the axis.
    Residuals: the indices.
    Kinks: of equal entries the first ones are chosen. nan is the largest number.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis or fewer than k
        entries there, DtypeError for integers.
    Source: a selection, as in mixture-of-experts routing (Shazeer et al. 2017).

    Example:
        >>> (y, indices), res = top_k.fwd(jnp.array([1.0, -0.5, 2.0, 0.5]), k=2)
        >>> print(indices, *top_k.bwd(res, jnp.ones(2)))
        [2 0] [1. 0. 1. 0.]
    """
    y, indices = lax.top_k(jnp.moveaxis(x, axis, -1), k)
    return jnp.moveaxis(y, -1, axis), jnp.moveaxis(indices, -1, axis)


def top_k_x_bar(y_bar: Array, aux: Array, x_spec: Spec, axis: int) -> Array:
    at = axis % len(x_spec.shape)
    return put_along_axis(y_bar, aux, x_spec.shape[at], at, once=True)


def check_top_k(x: Array, *, k: int, axis: int) -> None:
    """Raise if there are fewer than k entries."""
    if x.ndim == 0:
        raise ShapeError("top_k: x has shape (), expected at least one axis")
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"top_k: axis is {axis}, expected an axis of x of shape {x.shape}")
    if not 0 <= k <= x.shape[axis]:
        raise OptionError(f"top_k: k is {k}, expected 0 to {x.shape[axis]}")


top_k = Gate(
    top_k_definition,
    top_k_x_bar,
    primitive="top_k",
    options={"k": (1, 2), "axis": (-1, 0)},
    sizes={"s": ((2, 4), (5,), (3, 2, 2))},
    has_aux=True,
    kinks="of equal entries the first ones are chosen",
    check=check_top_k,
)


def argmax_definition(
    x: Float[Array, "*s"], *, axis: int | None = None, keepdims: bool = False
) -> Integer[Array, "..."]:
    """y = the index of the largest entry along an axis, or in x.ravel() if there is none.

    Maths: y is an integer: it has no cotangent, and so has x (None).
    Shapes: y lacks the axis, or all of them (size 1 with `keepdims`).
    Residuals: none.
    Kinks: of equal entries the first one counts. nan is the largest number.
    Raises: OptionError if x has no such axis, ShapeError if there is nothing to choose from,
        DtypeError for integers.
    Source: derivative of a constant.

    Example:
        >>> y, res = argmax.fwd(jnp.array([1.0, -0.5, 2.0, 0.5, -1.5]))
        >>> print(*argmax.bwd(res, 1.0))
        None
    """
    return jnp.argmax(x, axis=axis, keepdims=keepdims)


def argmin_definition(
    x: Float[Array, "*s"], *, axis: int | None = None, keepdims: bool = False
) -> Integer[Array, "..."]:
    """y = the index of the smallest entry along an axis, or in x.ravel() if there is none.

    Maths: y is an integer: it has no cotangent, and so has x (None).
    Shapes: y lacks the axis, or all of them (size 1 with `keepdims`).
    Residuals: none.
    Kinks: of equal entries the first one counts. nan is the smallest number.
    Raises: OptionError if x has no such axis, ShapeError if there is nothing to choose from,
        DtypeError for integers.
    Source: derivative of a constant.

    Example:
        >>> y, res = argmin.fwd(jnp.array([1.0, -0.5, 2.0, 0.5, -1.5]))
        >>> print(*argmin.bwd(res, 1.0))
        None
    """
    return jnp.argmin(x, axis=axis, keepdims=keepdims)


def no_x_bar(y_bar: Any) -> None:
    return None


def check_choice(op: str, x: Array, *, axis: Any, keepdims: bool) -> None:
    """Raise unless the axis is there and has an entry to choose."""
    if axis is not None and (not isinstance(axis, int) or not -x.ndim <= axis < x.ndim):
        raise OptionError(f"{op}: axis is {axis!r}, expected None or an axis of shape {x.shape}")
    if (x.size if axis is None else x.shape[axis]) == 0:
        where = "" if axis is None else f" along axis {axis}"
        raise ShapeError(f"{op}: x has shape {x.shape}, expected at least one entry{where}")


argmax = Gate(
    argmax_definition,
    no_x_bar,
    primitive="argmax",
    options={"axis": (None, -1, 0), "keepdims": (False, True)},
    sizes={"s": ((2, 4), (5,), (3, 2, 2))},
    kinks="of equal entries the first one counts",
    check=partial(check_choice, "argmax"),
)
argmin = Gate(
    argmin_definition,
    no_x_bar,
    primitive="argmin",
    options={"axis": (None, -1, 0), "keepdims": (False, True)},
    sizes={"s": ((2, 4), (5,), (3, 2, 2))},
    kinks="of equal entries the first one counts",
    check=partial(check_choice, "argmin"),
)

OPS = (sort, top_k, argmax, argmin)
