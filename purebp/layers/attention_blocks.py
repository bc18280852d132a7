"""The blocks of attention: which pairs of them are seen, and how arrays are cut and joined."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from purebp.numerics import widen

BLOCK = 128
Window = int | tuple[int, int] | None
Pair = Array | np.ndarray


def score_scale(scale: float | None, d: int) -> float:
    """1/sqrt(d) unless another one is given."""
    return 1 / math.sqrt(max(d, 1)) if scale is None else scale


def sees(rows: Array, columns: Array, causal: bool, window: Window) -> Array:
    """Whether each query sees each key."""
    left, right = _reach(causal, window)
    seen = (columns >= 0) & (rows >= 0)
    if left is not None:
        seen = seen & (columns >= rows - left)
    return seen if right is None else seen & (columns <= rows + right)


def _reach(causal: bool, window: Window) -> tuple[int | None, int | None]:
    """How far a query sees back and ahead, None: to the end."""
    left, right = window if isinstance(window, tuple) else (window, window)
    return left, 0 if causal else right


class Plan(NamedTuple):
    """Blocks of queries and of keys, and the pairs of blocks in which a query sees a key.

    `counts` and `blocks` are those of queries and of keys: how many, and how many rows in each.
    """

    heads: int
    length: int
    counts: tuple[int, int]
    blocks: tuple[int, int]
    causal: bool
    window: Window
    softcap: float | None
    pairs: np.ndarray

    def scores(self, q: Array, k_turned: Array, pair: Pair) -> tuple[Array, Array]:
        """The scores of one pair of blocks, after the softcap; and its slope."""
        s = jnp.matmul(q[pair[0]], k_turned[pair[1]])
        if self.softcap is None:
            return s, jnp.ones((), s.dtype)
        e = jnp.exp(-2 * jnp.abs(s / self.softcap))
        return self.softcap * jnp.tanh(s / self.softcap), 4 * e / ((1 + e) * (1 + e))

    def places(self, pair: Pair) -> tuple[Array, Array]:
        """The queries (rows, 1) and the keys (columns) of a pair of blocks."""
        rows = pair[0] * self.blocks[0] + np.arange(self.blocks[0])
        return rows[:, None], pair[1] * self.blocks[1] + np.arange(self.blocks[1])

    def sees(self, pair: Pair) -> Array:
        """Whether each query of a pair of blocks sees each key, by their places alone."""
        rows, columns = self.places(pair)
        return sees(rows, columns, self.causal, self.window) & (columns < self.length)


def make_plan(
    q: Array,
    k: Array,
    *,
    causal: bool,
    window: Window,
    softcap: float | None,
    block: int | None,
) -> Plan:
    """Cut queries and keys into blocks; keep the pairs of blocks in which a query sees a key."""
    block = block or BLOCK
    t, s, heads = q.shape[-3], k.shape[-3], k.shape[-2]
    rows, columns = _block(t, block), _block(s, block)
    first = np.arange(0, t, rows)[:, None], np.arange(0, s, columns)
    left, right = _reach(causal, window)
    seen = np.ones((len(first[0]), len(first[1])), bool)
    if left is not None:
        seen &= first[1] + columns - 1 >= first[0] - left
    if right is not None:
        seen &= first[1] <= first[0] + rows - 1 + right
    pairs = np.argwhere(seen).astype(np.int32)
    counts = len(first[0]), first[1].shape[0]
    return Plan(heads, s, counts, (rows, columns), causal, window, softcap, pairs)


def _block(length: int, block: int) -> int:
    """The size of blocks of nearly one size, none above `block`."""
    return max(1, -(-length // max(1, -(-length // block))))


def in_blocks(x: Array, size: int, heads: int) -> Array:
    """(*batch, t, h, d) -> (n, *batch, g, h/g size, d), with zeros up to n size."""
    *batch, t, h, d = x.shape
    n = -(-t // size)
    rank = len(batch)
    x = jnp.pad(widen(x), [(0, 0)] * rank + [(0, n * size - t), (0, 0), (0, 0)])
    x = x.reshape(*batch, n, size, heads, h // heads, d)
    order = (rank, *range(rank), rank + 2, rank + 3, rank + 1, rank + 4)
    return x.transpose(order).reshape(n, *batch, heads, h // heads * size, d)


def out_of_blocks(x: Array, shape: tuple[int, ...], size: int, heads: int) -> Array:
    """Back to (*batch, t, h, d)."""
    *batch, t, h, d = shape
    rank = len(batch)
    x = x.reshape(len(x), *batch, heads, h // heads, size, d)
    order = (*range(1, rank + 1), 0, rank + 3, rank + 1, rank + 2, rank + 4)
    return x.transpose(order).reshape(*batch, len(x) * size, h, d)[..., :t, :, :]


def turned(blocks: Array) -> Array:
    """Each block transposed, once: XLA's batched products read rows twice as fast as columns."""
    return jnp.swapaxes(blocks, -1, -2)


def over_pairs(step: Callable[[Any, Pair], tuple[Any, None]], start: Any, plan: Plan) -> Any:
    """Run a step for each pair of blocks; several are one loop, which is compiled once."""
    if len(plan.pairs) > 1:
        return lax.scan(step, start, jnp.asarray(plan.pairs))[0]
    for pair in plan.pairs:
        start, _ = step(start, pair)
    return start
