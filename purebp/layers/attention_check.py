"""What attention refuses, beyond what annotations say; and what it is tried on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from purebp.errors import ArgumentError, OptionError, ShapeError
from purebp.layers.attention_blocks import Window
from purebp.layers.attention_terms import Key


def check_dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    lengths: Array | None = None,
    mask: Array | None = None,
    bias: Array | None = None,
    sinks: Array | None = None,
    slopes: Array | None = None,
    key: Key = None,
    *,
    causal: bool,
    window: Window,
    softcap: float | None = None,
    scale: float | None = None,
    rate: float = 0.0,
    block: int | None = None,
) -> None:
    """Raise unless the heads fit, and the options make sense."""
    op, heads, shared = "dot_product_attention", q.shape[-2], k.shape[-2]
    if shared == 0 or heads % shared:
        raise ShapeError(
            f"{op}: q has {heads} heads and k has {shared}, expected a multiple of the heads of k"
        )
    sides = window if isinstance(window, tuple) else (0 if window is None else window,) * 2
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 0 for side in sides):
        raise OptionError(
            f"{op}: window is {window!r}, expected None, or how many keys back and ahead are seen: "
            "a number from 0 on, or a pair of them"
        )
    if softcap is not None and not softcap > 0:
        raise OptionError(f"{op}: softcap is {softcap}, expected None or a number above 0")
    if not 0 <= rate < 1:
        raise OptionError(f"{op}: rate is {rate}, expected a rate from 0 to below 1")
    if rate and key is None:
        raise ArgumentError(f"{op}: key is None, expected a PRNG key: rate is {rate}")
    if block is not None and (not isinstance(block, int) or block < 1):
        raise OptionError(f"{op}: block is {block!r}, expected None or a number of rows")


def example(rng: np.random.Generator) -> tuple[Any, ...]:
    """Arguments for verification: the second query sees nothing, the others several keys."""
    shapes = (2, 4, 2, 2), (2, 5, 1, 2), (2, 5, 1, 2)
    q, k, v = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)
    mask = np.ones((1, 1, 4, 5), bool)
    mask[..., 1, :] = mask[..., 3, 0] = False
    bias, sinks = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((1, 2, 4, 5), 2))
    lengths, slopes = jnp.asarray([5, 3], jnp.int32), jnp.asarray([0.5, 0.25], jnp.float32)
    return q, k, v, lengths, jnp.asarray(mask), bias, sinks, slopes, jax.random.key(3)
