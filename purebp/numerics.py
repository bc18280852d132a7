"""Precision: 16-bit values are summed, and pass through exp and the like, in float32."""

import jax.numpy as jnp
from jaxtyping import Array


def widen(x: Array) -> Array:
    """x in float32 where it has 16 bits; float32 and float64 stay as they are."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
