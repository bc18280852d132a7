"""Arguments as trees of arrays, and what makes them whole again: modules, functions, names.

flax and equinox are looked for among the modules that are imported already: whoever hands over
one of their modules has imported them.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Parts(NamedTuple):
    """The arrays of an argument, as a tree, and the function that puts the rest back."""

    tree: Any
    whole: Callable[[Any], Any]


def parts_of(argument: Any) -> Parts:
    """Take an argument apart."""
    nnx = _imported("flax.nnx")
    if nnx is not None and isinstance(argument, nnx.Module):
        definition, state = nnx.split(argument)
        return Parts(state, lambda state: nnx.merge(definition, state))
    leaves, tree = jax.tree.flatten(argument)
    held = [None if is_array(leaf) else leaf for leaf in leaves]

    def whole(arrays: Any) -> Any:
        given = iter(jax.tree.leaves(arrays))
        return jax.tree.unflatten(tree, [next(given) if leaf is None else leaf for leaf in held])

    return Parts(jax.tree.unflatten(tree, [x if is_array(x) else None for x in leaves]), whole)


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array or a number; True and False are no numbers but choices."""
    kinds = (jax.Array, np.ndarray, np.generic, int, float, complex)
    return isinstance(leaf, kinds) and not isinstance(leaf, bool)


def is_module(target: Any) -> bool:
    """Whether a callable holds arrays of its own: a module of nnx or equinox, or a pytree."""
    nnx = _imported("flax.nnx")
    if nnx is not None and isinstance(target, nnx.Module):
        return True
    return callable(target) and any(map(is_array, jax.tree.leaves(target)))


def linen_module(target: Any) -> Any:
    """The module of flax.linen that a target is, or whose `apply` it is; else `None`."""
    linen = _imported("flax.linen")
    if linen is None:
        return None
    owner = getattr(target, "__self__", None)
    found = owner if getattr(target, "__name__", "") == "apply" else target
    return found if isinstance(found, linen.Module) else None


def _imported(name: str) -> Any:
    return sys.modules.get(name)
