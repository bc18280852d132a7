"""The example arguments of a target of which nothing else is known, and arguments like them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.errors import TargetError
from purebp.op import REAL, Domain
from purebp.verification.domain import put_inside
from purebp.verification.literals import literals_of
from purebp.verification.natures import NONFINITE, Nature, Pool, like, nature_of, patterns_for
from purebp.verification.shapes import Shapes

SIXTEEN_BITS = ("bfloat16", "float16")
NEAR = 0.3
"""How far an example's numbers are moved, in units of their size."""


class Given(NamedTuple):
    """Example arguments: their arrays, what each is like, and the constants of the function.

    `below`: for each array of integers the array and axis whose size bounds them, if one does.
    `low`: the 16-bit dtype that the example had; it is kept in float32. `domains`: where the
    numbers of each array lie, if that is known. `finite`: no nan or infinity is put into them.
    """

    tree: Any
    leaves: tuple[Any, ...]
    natures: tuple[Nature, ...]
    below: tuple[tuple[int, int] | None, ...]
    pool: Pool = Pool((), ())
    low: str = ""
    domains: tuple[Domain, ...] = ()
    finite: bool = False

    @property
    def shapes(self) -> Shapes:
        """The shapes of the arrays."""
        return tuple(tuple(leaf.shape) for leaf in self.leaves)

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns that differ for arrays like these."""
        every = patterns_for(list(self.leaves))
        return tuple(p for p in every if p not in NONFINITE) if self.finite else every

    def arguments(self) -> tuple[Any, ...]:
        """The example itself."""
        return jax.tree.unflatten(self.tree, self.leaves)


def given_of(examples: tuple[Any, ...]) -> Given:
    """The example arguments that a user gave."""
    flat, tree = jax.tree.flatten(examples)
    arrays = [_as_array(leaf) for leaf in flat]
    low = next((x.dtype.name for x in arrays if x.dtype.name in SIXTEEN_BITS), "")
    leaves = tuple(_in_single_precision(array) for array in arrays)
    natures = tuple(nature_of(leaf) for leaf in leaves)
    below = tuple(_bound_of(index, leaves, natures) for index in range(len(leaves)))
    return Given(tree, leaves, natures, below, low=low)


def _in_single_precision(array: Any) -> Any:
    """Floating numbers in float32: a layer is tried in it, in float64 and in 16 bits anyway."""
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        return array.astype(jnp.complex64)
    return array.astype(jnp.float32) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _as_array(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array):
        return leaf
    try:
        return jnp.asarray(leaf)
    except (TypeError, ValueError) as error:
        raise TargetError(
            f"an example argument is {leaf!r:.40}, expected an array or a number; what is no array "
            "belongs to the options: static={...}"
        ) from error


def _bound_of(
    index: int, leaves: tuple[Any, ...], natures: tuple[Nature, ...]
) -> tuple[int, int] | None:
    """The shortest axis of another array that all these integers are places of."""
    if natures[index].kind != "integers":
        return None
    axes = [
        (size, (array, axis))
        for array, leaf in enumerate(leaves)
        for axis, size in enumerate(leaf.shape)
        if array != index and size > natures[index].high and size > 1
    ]
    # Labels name the last axis of scores, or the first of a table: the later one in a tie.
    return min(axes, key=lambda found: (found[0], -found[1][1]))[1] if axes else None


def pool_of(jaxpr: Any, settings: dict[str, Any]) -> Pool:
    """The constants of a function, and the numbers among its settings."""
    floats, integers = literals_of(jaxpr)
    numbers = [value for value in settings.values() if not isinstance(value, bool)]
    floats += tuple(abs(value) for value in numbers if isinstance(value, float) and value)
    integers += tuple(value for value in numbers if isinstance(value, int))
    return Pool(tuple(dict.fromkeys(floats)), tuple(dict.fromkeys(integers)))


def arguments_like(given: Given, shapes: Shapes, pattern: str, seed: int) -> tuple[Any, ...]:
    """The example for seed 0, or arguments like it: of other shapes, in a pattern."""
    plain = pattern == "normal" and shapes == given.shapes
    if plain and seed == 0:
        return given.arguments()
    rng = np.random.default_rng(seed)
    leaves = [
        _moved(leaf, nature, rng)
        if plain
        else like(nature, shape, pattern, rng, given.pool, _below(bound, shapes))
        for leaf, nature, shape, bound in zip(
            given.leaves, given.natures, shapes, given.below, strict=True
        )
    ]
    leaves = [
        put_inside(leaf, domain, rng)
        for leaf, domain in zip(leaves, given.domains or [REAL] * len(leaves), strict=True)
    ]
    if pattern == "infinite where masked":
        leaves = _hidden(given, leaves)
    return jax.tree.unflatten(given.tree, leaves)


def _hidden(given: Given, leaves: list[Any]) -> list[Any]:
    """Numbers that a mask of the same shape hides become infinite."""
    masks = [
        leaf for leaf, nature in zip(leaves, given.natures, strict=True) if nature.kind == "mask"
    ]

    def hide(leaf: Any, nature: Nature) -> Any:
        fitting = [mask for mask in masks if mask.shape == leaf.shape]
        if nature.kind != "real" or not fitting:
            return leaf
        return jnp.where(fitting[0], leaf, jnp.asarray(jnp.inf, leaf.dtype))

    return [hide(leaf, nature) for leaf, nature in zip(leaves, given.natures, strict=True)]


def _below(bound: tuple[int, int] | None, shapes: Shapes) -> int:
    if bound is None:
        return 0
    array, axis = bound
    return shapes[array][axis] if axis < len(shapes[array]) else 0


def _moved(leaf: Any, nature: Nature, rng: np.random.Generator) -> Any:
    """An array of numbers of both signs is moved a little; others stay."""
    if nature.kind == "key":
        return jax.random.key(int(rng.integers(2**31)))
    if nature.kind != "real":
        return leaf
    step = rng.standard_normal(leaf.shape)
    if jnp.iscomplexobj(leaf):
        step = step + 1j * rng.standard_normal(leaf.shape)
    return jnp.asarray(np.asarray(leaf) + NEAR * nature.size * step, leaf.dtype)
