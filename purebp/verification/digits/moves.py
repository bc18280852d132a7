"""Primitives that only move entries: the primitive itself is run on the entries' numbers."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from purebp.verification.digits.values import MP, NAN, filled, is_exact

MOVES = {
    *("reshape", "transpose", "squeeze", "expand_dims", "broadcast_in_dim", "rev", "slice"),
    *("gather", "dynamic_slice", "dynamic_update_slice", "concatenate", "pad", "tile", "split"),
    *("scatter", "unstack", "stack", "broadcast", "real", "copy"),
}


def apply(name: str, primitive: Any, params: dict[str, Any], arrays: list[Any]) -> Any | None:
    """The primitive of a name; None if it is not one of these."""
    if name not in MOVES:
        return None
    numbered, entries = list[Any](), list[Any]()
    for array in arrays:
        if not is_exact(array):
            numbered.append(jnp.asarray(array))
            continue
        first = len(entries)
        ids = np.arange(first, first + array.size, dtype=np.int32).reshape(array.shape)
        numbered.append(jnp.asarray(ids))
        entries += list(array.ravel())
    if name == "gather" and entries:
        fill = params["fill_value"]
        params = {**params, "fill_value": len(entries)}
        entries.append(NAN if fill is None else MP.mpf(float(fill)))
    out = primitive.bind(*numbered, **params)
    if primitive.multiple_results:
        return [_entries_at(ids, entries) for ids in out]
    return _entries_at(out, entries)


def _entries_at(ids: Any, entries: list[Any]) -> Any:
    """The entries with these numbers; nan for the numbers of none."""
    ids = np.asarray(ids)
    known = [entries[k] if 0 <= k < len(entries) else NAN for k in ids.ravel().tolist()]
    return filled(ids.shape, known)


def sort(params: dict[str, Any], arrays: list[Any]) -> list[Any]:
    """Several arrays in the order of the first `num_keys` of them."""
    axis = params["dimension"]
    order: Any = None
    for key in reversed(arrays[: params["num_keys"]]):
        current = key if order is None else np.take_along_axis(key, order, axis)
        step = _order(current, axis)
        order = step if order is None else np.take_along_axis(order, step, axis)
    return [np.take_along_axis(array, order, axis) for array in arrays]


def _order(x: Any, axis: int) -> Any:
    """A stable order with nan last."""
    if not is_exact(x):
        return np.argsort(x, axis=axis, kind="stable")
    missing = np.asarray([bool(MP.isnan(n)) for n in x.ravel()], bool).reshape(x.shape)
    order = np.argsort(np.where(missing, MP.inf, x), axis=axis, kind="stable")
    last = np.argsort(np.take_along_axis(missing, order, axis), axis=axis, kind="stable")
    return np.take_along_axis(order, last, axis)


def top_k(params: dict[str, Any], x: Any) -> list[Any]:
    """The k largest entries of an axis, the first ones in a tie, and their places."""
    axis = params.get("axis", -1)
    order = np.take(_order(-x, axis), range(params["k"]), axis=axis)
    return [np.take_along_axis(x, order, axis), order.astype(np.int32)]


def from_integers(x: Any) -> Any:
    """Integers and booleans as mpmath numbers."""
    return filled(np.shape(x), [MP.mpf(int(n)) for n in np.asarray(x).ravel()])
