"""Reductions, products of matrices, convolutions and windows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from purebp.verification.digits.values import (
    INF,
    MP,
    Exact,
    UnsupportedError,
    exact,
    filled,
    is_exact,
)

LARGEST = 4096
"""Entries of a matrix that says which inputs a window sees."""


def _sum(x: Exact, axis: Any) -> Any:
    return np.sum(x, axis=axis, initial=MP.mpf(0))


def _product(x: Exact, axis: Any) -> Any:
    return np.prod(x, axis=axis, initial=MP.mpf(1))


def _larger(x: Any, y: Any) -> Any:
    return x if MP.isnan(x) or x >= y else y


def _smaller(x: Any, y: Any) -> Any:
    return x if MP.isnan(x) or x <= y else y


LARGER, SMALLER = np.frompyfunc(_larger, 2, 1), np.frompyfunc(_smaller, 2, 1)


def _maximum(x: Exact, axis: Any) -> Any:
    return _folded(LARGER, x, axis, -INF)


def _minimum(x: Exact, axis: Any) -> Any:
    return _folded(SMALLER, x, axis, INF)


def _folded(ufunc: Any, x: Exact, axis: Any, first: Any) -> Any:
    """A ufunc of Python numbers reduces one axis at a time."""
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis)
    for one in sorted((int(a) % x.ndim for a in axes), reverse=True):
        x = np.asarray(ufunc.reduce(x, axis=one, initial=first), object)
    return x


REDUCTIONS: dict[str, Callable[[Exact, Any], Any]] = {
    "reduce_sum": _sum,
    "reduce_prod": _product,
    "reduce_max": _maximum,
    "reduce_min": _minimum,
}
RUNNING: dict[str, Any] = {
    "cumsum": np.add,
    "cumprod": np.multiply,
    "cummax": LARGER,
    "cummin": SMALLER,
}


def apply(name: str, primitive: Any, params: dict[str, Any], arrays: list[Any]) -> Any | None:
    """The primitive of a name; None if it is not one of these."""
    if name in REDUCTIONS:
        return np.asarray(REDUCTIONS[name](arrays[0], tuple(params["axes"])), object)
    if name in RUNNING:
        return _running(RUNNING[name], arrays[0], params["axis"], reverse=params["reverse"])
    if name == "cumlogsumexp":
        sums = _running(np.add, _each(MP.exp, arrays[0]), params["axis"], reverse=params["reverse"])
        return _each(MP.log, sums)
    if name in ("argmax", "argmin"):
        sign, axis = (1 if name == "argmax" else -1), params["axes"][0]
        keys = _each(lambda x: INF if MP.isnan(x) else sign * x, arrays[0])
        nans = _each(MP.isnan, arrays[0]).astype(bool)
        place = np.where(nans.any(axis), nans.argmax(axis), np.argmax(keys, axis))
        return place.astype(params["index_dtype"])
    if name == "dot_general":
        left, right = map(_as_exact, arrays)
        return _dot(left, right, params["dimension_numbers"])
    if name == "conv_general_dilated":
        left, right = map(_as_exact, arrays)
        return _convolution(primitive, params, left, right)
    if name in ("reduce_window_sum", "reduce_window_max", "reduce_window_min"):
        return _windows(name, params, arrays[0])
    if name in ("scatter_add", "scatter-add"):
        return _scatter_add(primitive, params, *arrays)
    return None


def _each(function: Callable[[Any], Any], x: Exact) -> Exact:
    return filled(x.shape, [function(number) for number in x.ravel()])


def _as_exact(x: Any) -> Exact:
    return x if is_exact(x) else exact(x)


def _running(ufunc: Any, x: Exact, axis: int, *, reverse: bool) -> Exact:
    if reverse:
        return np.flip(ufunc.accumulate(np.flip(x, axis), axis=axis), axis)
    return ufunc.accumulate(x, axis=axis)


def _dot(x: Exact, y: Exact, numbers: Any) -> Exact:
    """The product over the contracted axes; batch axes first, then those of x, then those of y."""
    (x_sum, y_sum), (x_batch, y_batch) = numbers
    x_free = [axis for axis in range(x.ndim) if axis not in (*x_sum, *x_batch)]
    y_free = [axis for axis in range(y.ndim) if axis not in (*y_sum, *y_batch)]
    batch = [x.shape[axis] for axis in x_batch]
    rows, columns = [x.shape[axis] for axis in x_free], [y.shape[axis] for axis in y_free]
    inner = int(np.prod([x.shape[axis] for axis in x_sum], dtype=int))
    many = int(np.prod(batch, dtype=int))
    left = x.transpose([*x_batch, *x_free, *x_sum])
    right = y.transpose([*y_batch, *y_sum, *y_free])
    left = left.reshape(many, int(np.prod(rows, dtype=int)), inner)
    right = right.reshape(many, inner, int(np.prod(columns, dtype=int)))
    products = left[:, :, :, None] * right[:, None, :, :]
    return np.asarray(_sum(products, 2), object).reshape((*batch, *rows, *columns))


def _members(function: Callable[[Any], Any], size: int, shape: tuple[int, ...]) -> np.ndarray:
    """Which outputs of a linear function see each of `size` inputs: a matrix of counts."""
    if size > LARGEST:
        raise UnsupportedError(f"an operand of {size} entries")
    columns = jax.vmap(function)(jnp.eye(size, dtype=jnp.float64).reshape(size, *shape))
    return np.asarray(columns, np.float64)


def _convolution(primitive: Any, params: dict[str, Any], x: Exact, w: Exact) -> Exact:
    """Each output adds up, for each weight, the weight times the one input that it meets."""
    ids = np.arange(1, x.size + 1, dtype=np.float64).reshape(x.shape)
    plain = {**params, "preferred_element_type": None, "precision": lax.Precision.HIGHEST}
    met = _members(lambda one: primitive.bind(jnp.asarray(ids), one, **plain), w.size, w.shape)
    padded = np.concatenate([filled((1,), [MP.mpf(0)]), x.ravel()])
    inputs = padded[np.rint(met).astype(int)]
    weights = w.ravel().reshape(-1, *[1] * (met.ndim - 1))
    return np.asarray(_sum(inputs * weights, 0), object)


def _windows(name: str, params: dict[str, Any], x: Exact) -> Exact:
    def of_ones(one: Any) -> Any:
        sizes = ("window_dimensions", "window_strides", "padding")
        dilations = {key: params[key] for key in ("base_dilation", "window_dilation")}
        return lax.reduce_window(one, 0.0, lax.add, *(params[key] for key in sizes), **dilations)

    seen = _members(of_ones, x.size, x.shape) > 0
    entries = x.ravel()
    outside = {"reduce_window_sum": MP.mpf(0), "reduce_window_max": -INF}.get(name, INF)
    reduction = {"reduce_window_sum": _sum, "reduce_window_max": _maximum}.get(name, _minimum)
    inputs = np.where(seen, entries.reshape(-1, *[1] * (seen.ndim - 1)), outside)
    return np.asarray(reduction(inputs, 0), object)


def _scatter_add(primitive: Any, params: dict[str, Any], x: Any, places: Any, new: Any) -> Exact:
    kept = ("indices_are_sorted", "unique_indices", "mode")
    options = {key: params[key] for key in kept}

    def of_updates(one: Any) -> Any:
        start = jnp.zeros(x.shape, one.dtype)
        numbers = params["dimension_numbers"]
        return lax.scatter_add(start, jnp.asarray(places), one, numbers, **options)

    counts = _members(of_updates, new.size, new.shape)
    added = _as_exact(new).ravel().reshape(-1, *[1] * x.ndim)
    return np.asarray(_as_exact(x) + _sum(np.where(counts > 0, added, MP.mpf(0)), 0), object)
