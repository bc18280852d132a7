"""What the recurrent layers share: one walk through time, one walk back, products outside.

A cell turns z = x w_x, which is one product for all steps before the walk, and the state into the
next state. Walking back, a cell turns the cotangent of a state into that of z and of the state
before; the cotangents of the weights are then one product each over all steps and examples.
Inside, time is the leading axis.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from purebp.compat import explicit_sharding
from purebp.errors import OptionError, ShapeError
from purebp.numerics import widen
from purebp.op import conditioned

State = tuple[Array, ...]
Cell = Callable[[Array, State], tuple[State, tuple[Array, ...]]]
"""(z, state before) -> (state, what the walk back needs)"""
CellBack = Callable[[tuple[Array, ...], State, State], tuple[Any, State]]
"""(saved, state before, cotangent of the state) -> (cotangents to keep, of the state before)"""

MAGNIFIED = conditioned(
    "slopes in the tails magnify the rounding of z, and every step passes it on; a cotangent of z "
    "that float32 flushes to zero is multiplied by x",
    pooled=True,
)._replace(atol=1e-35)


def example(
    rng: np.random.Generator, states: int, gates: int, biases: int = 0
) -> tuple[Array, ...]:
    """Arguments for verification: three sequences of three steps, of which 3, 1 and 0 count.

    Weights far out in the tails would make the walk chaotic: of a state that is 1 - 1 nothing
    can be known.
    """
    n, t, d, h = 3, 3, 2, 2
    columns = gates * h
    shapes = [(n, t, d), *[(n, h)] * states, (d, columns), (h, columns), (columns,)]
    shapes += [(h,)] * biases
    drawn = [jnp.asarray(0.8 * rng.normal(size=shape), jnp.float32) for shape in shapes]
    return *drawn, jnp.asarray([3, 1, 0], jnp.int32)


class Walk(NamedTuple):
    """The state after the last step; of each step the state before it, and what its cell saved."""

    final: State
    before: State
    saved: tuple[Array, ...]


def walk(cell: Cell, state: State, z: Array, lengths: Array | None, reverse: bool) -> Walk:
    """All steps, first to last or, with `reverse`, last to first."""

    def step(state: State, xs: Any) -> Any:
        z, valid = xs
        new, saved = cell(z, state)
        return choose(valid, new, state), (state, saved)

    valid = valid_steps(len(z), lengths)
    final, (before, saved) = lax.scan(step, state, (z, valid), reverse=reverse)
    return Walk(final, before, saved)


def walk_back(
    cell: CellBack,
    walked: Walk,
    lengths: Array | None,
    reverse: bool,
    y_bar: Array,
    final_bar: State,
) -> tuple[State, Any]:
    """The cotangents of the first state, and what `cell` keeps of each step."""

    def step(state_bar: State, xs: Any) -> Any:
        y_bar, before, saved, valid = xs
        state_bar = (state_bar[0] + y_bar, *state_bar[1:])
        kept, before_bar = cell(saved, before, state_bar)
        nothing = jax.tree.map(jnp.zeros_like, kept)
        return choose(valid, before_bar, state_bar), choose(valid, kept, nothing)

    by_time = widen(jnp.moveaxis(y_bar, 1, 0))
    xs = (by_time, walked.before, walked.saved, valid_steps(len(by_time), lengths))
    return lax.scan(step, tuple(map(widen, final_bar)), xs, reverse=not reverse)


def valid_steps(steps: int, lengths: Array | None) -> Array | None:
    """(t, n, 1): whether a step is within its sequence."""
    return None if lengths is None else (jnp.arange(steps)[:, None] < lengths)[..., None]


def choose(valid: Array | None, new: Any, old: Any) -> Any:
    """The new arrays where a step is valid, else the old ones."""
    return new if valid is None else jax.tree.map(partial(jnp.where, valid), new, old)


def outputs(walked: Walk, reverse: bool) -> Array:
    """The states after each step (n, t, h): those before, moved on by one."""
    before, final = walked.before[0], walked.final[0][None]
    parts = (final, before) if reverse else (before, final)
    states = jnp.concatenate(parts)
    return jnp.moveaxis(states[: len(before)] if reverse else states[1:], 0, 1)


def product_bars(x: Array, w: Array, z_bar: Array) -> tuple[Array, Array]:
    """x_bar = z_bar w^T and w_bar = x^T z_bar of z = x w, for any number of leading axes."""
    return jnp.matmul(z_bar, widen(w).T, out_sharding=explicit_sharding(x)), weight_bar(x, w, z_bar)


def weight_bar(x: Array, w: Array, z_bar: Array) -> Array:
    """w_bar = x^T z_bar, one product for all steps and examples."""
    axes = tuple(range(x.ndim - 1))
    w_bar = jnp.tensordot(widen(x), z_bar, (axes, axes), out_sharding=explicit_sharding(w))
    return w_bar.astype(w.dtype)


def tanh_slope(x: Array) -> Array:
    """1 / cosh^2 x = 4 e / (1 + e)^2 with e = e^-2|x|: no cancellation, no overflow."""
    e = jnp.exp(-2 * jnp.abs(x))
    r = 1 / (1 + e)
    return 4 * e * r * r


def total(z_bar: Array) -> Array:
    """The sum over all axes but the last, as a bias needs it."""
    return jnp.sum(z_bar, axis=tuple(range(z_bar.ndim - 1)))


def define_sequence(
    step: Callable[..., State],
    x: Array,
    state: State,
    weights: Sequence[Array],
    lengths: Array | None,
    reverse: bool,
) -> tuple[Array, ...]:
    """The plain definition of a sequence: its step, at every time; (y, *final state)."""

    def at_time(state: State, xs: Any) -> Any:
        x, valid = xs
        new = choose(valid, step(x, *state, *weights), state)
        return new, new[0]

    by_time = jnp.moveaxis(x, 1, 0)
    valid = valid_steps(len(by_time), lengths)
    final, states = lax.scan(at_time, state, (by_time, valid), reverse=reverse)
    return jnp.moveaxis(states, 0, 1), *final


def promoted(*arrays: Array) -> tuple[Array, ...]:
    """The arrays in their common dtype."""
    dtype = jnp.result_type(*arrays)
    return tuple(array.astype(dtype) for array in arrays)


def check_gates(op: str, name: str, w: Array, h: Array, gates: int) -> None:
    """Raise unless the last axis of w has so many columns for each unit of h."""
    units = h.shape[-1]
    if w.shape[-1] != gates * units:
        raise ShapeError(
            f"{op}: {name} has shape {w.shape}, expected {(*w.shape[:-1], gates * units)}: "
            f"{gates} x {units} columns for the {units} units of the state"
        )


def check_reverse(op: str, reverse: bool) -> None:
    """Raise unless reverse is True or False."""
    if not isinstance(reverse, bool):
        raise OptionError(f"{op}: reverse is {reverse!r}, expected True or False")
