"""Rows for experts: tokens sorted by expert, each expert's rows filled up to whole blocks."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int

from purebp.numerics import widen
from purebp.residuals import Static

MOST_ROWS = 256


class Dispatch(NamedTuple):
    """Where the row of each token and choice is, and what is in each block.

    `chosen`: the experts of each token. `slots`: for each token and choice its row.
    `sources`: for each row its token and choice, or one beyond the last for an empty row.
    `experts`: for each block its expert. `among`: how many experts there are.
    """

    chosen: Int[Array, "m top"]
    slots: Int[Array, "m top"]
    sources: Int[Array, "blocks rows"]
    experts: Int[Array, "blocks"]
    among: Static


def dispatch(chosen: Array, experts: int, block: int | None) -> Dispatch:
    """The plan for these choices. Its size depends on shapes alone."""
    choices = chosen.size
    rows = block or max(1, min(MOST_ROWS, choices // (4 * experts)))
    blocks = (choices + experts * (rows - 1)) // rows
    flat = chosen.reshape(-1)
    order = jnp.argsort(flat, stable=True)
    sizes = jnp.sum(flat[:, None] == jnp.arange(experts), axis=0)
    filled = -(-sizes // rows) * rows
    ends = jnp.cumsum(filled)
    shift = (ends - filled) - (jnp.cumsum(sizes) - sizes)
    slots = jnp.arange(choices) + shift[flat[order]]
    sources = jnp.full((blocks * rows,), choices).at[slots].set(order, unique_indices=True)
    first_rows = jnp.arange(blocks) * rows
    owners = jnp.minimum(jnp.sum(first_rows[:, None] >= ends, axis=1), experts - 1)
    places = jnp.zeros_like(slots).at[order].set(slots, unique_indices=True)
    return Dispatch(
        chosen,
        places.reshape(chosen.shape),
        sources.reshape(blocks, rows),
        owners,
        Static(experts),
    )


def to_slots(plan: Dispatch, x: Array, *, each: bool = False) -> Array:
    """The row of x for every slot, zeros for an empty one: (blocks, rows, d).

    x has a row for each token; or, with `each`, one for each token and choice.
    """
    top = plan.chosen.shape[1]
    index = plan.sources if each else plan.sources // max(top, 1)
    return widen(x).at[index].get(mode="fill", fill_value=0)


def from_slots(plan: Dispatch, y: Array) -> Array:
    """For every token and choice the row of its slot: (m, top, d)."""
    return y.reshape(-1, y.shape[-1])[plan.slots]
