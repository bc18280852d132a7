"""A function of JAX with slopes by finite differences, for where autodiff cannot go through it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from purebp.verification.differences import FIRST, RATIO, STEPS, estimated
from purebp.verification.layout import is_complex, parts_of, whole
from purebp.verification.numpy_pair import WIDE

Function = Callable[..., Any]
LEAST = 1e-3
"""The size of the terms that a function adds up is its own, and this at least."""


def by_differences(function: Function) -> Function:
    """The function, with slopes that are nan where their error bar is too wide.

    In float32 they all are: there are no digits to spare.
    """

    def call(*args: Any) -> Any:
        leaves, tree = jax.tree.flatten(args)
        arrays = [jnp.asarray(leaf) for leaf in leaves]
        counts = [2 if is_complex(array) else 1 for array in arrays]
        parts = parts_of(arrays)
        moves = [_is_floating(part) for part in parts]
        chosen = [part for part, use in zip(parts, moves, strict=True) if use]
        rest = [part for part, use in zip(parts, moves, strict=True) if not use]
        outputs = list[Any]()

        def plain(chosen: Sequence[Any], rest: Sequence[Any]) -> list[Any]:
            first, second = iter(chosen), iter(rest)
            every = iter([next(first) if use else next(second) for use in moves])
            again = [whole([next(every) for _ in range(count)]) for count in counts]
            y = function(*jax.tree.unflatten(tree, again))
            outputs[:] = jax.tree.flatten(jax.tree.map(jnp.asarray, y))
            return parts_of(outputs[0])

        found = iter(_with_slopes(plain)(chosen, rest))
        y = [
            whole([next(found) for _ in range(2 if is_complex(leaf) else 1)]) for leaf in outputs[0]
        ]
        return jax.tree.unflatten(outputs[1], y)

    return call


def _with_slopes(plain: Function) -> Function:
    with_rule = jax.custom_vjp(plain)

    def fwd(chosen: Any, rest: Any) -> Any:
        return plain(chosen, rest), (chosen, rest)

    def bwd(res: Any, y_bar: Any) -> Any:
        chosen, rest = res
        weights = [jnp.ravel(bar) for bar in y_bar if bar.dtype != jax.dtypes.float0]
        jacobian = _jacobian(plain, chosen, rest)
        weight = jnp.concatenate(weights)[:, None] if weights else jnp.zeros((0, 1))
        x_bar = jnp.where(weight == 0, 0.0, weight * jacobian).sum(axis=0)
        ends = np.cumsum([leaf.size for leaf in chosen])[:-1]
        pieces = zip(jnp.split(x_bar, ends), chosen, strict=True)
        return [piece.reshape(x.shape).astype(x.dtype) for piece, x in pieces], None

    with_rule.defvjp(fwd, bwd)
    return with_rule


def _jacobian(plain: Function, chosen: Sequence[Any], rest: Sequence[Any]) -> Any:
    """The slopes of the floating outputs (rows) in the entries of the arguments (columns)."""
    x = jnp.concatenate([jnp.ravel(leaf) for leaf in chosen])
    ends = np.cumsum([leaf.size for leaf in chosen])[:-1]

    def values(point: Any) -> Any:
        parts = zip(jnp.split(point, ends), chosen, strict=True)
        given = [part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in parts]
        floating = [y for y in plain(given, rest) if _is_floating(y)]
        return jnp.concatenate([jnp.ravel(y).astype(x.dtype) for y in floating])

    outputs = [y for y in jax.eval_shape(plain, chosen, rest) if _is_floating(y)]
    if not outputs:
        return jnp.zeros((0, x.size), x.dtype)
    eps = np.concatenate(
        [np.full(math.prod(y.shape), max(_eps(y), _eps(x)), np.float64) for y in outputs]
    )[:, None]
    base = values(x)[:, None]
    finite = jnp.isfinite(x)
    size = jnp.sqrt(jnp.mean(jnp.square(x), where=finite))
    floor = 0.1 * jnp.where(size == 0, 1.0, size)
    scale = jnp.where(finite, jnp.maximum(jnp.abs(x), jnp.maximum(floor, 1e-6)), 1.0)
    size = jnp.abs(base) + jnp.max(jnp.abs(base)) + LEAST

    def along(index: Any) -> Any:
        ladder = FIRST * scale[index] / RATIO ** jnp.arange(STEPS, dtype=x.dtype)
        up, down = x[index] + ladder, x[index] - ladder
        points = jnp.concatenate([up, down])
        found = lax.map(lambda number: values(x.at[index].set(number)), points)
        plus, minus = found[:STEPS].T, found[STEPS:].T
        noise = jnp.asarray(4 * eps, x.dtype) * size / ladder
        slope, bar = estimated((plus, minus, base), ladder[None], (up - down)[None], noise, jnp)
        return slope, bar

    slopes, bars = lax.map(along, jnp.arange(x.size))
    largest = jnp.max(jnp.where(jnp.isfinite(slopes), jnp.abs(slopes), 0.0), axis=0)
    return jnp.where(bars <= WIDE * (1 + largest), slopes, jnp.nan).T


def _is_floating(x: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(x), jnp.floating))


def _eps(x: Any) -> float:
    return float(jnp.finfo(x.dtype).eps)
