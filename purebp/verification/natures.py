"""What the arrays of an example are like, and other arrays that are like them.

An example says more than its numbers: weights are of both signs, variances positive, rows may add
up to 1, a matrix may be symmetric, integers may be labels. New arrays, in other shapes too, keep
that, and meet what an example seldom has: zeros, ties, whole rows of zeros, the function's own
constants, small and large numbers, labels that are ignored.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.verification.values import with_first_row

Generator = np.random.Generator
Shape = tuple[int, ...]

FLOATS = (
    *("normal", "ties", "zeros", "zero rows", "constants", "near constants", "signs"),
    *("wide", "tails", "large", "small", "equal", "nothing", "some nan", "some infinite"),
)
NONFINITE = ("some nan", "some infinite", "infinite where masked")
INTEGERS = ("labels", "same labels", "some special labels", "special labels")
MASKS = ("mask", "all true", "all false", "a row false", "infinite where masked")


UNIT = {"zero or one", "probabilities"}
"""Kinds whose size says nothing."""


class Pool(NamedTuple):
    """The constants of the function, that values and integers are drawn from."""

    floats: tuple[float, ...]
    integers: tuple[int, ...]


class Nature(NamedTuple):
    """What one array of an example is like: of integers the largest, and those below 0."""

    kind: str
    dtype: Any
    size: float
    high: int = 0
    special: tuple[int, ...] = ()


def patterns_for(arrays: list[Any]) -> tuple[str, ...]:
    """The patterns that differ for arrays like these."""
    kinds = {np.asarray(array).dtype.kind for array in arrays if not is_key(array)}
    integers = INTEGERS[1:] if kinds & {"i", "u"} else ()
    return (*FLOATS, *integers, *(MASKS[1:] if "b" in kinds else ()))


def is_key(array: Any) -> bool:
    """Whether an array is a key of JAX's random numbers."""
    return bool(jnp.issubdtype(array.dtype, jax.dtypes.prng_key))


def nature_of(array: Any) -> Nature:
    """What an array is like."""
    if is_key(array):
        return Nature("key", array.dtype, 1.0)
    dtype = array.dtype
    values = np.asarray(array)
    if values.dtype == bool:
        return Nature("mask", dtype, 1.0)
    if jnp.issubdtype(dtype, jnp.integer):
        special = tuple(sorted({int(n) for n in values.ravel() if n < 0}))
        high = max(int(values.max(initial=0)), 0)
        return Nature("integers", dtype, 1.0, high, special)
    wide = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    finite = wide[np.isfinite(wide)]
    size = float(np.sqrt(np.mean(np.abs(finite) ** 2))) if finite.size else 1.0
    kind = _kind_of(wide)
    return Nature(kind, dtype, 1.0 if kind in UNIT else size or 1.0)


def _kind_of(values: np.ndarray) -> str:
    if not values.any() or values.dtype.kind == "c":  # weights may start at 0
        return "real"
    square = values.ndim >= 2 and values.shape[-1] == values.shape[-2] and values.shape[-1] > 1
    if square and np.isfinite(values).all():
        transposed = np.swapaxes(values, -1, -2)
        if np.allclose(values, transposed, rtol=1e-5, atol=1e-6):
            definite = np.linalg.eigvalsh(values).min() > 0
            return "positive definite" if definite else "symmetric"
        if not np.triu(values, 1).any():
            return "lower"
    if set(np.unique(values)) == {0.0, 1.0}:
        return "zero or one"
    if values.min() >= 0:
        if values.ndim and np.allclose(values.sum(-1), 1, rtol=1e-4) and values.shape[-1] > 1:
            return "probabilities"
        return "positive"
    return "real"


def like(
    nature: Nature, shape: Shape, pattern: str, rng: Generator, pool: Pool, below: int = 0
) -> Any:
    """A new array of a nature; integers stay below `below` if it is given."""
    if nature.kind == "key":
        return jax.random.key(int(rng.integers(2**31)))
    if nature.kind == "mask":
        return jnp.asarray(_mask(shape, pattern, rng))
    if nature.kind == "integers":
        high = min(nature.high, below - 1) if below else nature.high
        special = [
            *nature.special,
            *(n for n in pool.integers if _is_special(n, nature.high, below)),
        ]
        return jnp.asarray(_integers(shape, pattern, rng, special, max(high, 0)), nature.dtype)
    pool = Pool(tuple(number / nature.size for number in pool.floats), ())
    with np.errstate(invalid="ignore"):
        values = SHAPED.get(nature.kind, _real)(shape, pattern, rng, pool) * nature.size
        if jnp.issubdtype(nature.dtype, jnp.complexfloating):
            values = values + 1j * _real(shape, pattern, rng, pool) * nature.size
    return jnp.asarray(values, nature.dtype)


