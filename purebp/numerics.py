"""Precision: 16-bit values are summed, and pass through exp and the like, in float32."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def widen(x: Array) -> Array:
    """x in float32 where it has 16 bits; float32 and float64 stay as they are."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def zeros_of(like: Array) -> Array:
    """Zeros in the shape and dtype of an array, sharded and varying over a mesh as it does."""
    return jnp.where(jnp.zeros((), bool), like, 0)


def log1p_of_fraction(x: Array) -> Array:
    """ln(1 + x) for 0 <= x <= 1, faster than log1p: 2 artanh(s) with s = x / (2 + x) <= 1/3.

    >>> float(log1p_of_fraction(jnp.float32(1)))
    0.6931471824645996
    """
    twice = x * (1 / (1 + x / 2))  # x / 2 alone may underflow
    s = twice / 2
    square, total = s * s, jnp.zeros_like(s)
    for k in reversed(range(16 if x.dtype.itemsize == 8 else 7)):  # the next one is below eps / 4
        total = total * square + 1 / (2 * k + 1)
    return twice * total


def full_product(a: Array, b: Array) -> Array:
    """a @ b in the precision of a and b, on devices too that multiply with fewer digits."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
