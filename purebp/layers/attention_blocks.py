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
Carry = tuple[Array, Array, Array]


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
    """Blocks of queries and of keys, and the pairs of blocks in which a query sees a key."""

    heads: int
    length: int
    queries: int
    keys: int
    causal: bool
    window: Window
    softcap: float | None
    pairs: np.ndarray

    def scores(self, q: Array, k: Array, lengths: Array | None, pair: Array) -> tuple[Array, Array]:
        """The scores of one pair of blocks, -inf where they are not seen; and their slope."""
        s = jnp.matmul(q[pair[0]], jnp.swapaxes(k[pair[1]], -1, -2))
        slope = jnp.ones((), s.dtype)
        if self.softcap is not None:
            e = jnp.exp(-2 * jnp.abs(s / self.softcap))
            s, slope = self.softcap * jnp.tanh(s / self.softcap), 4 * e / ((1 + e) * (1 + e))
        places = np.tile(np.arange(self.queries), s.shape[-2] // max(self.queries, 1))
        rows = pair[0] * self.queries + places[:, None]
        columns = pair[1] * self.keys + np.arange(self.keys)
        seen = sees(rows, columns, self.causal, self.window) & (columns < self.length)
        if lengths is not None:
            seen = seen & (columns < lengths[..., None, None, None])
        return jnp.where(seen, s, -jnp.inf), slope


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
    return Plan(heads, s, rows, columns, causal, window, softcap, pairs)


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


def zeros_of(x: Array) -> Array:
    """Zeros of the type of x, which says over which devices it varies."""
    return jnp.where(jnp.zeros((), bool), x, 0)


def over_pairs(step: Callable[[Carry, Any], tuple[Carry, None]], start: Carry, plan: Plan) -> Carry:
    """Run a step for each pair of blocks; several are one loop, which is compiled once."""
    if len(plan.pairs) > 1:
        return lax.scan(step, start, jnp.asarray(plan.pairs))[0]
    for pair in plan.pairs:
        start, _ = step(start, pair)
    return start
