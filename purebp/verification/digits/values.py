"""Arrays of mpmath numbers.

An array of floating numbers becomes a NumPy array of mpmath numbers; integers, booleans and keys
stay as they are.
"""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

DIGITS = 120
MP: Any = mpmath.MPContext()  # mpmath makes most of its functions when it is imported
MP.dps = DIGITS
NAN, INF = MP.nan, MP.inf

Exact = np.ndarray[Any, Any]


class UnsupportedError(Exception):
    """The program has a step that cannot be run with many digits."""


def is_exact(x: Any) -> bool:
    """Whether an array holds mpmath numbers."""
    return isinstance(x, np.ndarray) and x.dtype == object


def is_floating(dtype: Any) -> bool:
    """Whether numbers of a dtype become mpmath numbers."""
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise UnsupportedError("complex numbers")
    return bool(jnp.issubdtype(dtype, jnp.floating))


def exact(x: Any) -> Exact:
    """The numbers of an array as they are, without rounding."""
    numbers = np.asarray(x, np.float64)
    return filled(numbers.shape, [MP.mpf(float(number)) for number in numbers.ravel()])


def filled(shape: tuple[int, ...], numbers: list[Any]) -> Exact:
    """An array of objects with these entries."""
    flat = np.empty(len(numbers), object)
    flat[:] = numbers
    return flat.reshape(shape)


def rounded(x: Exact) -> np.ndarray:
    """In float64."""
    return np.asarray([float(number) for number in x.ravel()], np.float64).reshape(x.shape)


def value_of(x: Any, dtype: Any) -> Any:
    """An array or scalar as the interpreter holds it."""
    if is_floating(dtype):
        return x if is_exact(x) else exact(x)
    is_key = jnp.issubdtype(dtype, jax.dtypes.extended)
    return x if is_key else np.asarray(x)
