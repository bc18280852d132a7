"""Fourier transforms of real signals; JAX has the same rules for them, so that they tie."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp import gates
from purebp.benchmark.case import Case, Draw, normal


def wave(*shape: int) -> Draw:
    """Normal complex values."""
    return partial(_wave, shape)


def _wave(shape: tuple[int, ...], rng: np.random.Generator) -> jax.Array:
    parts = (rng.standard_normal(shape, np.float32) for _ in range(2))
    return jax.lax.complex(*map(jnp.asarray, parts))


def torch_rfft(torch: Any, x: Any) -> Any:
    return torch.fft.rfft(x)


def torch_irfft(torch: Any, x: Any) -> Any:
    return torch.fft.irfft(x)


CASES = (
    Case(
        gates.rfft,
        jnp.fft.rfft,
        "jnp.fft.rfft",
        (normal(8, 64),),
        (normal(64, 16384),),
        torch=torch_rfft,
    ),
    Case(
        gates.irfft,
        jnp.fft.irfft,
        "jnp.fft.irfft",
        (wave(8, 33),),
        (wave(64, 8193),),
        torch=torch_irfft,
    ),
)
