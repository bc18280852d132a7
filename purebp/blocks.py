"""Row by row, in blocks: on a CPU what lies between two passes over the rows stays in the cache.

Where several sums and products share an intermediate array, XLA's CPU backend writes it to fresh
memory, and the time goes into the operating system's handing out of pages. A loop over blocks of
rows needs a few hundred kilobytes in place of several arrays of full size. Other devices have
better fusions and nothing to gain from a loop: they get all rows at once.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.compat import explicit_sharding

Rows = tuple[Array, ...]
RowPass = Callable[..., tuple[Any, Any]]

BLOCK_BYTES = 1 << 17
WORTH_IT_BYTES = 1 << 20


def by_blocks(
    whole_pass: RowPass, block_pass: RowPass, rows: Rows, shared: Rows = ()
) -> tuple[Any, Any]:
    """`whole_pass(*rows, *shared) -> (outputs, sums)`, or that on blocks where they are faster.

    Args:
        whole_pass: works on all rows. Its outputs have an entry for each row; its sums are sums
            over the rows.
        block_pass: the same, written for the rows of one block; its sums are added up.
        rows: arrays with the same first axis.
        shared: arrays that every block sees whole.
    """
    size = block_rows(rows[0])
    if size is None:
        return whole_pass(*rows, *shared)
    whole, blocked = partial(_whole, whole_pass), partial(_blocked, block_pass, size)
    return cast(tuple[Any, Any], lax.platform_dependent(rows, shared, cpu=blocked, default=whole))


def block_rows(x: Array) -> int | None:
    """How many rows a block has; None where the array is small, sharded, or cannot be divided."""
    if x.ndim < 2 or x.size * x.dtype.itemsize < WORTH_IT_BYTES or explicit_sharding(x) is not None:
        return None
    n, row_bytes = x.shape[0], x.size // x.shape[0] * x.dtype.itemsize
    most = max(1, min(n, BLOCK_BYTES // row_bytes))
    size = next(rows for rows in range(most, 0, -1) if n % rows == 0)
    return size if size > most // 4 else None


def _whole(row_pass: RowPass, rows: Rows, shared: Rows) -> tuple[Any, Any]:
    return row_pass(*rows, *shared)


def _blocked(row_pass: RowPass, size: int, rows: Rows, shared: Rows) -> tuple[Any, Any]:
    def one_block(block: Rows) -> tuple[Any, Any]:
        return row_pass(*block, *shared)

    blocks = tuple(array.reshape(-1, size, *array.shape[1:]) for array in rows)
    outputs, sums = lax.map(one_block, blocks)
    return jax.tree.map(_join, outputs), jax.tree.map(partial(jnp.sum, axis=0), sums)


def _join(blocks: Array) -> Array:
    return blocks.reshape(-1, *blocks.shape[2:])
