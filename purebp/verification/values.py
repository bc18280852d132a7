"""The numbers of a case: drawn in a pattern from a domain, or an example's moved."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from purebp.op import Domain


def draw_values(
    rng: np.random.Generator, shape: tuple[int, ...], domain: Domain, pattern: str
) -> np.ndarray:
    """Numbers of a pattern in a domain."""
    normal = rng.standard_normal(shape)
    if pattern == "ties":
        values = np.asarray(rng.integers(-2, 3, shape), np.float64)
    elif pattern == "wide":
        values = normal * 10.0 ** rng.uniform(-4, 1, shape)
    elif pattern == "tails":
        values = 12.0 * normal
    elif pattern == "zero rows":
        values = with_first_row(normal, 0.0)
    else:
        values = normal
    if domain.kind == "positive":
        return np.abs(values) + (1.0 if pattern == "ties" else 1e-2)
    if domain.kind == "nonzero":
        return np.where(values < 0, values - 0.25, values + 0.25)
    if domain.kind == "between":
        return _between(values, domain.low, domain.high)
    return values


def with_first_row(values: np.ndarray, number: float | bool) -> np.ndarray:
    """A copy whose first row, along the first axis, is one number."""
    values = np.array(values)
    if values.ndim and len(values):
        values[0] = number
    return values


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    if np.isinf(low) and np.isinf(high):
        return values
    if np.isinf(high):
        return low + np.abs(values) + 1e-2
    if np.isinf(low):
        return high - np.abs(values) - 1e-2
    return (low + high) / 2 + (high - low) / 2 * values / (1 + np.abs(values))


def vary(leaf: Any, pattern: str, rng: np.random.Generator) -> Any:
    """The array of an example moved or drawn anew; what is not a number stays."""
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        parts = (vary(part, pattern, rng) for part in (leaf.real, leaf.imag))
        return lax.complex(*parts)
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    values = np.asarray(leaf, np.float64)
    normal = rng.standard_normal(values.shape)
    size = float(np.sqrt(np.mean(values**2))) if values.size else 1.0
    if pattern == "ties":
        values = np.asarray(rng.integers(-2, 3, values.shape), np.float64)
    elif pattern == "wide":
        values = values * 10.0 ** rng.uniform(-4, 1, values.shape)
    elif pattern == "tails":
        values = values + 3 * size * normal
    elif pattern == "zero rows":
        values = with_first_row(values, 0.0)
    else:
        values = values + 0.3 * size * normal
    return jnp.asarray(values, leaf.dtype)