def _is_special(n: int, high: int, below: int) -> bool:
    """Whether an integer of the function is no ordinary place: below 0, or above all of them."""
    return n < 0 or (n > high and not below)


def _real(shape: Shape, pattern: str, rng: Generator, pool: Pool) -> np.ndarray:
    normal = rng.standard_normal(shape)
    if pattern == "ties":
        return rng.integers(-2, 3, shape).astype(np.float64)
    if pattern == "zeros":
        return np.where(rng.random(shape) < 0.4, 0.0, normal)
    if pattern == "zero rows":
        return with_first_row(normal, 0.0)
    if pattern == "nothing":
        return 0 * normal
    if pattern == "equal":
        return np.full(shape, rng.standard_normal())
    if pattern in ("constants", "near constants"):
        return _constants(normal, rng, pool, near=pattern == "near constants")
    if pattern in ("some nan", "some infinite"):
        hole = np.nan if pattern == "some nan" else -np.inf
        return np.where(rng.random(shape) < 0.2, hole, normal)
    scale = {
        "wide": 10.0 ** rng.uniform(-4, 3, shape),
        "tails": 15.0,
        "large": 1e3,
        "small": 1e-6,
    }
    return normal * scale.get(pattern, 1.0)


def _constants(normal: np.ndarray, rng: Generator, pool: Pool, *, near: bool) -> np.ndarray:
    """Some entries plus or minus a constant of the function, or just beside one."""
    if not pool.floats:
        return normal
    signs = rng.choice([-1.0, 1.0], normal.shape)
    picked = rng.choice(np.asarray(pool.floats), normal.shape) * signs
    beside = picked * (1 + 1e-3 * normal)
    return np.where(rng.random(normal.shape) < 0.6, beside if near else picked, normal)


def _positive(shape: Shape, pattern: str, rng: Generator, pool: Pool) -> np.ndarray:
    values = _real(shape, pattern, rng, pool)
    if pattern == "signs":
        return values
    return np.abs(values) + (1.0 if pattern == "ties" else 0.0)


def _probabilities(shape: Shape, pattern: str, rng: Generator, pool: Pool) -> np.ndarray:
    """Rows that add up to 1; but for normal values they need not, where no rule says so."""
    values = _positive(shape, pattern, rng, pool)
    if pattern in ("normal", "signs") or not values.ndim:
        return values
    return values / np.maximum(values.sum(-1, keepdims=True), 1e-9)


def _zero_or_one(shape: Shape, pattern: str, rng: Generator, pool: Pool) -> np.ndarray:
    return np.asarray(_mask(shape, pattern, rng), np.float64)


def _symmetric(shape: Shape, pattern: str, rng: Generator, pool: Pool) -> np.ndarray:
    values = _real(shape, pattern, rng, pool)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return values
    return (values + np.swapaxes(values, -1, -2)) / 2


def _definite(shape: Shape, pattern: str, rng: Generator, pool: Pool) -> np.ndarray:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return _positive(shape, pattern, rng, pool)
    root = rng.standard_normal(shape) / np.sqrt(shape[-1])
    return root @ np.swapaxes(root, -1, -2) + np.eye(shape[-1])


def _lower(shape: Shape, pattern: str, rng: Generator, pool: Pool) -> np.ndarray:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return _real(shape, pattern, rng, pool)
    return np.tril(rng.standard_normal(shape), -1) + (1 + rng.random(shape)) * np.eye(shape[-1])


SHAPED: dict[str, Callable[[Shape, str, Generator, Pool], np.ndarray]] = {
    "real": _real,
    "positive": _positive,
    "probabilities": _probabilities,
    "zero or one": _zero_or_one,
    "symmetric": _symmetric,
    "positive definite": _definite,
    "lower": _lower,
}


def _mask(shape: Shape, pattern: str, rng: Generator) -> np.ndarray:
    mask = rng.random(shape) < 0.6
    if pattern in ("all true", "all false"):
        return np.full(shape, pattern == "all true")
    if pattern == "a row false" and shape and shape[0]:
        mask[0] = False
    return mask


def _integers(
    shape: Shape, pattern: str, rng: Generator, special: list[int], high: int
) -> np.ndarray:
    """Places or labels from 0 to `high`; some or all of them special, -1 if nothing else is."""
    values = rng.integers(0, high + 1, shape)
    if pattern == "same labels":
        return np.full(shape, values.ravel()[0] if values.size else 0)
    if pattern in ("some special labels", "special labels"):
        picked = np.full(shape, rng.choice(special or [-1]))
        return np.where(rng.random(shape) < 0.5, picked, values) if "some" in pattern else picked
    return values
