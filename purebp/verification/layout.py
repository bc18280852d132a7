"""Arguments and outputs as flat vectors, with a name for every entry."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from purebp.compat import enable_x64
from purebp.errors import CotangentError, DtypeError
from purebp.verification.target import Target


@dataclass(frozen=True)
class Layout:
    """Where each differentiable array of the arguments lies in the flat gradient.

    A complex array counts as two real ones, its real and its imaginary part. JAX pairs without a
    conjugate, Re(x_bar dx), so that the gradient by these parts is (Re x_bar, -Im x_bar).
    Everything but `parts`, which counts those of each array, is listed part by part. `paths` lead
    from the tuple of arguments to the array.
    """

    tree: Any
    names: tuple[str, ...]
    paths: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[Any, ...]
    differentiable: tuple[bool, ...]
    arguments: tuple[str, ...]
    parts: tuple[int, ...]

    def split(self, args: tuple[Any, ...]) -> tuple[list[Any], list[Any]]:
        """The floating arrays that are differentiated, and the rest."""
        leaves = parts_of(jax.tree.leaves(args))
        chosen = [leaf for leaf, use in zip(leaves, self.differentiable, strict=True) if use]
        rest = [leaf for leaf, use in zip(leaves, self.differentiable, strict=True) if not use]
        return chosen, rest

    def join(self, chosen: Sequence[Any], rest: Sequence[Any]) -> tuple[Any, ...]:
        """The inverse of `split`."""
        first, second = iter(chosen), iter(rest)
        parts = iter([next(first) if use else next(second) for use in self.differentiable])
        leaves = [whole([next(parts) for _ in range(count)]) for count in self.parts]
        return jax.tree.unflatten(self.tree, leaves)

    def place(self, index: int) -> tuple[str, tuple[int, ...]]:
        """The argument (with its path) and the element at an index of the flat gradient."""
        for name, shape in zip(self.chosen(self.names), self.chosen(self.shapes), strict=True):
            size = int(np.prod(shape, dtype=int))
            if index < size:
                return name, tuple(int(i) for i in np.unravel_index(index, shape))
            index -= size
        raise IndexError(index)

    def modulus(self, sizes: np.ndarray) -> np.ndarray:
        """The sizes of the entries of a flat gradient; both parts of a number get that of it.

        Complex arithmetic is right to a few roundings of the number, not of each part.
        """
        sizes, start = np.array(sizes), 0
        for count, first in self._places():
            size = math.prod(self.shapes[first])
            if count == 2:
                parts = sizes[start : start + 2 * size].reshape(2, size)
                parts[:] = np.hypot(*parts)
            start += count * size
        return sizes

    def _places(self) -> Iterator[tuple[int, int]]:
        """For each differentiable array the number of its parts, and the place of the first."""
        starts = np.cumsum([0, *self.parts])
        for count, start in zip(self.parts, starts[:-1], strict=True):
            if self.differentiable[start]:
                yield count, int(start)

    def chosen(self, values: Sequence[Any]) -> list[Any]:
        """The entries that belong to differentiable arrays."""
        return [value for value, use in zip(values, self.differentiable, strict=True) if use]

    def cotangents(self, bars: Any, primals: Sequence[Any]) -> list[Any]:
        """One array for each differentiable one (`None`: zeros); raise if they do not fit."""
        leaves = self._slopes(self._leaves(bars))
        places = [index for index, use in enumerate(self.differentiable) if use]
        return [
            self._fit(index, leaves[index], primal)
            for index, primal in zip(places, primals, strict=True)
        ]

    def declared_none(self, bars: Any) -> list[bool]:
        """For each differentiable array whether its cotangent is `None`."""
        none = [leaf is None for leaf in self._leaves(bars)]
        return self.chosen(np.repeat(np.asarray(none, bool), self.parts).tolist())

    def _leaves(self, bars: Any) -> list[Any]:
        if not isinstance(bars, tuple | list):
            raise CotangentError(
                f"bwd returned a {type(bars).__name__}, expected a tuple of "
                f"{len(self.arguments)}, one cotangent for each argument "
                f"({', '.join(self.arguments)})"
            )
        given = list[Any](bars)  # type: ignore[reportUnknownArgumentType]  # any sequence may come
        if len(given) != len(self.arguments):
            raise CotangentError(
                f"bwd returned {len(given)} cotangents, expected {len(self.arguments)}, "
                f"one for each argument ({', '.join(self.arguments)})"
            )
        subtrees = self.tree.children()
        leaves: list[Any] = []
        for name, subtree, bar in zip(self.arguments, subtrees, given, strict=True):
            if bar is None:
                leaves += [None] * subtree.num_leaves
                continue
            found, came = jax.tree.flatten(bar)
            if came.num_leaves != subtree.num_leaves:
                found, came = jax.tree.flatten(bar, is_leaf=_is_none)
            if came.num_leaves != subtree.num_leaves:
                raise CotangentError(
                    f"the cotangent of {name} has the structure {came}, expected {subtree}"
                )
            leaves += found
        return leaves

    def _slopes(self, bars: Sequence[Any]) -> list[Any]:
        """The gradient by the parts of each array."""
        slopes = list[Any]()
        for bar, count in zip(bars, self.parts, strict=True):
            if bar is not None and is_complex(bar) != (count == 2):
                name = self.names[len(slopes)].removesuffix(".real")
                kind = "complex" if count == 2 else "real"
                raise CotangentError(
                    f"the cotangent of {name} has dtype {jnp.result_type(bar)}, expected a "
                    f"{kind} one, as {name} is"
                )
            if count == 1 or bar is None:
                slopes += [bar] * count
            else:
                slopes += [jnp.real(bar), -jnp.imag(bar)]
        return slopes

    def _fit(self, index: int, leaf: Any, primal: Any) -> Any:
        if leaf is None:
            return jnp.zeros_like(primal)
        if tuple(np.shape(leaf)) != self.shapes[index]:
            raise CotangentError(
                f"the cotangent of {self.names[index]} has shape {tuple(np.shape(leaf))}, "
                f"expected {self.shapes[index]}, the shape of {self.names[index]}"
            )
        return jnp.asarray(leaf)


def layout_of(target: Target, args: tuple[Any, ...]) -> Layout:
    """The layout of concrete arguments."""
    flat, tree = jax.tree_util.tree_flatten_with_path(args)
    arrays = [leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf) for _, leaf in flat]
    leaves = parts_of(arrays)
    named = [
        (_name(target, path) + suffix, jax.tree_util.keystr(path) + suffix)
        for (path, _), leaf in zip(flat, arrays, strict=True)
        for suffix in ((".real", ".imag") if is_complex(leaf) else ("",))
    ]
    owners = [
        target.argument_name(path[0].idx)
        for (path, _), leaf in zip(flat, arrays, strict=True)
        for _ in range(2 if is_complex(leaf) else 1)
    ]
    return Layout(
        tree=tree,
        names=tuple(name for name, _ in named),
        paths=tuple(path for _, path in named),
        shapes=tuple(tuple(leaf.shape) for leaf in leaves),
        dtypes=tuple(leaf.dtype for leaf in leaves),
        differentiable=tuple(
            bool(jnp.issubdtype(leaf.dtype, jnp.floating)) and owner not in target.undifferentiated
            for leaf, owner in zip(leaves, owners, strict=True)
        ),
        arguments=tuple(target.argument_name(i) for i in range(len(args))),
        parts=tuple(2 if is_complex(leaf) else 1 for leaf in arrays),
    )


def is_complex(leaf: Any) -> bool:
    """Whether an array has an imaginary part."""
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    return bool(jnp.issubdtype(dtype, jnp.complexfloating))


def parts_of(leaves: Sequence[Any]) -> list[Any]:
    """Arrays, with the real and the imaginary part of each complex one in its place."""
    return [
        part
        for leaf in leaves
        for part in ((jnp.real(leaf), jnp.imag(leaf)) if is_complex(leaf) else (leaf,))
    ]


def whole(parts: Sequence[Any]) -> Any:
    """The array of one part, or of two; there are no complex numbers of 16 bits."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].dtype.itemsize < 4:
        raise DtypeError(f"no complex dtype has parts of {parts[0].dtype}")
    return lax.complex(*parts)


def as_float64(leaves: Sequence[Any]) -> list[np.ndarray]:
    """The same values in float64, on the host."""
    return [np.asarray(leaf).astype(np.float64) for leaf in leaves]


def flat(leaves: Sequence[Any]) -> np.ndarray:
    """All entries as one float64 vector."""
    parts = [array.ravel() for array in as_float64(leaves)]
    return np.concatenate(parts) if parts else np.zeros(0)


def widen(leaves: Sequence[Any]) -> list[Any]:
    """The same values as float64 arrays of JAX."""
    with enable_x64(True):
        return [jnp.asarray(leaf) for leaf in as_float64(leaves)]


def _name(target: Target, path: tuple[Any, ...]) -> str:
    first = target.argument_name(path[0].idx)
    return first + jax.tree_util.keystr(path[1:])


def _is_none(leaf: Any) -> bool:
    return leaf is None
