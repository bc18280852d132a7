"""What the modules of this package share: examples, demands on arguments, custom rules."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Example = Callable[[np.random.Generator], tuple[Any, ...]]


def normal(*shapes: tuple[int, ...]) -> Example:
    """An example of one normal array for each shape."""
    return partial(_normal, shapes)


def positive(*shapes: tuple[int, ...]) -> Example:
    """An example of one array between 1/2 and 3/2 for each shape."""
    return partial(_positive, shapes)


def _normal(shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator) -> tuple[Any, ...]:
    return tuple(as_float32(rng.standard_normal(shape)) for shape in shapes)


def _positive(shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator) -> tuple[Any, ...]:
    return tuple(as_float32(0.5 + rng.random(shape)) for shape in shapes)


def as_float32(values: Any) -> np.ndarray:
    """An array of float32."""
    return np.asarray(values, np.float32)


def demand(holds: bool, message: str) -> None:
    """Raise a ValueError unless a condition holds."""
    if not holds:
        raise ValueError(message)


def demand_same_shape(name: str, x: Any, y: Any) -> None:
    """Raise a ValueError unless two arguments have the same shape."""
    demand(jnp.shape(x) == jnp.shape(y), f"{name}: shapes {jnp.shape(x)} and {jnp.shape(y)} differ")


def demand_axis(name: str, x: Any) -> None:
    """Raise a ValueError unless an argument has an axis."""
    demand(jnp.ndim(x) >= 1, f"{name}: expected at least one axis, got a scalar")


def with_vjp(function: Any, fwd: Any, bwd: Any, nondiff_argnums: tuple[int, ...] = ()) -> Any:
    """A function with a hand-written backward pass."""
    made = jax.custom_vjp(function, nondiff_argnums=nondiff_argnums)
    made.defvjp(fwd, bwd)
    return made


def with_jvp(function: Any, rule: Any) -> Any:
    """A function with a hand-written rule `rule(primals, tangents)` for its derivative."""
    made = jax.custom_jvp(function)
    made.defjvp(rule)
    return made


def polynomial(coefficients, z):
    """The sum of c_k z^k."""
    total = jnp.zeros_like(z)
    for c in reversed(coefficients):
        total = total * z + c
    return total
