"""One function of the survey, and what both reverse modes say of it."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import purebp
from purebp.compat import enable_x64, jit_once
from purebp.errors import NoRuleError, first_line

Verdict = Literal["agrees", "better", "refuses", "wrong", "no derivative", "does not run"]
STEP = 1e-6
NEAR = {"float32": 2e-3, "float64": 1e-8}
"""How far apart two right gradients may be, of the largest number."""
KINK = 1e-3


class Case(NamedTuple):
    """A function of arrays, and arguments in float64."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]


class Found(NamedTuple):
    """What came of a case, in words."""

    name: str
    dtype: str
    verdict: Verdict
    note: str = ""


def look(case: Case, dtype: str) -> Found:
    """Both gradients of the sum of squares of what the function returns."""
    with enable_x64(dtype == "float64"):
        args = jax.tree.map(lambda x: _as(x, dtype), case.args)
        leaves, tree = jax.tree.flatten(args)
        places = [k for k, x in enumerate(leaves) if _is_floating(x)]

        def loss(chosen: list[Any]) -> Any:
            given = list(leaves)
            for place, x in zip(places, chosen, strict=True):
                given[place] = x
            out = jax.tree.leaves(case.function(*jax.tree.unflatten(tree, given)))
            return sum(jnp.sum(jnp.abs(y) ** 2 + jnp.real(y)) for y in out if _is_inexact(y))

        chosen = [leaves[place] for place in places]
        try:
            program = str(jax.make_jaxpr(loss)(chosen))
        except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
            return Found(case.name, dtype, "does not run", _in_a_line(error))
        near = NEAR["float32" if "f32[" in program else dtype]
        expected = _tried(jax.grad, loss, chosen)
        came = _tried(purebp.grad, loss, chosen)
    return Found(case.name, dtype, *_verdict(case, near, expected, came))


def _verdict(case: Case, near: float, expected: Any, came: Any) -> tuple[Verdict, str]:
    if isinstance(came, NoRuleError):
        return ("no derivative", "") if isinstance(expected, Exception) else ("refuses", str(came))
    if isinstance(came, Exception):
        both = isinstance(expected, Exception)
        return ("no derivative" if both else "wrong"), _in_a_line(came)
    if not isinstance(expected, Exception) and distance(came, expected) <= near:
        return "agrees", ""
    truth = by_differences(case)
    ours = distance(came, truth)
    if isinstance(expected, Exception):
        note = f"jax.grad raises {type(expected).__name__}, off by {ours:.1e}"
        return ("better" if ours < KINK else "wrong"), note
    theirs = distance(expected, truth)
    note = f"off by {ours:.1e}, jax.grad by {theirs:.1e}, of the slopes by differences"
    return ("better" if ours < theirs and ours < KINK else "wrong"), note


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)[:150]}"


def _tried(derive: Any, loss: Any, chosen: list[Any]) -> Any:
    """The gradients as arrays of NumPy, or the error."""
    try:
        return [np.asarray(bar) for bar in jit_once(derive(loss))(chosen)]
    except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
        return error


def distance(came: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest error, as a part of the largest number of all; nan fits nan."""
    size = max((float(np.nanmax(np.abs(e), initial=0.0)) for e in expected), default=0.0)
    gaps = [np.abs(c.astype(complex) - e) for c, e in zip(came, expected, strict=True)]
    same = [(np.isnan(c) & np.isnan(e)) | (c == e) for c, e in zip(came, expected, strict=True)]
    gaps = [np.where(s, 0.0, np.nan_to_num(g, nan=np.inf)) for g, s in zip(gaps, same, strict=True)]
    return max((float(g.max(initial=0.0)) for g in gaps), default=0.0) / max(size, 1e-3)


def by_differences(case: Case) -> list[np.ndarray]:
    """The slopes by central differences in float64, entry by entry."""
    with enable_x64(True):
        args = jax.tree.map(lambda x: _as(x, "float64"), case.args)
        leaves, tree = jax.tree.flatten(args)

        def value(given: list[Any]) -> float:
            out = jax.tree.leaves(case.function(*jax.tree.unflatten(tree, given)))
            parts = (jnp.sum(jnp.abs(y) ** 2 + jnp.real(y)) for y in out if _is_inexact(y))
            return float(sum(parts))

        found = list[np.ndarray]()
        for place, leaf in enumerate(leaves):
            if not _is_floating(leaf):
                continue
            slope = np.zeros(np.shape(leaf))
            for entry in np.ndindex(slope.shape):
                ends = list[float]()
                for sign in (1, -1):
                    moved = np.array(leaf)
                    moved[entry] += sign * STEP
                    ends.append(value([*leaves[:place], jnp.asarray(moved), *leaves[place + 1 :]]))
                slope[entry] = (ends[0] - ends[1]) / (2 * STEP)
            found.append(slope)
    return found


def _as(x: Any, dtype: str) -> Any:
    """An array of floating numbers in a dtype; anything else as it is."""
    return jnp.asarray(x, dtype) if _is_floating(x) else x


def _is_floating(x: Any) -> bool:
    return hasattr(x, "dtype") and bool(jnp.issubdtype(x.dtype, jnp.floating))


def _is_inexact(x: Any) -> bool:
    return hasattr(x, "dtype") and bool(jnp.issubdtype(x.dtype, jnp.inexact))
