"""Gates that only move entries: where each entry of the output comes from.

Every function takes the arguments with their entries numbered, and answers with the number of the
entry that stands at each place of the output, -1 where none does. Both passes follow from it: the
forward pass reads the entry, the backward pass adds the gradient to it.
"""

import builtins
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.shapes import float64

Array = NDArray[Any]
Places = tuple[int, ...] | None


def leaves_of(tree: Any) -> list[Any]:
    """The arrays of a tuple of arrays and tuples of arrays; None for what has no gradient."""
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in leaves_of(part)]
    return [tree]


def like(tree: Any, leaves: list[Any]) -> Any:
    """These arrays (taken from the front of the list) in the form of a tree."""
    if isinstance(tree, tuple):
        return tuple(like(part, leaves) for part in tree)
    return leaves.pop(0)


def is_floating(x: Any) -> bool:
    """Whether it is an array of floating or complex numbers; the others keep their values."""
    return np.issubdtype(np.asarray(x).dtype, np.inexact)


def numbered(args: Any) -> Any:
    """The arguments with their floating entries numbered one after the other."""
    leaves, start = list[Any](), 0
    for x in leaves_of(args):
        size = np.size(x) if is_floating(x) else 0
        leaves.append(start + np.arange(size).reshape(np.shape(x)) if is_floating(x) else x)
        start += size
    return like(args, leaves)


def moved(sources: Callable[..., Any], args: Any, options: dict[str, Any]) -> Any:
    """The numbers that stand at each place of the output(s)."""
    if sources in BY_VALUE:
        return sources(args, *numbered(args), **options)
    return sources(*numbered(args), **options)


