"""Sequences in pieces of so many steps, time leading: what the chunked scans share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.numerics import widen


def by_time(*arrays: Array) -> tuple[Array, ...]:
    """Each (n, t, ...) as (t, n, ...)."""
    return tuple(jnp.moveaxis(array, 1, 0) for array in arrays)


def in_chunks(block: int, *arrays: Array) -> tuple[Array, ...]:
    """Each (n, t, ...) as (m, block, n, ...), with zeros after the end."""
    return tuple(_in_chunks(array, block) for array in arrays)


def _in_chunks(x: Array, block: int) -> Array:
    n, t, *rest = x.shape
    size = max(1, min(block, t))
    pieces = -(-t // size)
    edges = [(0, 0), (0, pieces * size - t), *[(0, 0)] * len(rest)]
    padded = jnp.pad(widen(x), edges)
    return jnp.moveaxis(padded.reshape(n, pieces, size, *rest), 0, 2)


def out_of_chunks(x: Array, length: int) -> Array:
    """Back to (n, t, ...)."""
    pieces, size, n, *rest = x.shape
    return jnp.moveaxis(x, 2, 0).reshape(n, pieces * size, *rest)[:, :length]


def over_chunks(
    step: Callable[..., tuple[Any, Any]], carry: Any, chunks: Any, *, reverse: bool = False
) -> tuple[Any, Any]:
    """`lax.scan` over the pieces; one piece is no loop."""
    if len(jax.tree.leaves(chunks)[0]) != 1:
        return lax.scan(step, carry, chunks, reverse=reverse)
    carry, outputs = step(carry, jax.tree.map(_only, chunks))
    return carry, jax.tree.map(_as_one, outputs)


def _only(x: Array) -> Array:
    return x[0]


def _as_one(x: Array) -> Array:
    return x[None]
