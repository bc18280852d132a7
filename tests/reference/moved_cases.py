"""Cases for the gates that move entries and look through windows: those that verification tries."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.catalog import find
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.target import make_target
from reference import bands, moves, remainder, scatters, steps, windows

MODULES = (bands, moves, remainder, scatters, steps, windows)
NAMES = [name for module in MODULES for name in module.DEFINITIONS]


def in_float64(leaf: Any) -> np.ndarray:
    values = np.asarray(leaf)
    return values.astype(np.float64) if jnp.issubdtype(values.dtype, jnp.floating) else values


def cases_of(name: str) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """One for each variant that is not empty: the op, its arguments, its options."""
    target = make_target(find(name))
    for variant in variants(target):
        args = make_args(target, Case(variant, "normal", "normal", 1))
        if all(np.size(leaf) for leaf in jax.tree.leaves(args)):
            yield name, jax.tree.map(in_float64, args), dict(variant.settings)


MOVED_CASES = [case for name in NAMES for case in cases_of(name)]