def forward(sources: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Read the entry at each place; 0 where none stands."""
    entries = [float64(x).ravel() for x in leaves_of(args) if is_floating(x)]
    values = np.append(np.concatenate(entries), FILL.get(sources, 0.0))
    found = moved(sources, args, options)
    return like(found, [values[numbers] for numbers in leaves_of(found)])


def backward(sources: Callable[..., Any], args: Any, y_bar: Any, **options: Any) -> Any:
    """Add the gradient at each place to the entry that stands there."""
    floating = [x for x in leaves_of(args) if is_floating(x)]
    dtype = np.result_type(float, *leaves_of(y_bar))
    total = np.zeros(sum(np.size(x) for x in floating), dtype)
    found = leaves_of(moved(sources, args, options))
    for numbers, bars in zip(found, leaves_of(y_bar), strict=True):
        for number, bar in zip(np.ravel(numbers), np.ravel(bars), strict=True):
            if number >= 0:
                total[number] += bar
    parts = np.split(total, np.cumsum([np.size(x) for x in floating])[:-1])
    shaped = [part.reshape(np.shape(x)) for part, x in zip(parts, floating, strict=True)]
    return like(args, [shaped.pop(0) if is_floating(x) else None for x in leaves_of(args)])


def reshape(x: Array, *, shape: tuple[int, ...] = (-1,)) -> Array:
    """In row-major order."""
    return x.reshape(shape)


def broadcast_to(
    x: Array, *, shape: tuple[int, ...] = (2, 3), axes: tuple[int, ...] | None = None
) -> Array:
    """Axis i of x becomes axis axes[i]: place by place, 0 along an axis of size 1."""
    places = range(len(shape) - x.ndim, len(shape)) if axes is None else axes
    y = np.empty(shape, int)
    for index in np.ndindex(y.shape):
        own = tuple(index[a] if n > 1 else 0 for a, n in zip(places, x.shape, strict=True))
        y[index] = x[own]
    return y


def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Array:
    """Axis i of y is axis axes[i] of x."""
    return np.transpose(x, axes)


def squeeze(x: Array, *, axis: Any = None) -> Array:
    """Without axes of size 1."""
    return np.squeeze(x, axis)


def expand_dims(x: Array, *, axis: Any = 0) -> Array:
    """With new axes of size 1."""
    return np.expand_dims(x, axis)


def rev(x: Array, *, axis: Any = None) -> Array:
    """In the opposite order."""
    return np.flip(x, axis)


def tile(x: Array, *, reps: tuple[int, ...] = (2,)) -> Array:
    """Copies one after the other."""
    return np.tile(x, reps)


def concatenate(xs: tuple[Array, ...], *, axis: int = 0) -> Array:
    """One after the other."""
    return np.concatenate(xs, axis)


def stack(xs: tuple[Array, ...], *, axis: int = 0) -> Array:
    """Along a new axis."""
    return np.stack(xs, axis)


def unstack(x: Array, *, axis: int = 0) -> tuple[Array, ...]:
    """One entry of the axis after the other."""
    return tuple(np.moveaxis(x, axis, 0))


def split(x: Array, *, sizes: int | tuple[int, ...] = 2, axis: int = 0) -> tuple[Array, ...]:
    """Cut behind each part."""
    ends = sizes if isinstance(sizes, int) else [int(n) for n in np.cumsum(sizes)[:-1]]
    return tuple(np.split(x, ends, axis))


def pad(x: Array, value: Array, *, padding: int | Sequence[Sequence[int]] = 1) -> Array:
    """Entry i of an axis goes to low + i (between + 1), if the output has such a place."""
    sides = [(padding, padding)] * x.ndim if isinstance(padding, int) else padding
    low = [side[0] for side in sides]
    step = [side[2] + 1 if len(side) > 2 else 1 for side in sides]
    shape = [
        side[0] + max((n - 1) * k + 1, 0) + side[1]
        for n, side, k in zip(x.shape, sides, step, strict=True)
    ]
    y = np.full(shape, value)
    for index in np.ndindex(x.shape):
        place = tuple(lo + i * k for lo, i, k in zip(low, index, step, strict=True))
        if all(0 <= p < n for p, n in zip(place, shape, strict=True)):
            y[place] = x[index]
    return y


def slice(x: Array, *, start: Places = None, stop: Places = None, step: Places = None) -> Array:
    """Every step-th entry from start to before stop."""
    none = (None,) * x.ndim
    first, last, each = (none if each is None else each for each in (start, stop, step))
    places = [range(n)[a:b:k] for n, a, b, k in zip(x.shape, first, last, each, strict=True)]
    return x[np.ix_(*places)]


def row(x: Array, index: int, mode: str) -> Array | None:
    """Row `index` of x, or with "clip" the nearest one; None outside of x."""
    if mode == "clip":
        index = min(max(index, 0), len(x) - 1)
    return x[index] if 0 <= index < len(x) else None


def gather(x: Array, indices: Array, *, mode: str = "fill") -> Array:
    """Rows of x, one for each index."""
    y = np.full((*indices.shape[:-1], *x.shape[1:]), -1)
    for place in np.ndindex(*indices.shape[:-1]):
        found = row(x, int(indices[(*place, 0)]), mode)
        y[place] = -1 if found is None else found
    return y


def counted(index: int, size: int) -> int:
    """A negative index is counted from the end."""
    return index + size if index < 0 else index


def take(x: Array, indices: Array, *, axis: int = 0, mode: str = "fill") -> Array:
    """The entries of one axis, one for each index."""
    first = np.moveaxis(x, axis, 0)
    y = np.full((*indices.shape, *first.shape[1:]), -1)
    for place in np.ndindex(*indices.shape):
        index = int(indices[place])
        found = row(first, index if mode == "clip" else counted(index, len(first)), mode)
        y[place] = -1 if found is None else found
    axes = tuple(range(indices.ndim))
    return np.moveaxis(y, axes, tuple(axis % x.ndim + a for a in axes))


def take_along_axis(x: Array, indices: Array, *, axis: int = -1, mode: str = "fill") -> Array:
    """The entry of its own line that each index names."""
    y = np.full(indices.shape, -1)
    for place in np.ndindex(*indices.shape):
        source = list(place)
        source[axis] = counted(int(indices[place]), x.shape[axis])
        if mode == "clip":
            source[axis] = min(max(source[axis], 0), x.shape[axis] - 1)
        if 0 <= source[axis] < x.shape[axis]:
            y[place] = x[tuple(source)]
    return y


def block(x: Array, start: Array, sizes: tuple[int, ...]) -> tuple[builtins.slice, ...]:
    """The block that begins at `start`, moved until it fits."""
    first = [min(max(int(a), 0), n - k) for a, n, k in zip(start, x.shape, sizes, strict=True)]
    return tuple(builtins.slice(a, a + k) for a, k in zip(first, sizes, strict=True))


def dynamic_slice(x: Array, start: Array, *, sizes: tuple[int, ...] = (2,)) -> Array:
    """A block of x."""
    return x[block(x, start, sizes)]


def dynamic_update_slice(x: Array, update: Array, start: Array) -> Array:
    """x with a block replaced."""
    y = x.copy()
    y[block(x, start, update.shape)] = update
    return y


def scatter(x: Array, indices: Array, updates: Array, *, mode: str = "drop") -> Array:
    """x with rows replaced, one after the other."""
    y = x.copy()
    for place in np.ndindex(*indices.shape[:-1]):
        target = row(y, int(indices[(*place, 0)]), mode)
        if target is not None:
            target[...] = updates[place]
    return y


def sort(values: Any, xs: Any, *, axis: int = -1, num_keys: int = 1) -> Any:
    """In the order of the first arrays; the last key that NumPy takes counts first."""
    arrays, numbers = (v if isinstance(v, tuple) else (v,) for v in (values[0], xs))
    order = np.lexsort(arrays[:num_keys][::-1], axis=axis)
    ordered = tuple(np.take_along_axis(each, order, axis) for each in numbers)
    return ordered if isinstance(xs, tuple) else ordered[0]


def places_of_top_k(x: Array, *, k: int = 1, axis: int = -1) -> Array:
    """The first k in falling order; equal entries keep theirs."""
    return np.take(np.argsort(-x, axis=axis, kind="stable"), np.arange(k), axis)


def top_k(values: Any, x: Array, *, k: int = 1, axis: int = -1) -> Array:
    """The k largest entries."""
    return np.take_along_axis(x, places_of_top_k(values[0], k=k, axis=axis), axis)


def top_k_with_places(x: Array, **options: int) -> tuple[Array, Array]:
    """The k largest entries, and where they stood."""
    return forward(top_k, x, **options), places_of_top_k(x, **options)


def same(x: Array, **options: Any) -> Array:
    """In the same place; rounding to float64 or to its bits changes nothing."""
    return x


SOURCES: dict[str, Callable[..., Any]] = {
    "reshape": reshape,
    "broadcast_to": broadcast_to,
    "transpose": transpose,
    "squeeze": squeeze,
    "expand_dims": expand_dims,
    "rev": rev,
    "tile": tile,
    "concatenate": concatenate,
    "stack": stack,
    "unstack": unstack,
    "split": split,
    "pad": pad,
    "slice": slice,
    "cast": same,
    "reduce_precision": same,
    "gather": gather,
    "take": take,
    "take_along_axis": take_along_axis,
    "dynamic_slice": dynamic_slice,
    "dynamic_update_slice": dynamic_update_slice,
    "scatter": scatter,
    "sort": sort,
    "top_k": top_k,
}
BY_VALUE = (sort, top_k)
"""These look at the values too."""
FILL: dict[Callable[..., Any], float] = {gather: np.nan, take: np.nan, take_along_axis: np.nan}
"""What stands where no entry does, if not 0."""

DEFINITIONS: dict[str, Callable[..., Any]] = {
    **{name: partial(forward, sources) for name, sources in SOURCES.items()},
    "top_k": top_k_with_places,
}
BACKWARD: dict[str, Callable[..., Any]] = {
    name: partial(backward, sources) for name, sources in SOURCES.items()
}
