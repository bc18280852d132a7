"""Scans over time, against `lax.scan` and `lax.associative_scan`."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, Draw, Inputs, normal, positive
from purebp.layers import selective_scan


def scan_selective(u: Array, delta: Array, a: Array, b: Array, c: Array, d: Array) -> Array:
    def step(h: Array, xs: tuple[Array, ...]) -> tuple[Array, Array]:
        u, delta, b, c = xs
        h = jnp.exp(delta[..., None] * a) * h + (delta * u)[..., None] * b[:, None]
        return h, jnp.einsum("nds,ns->nd", h, c)

    by_time = tuple(jnp.moveaxis(x, 1, 0) for x in (u, delta, b, c))
    _, y = lax.scan(step, jnp.zeros((len(u), *a.shape)), by_time)
    return jnp.moveaxis(y, 0, 1) + d * u


def associative_selective(u: Array, delta: Array, a: Array, b: Array, c: Array, d: Array) -> Array:
    decay = jnp.exp(delta[..., None] * a)
    drive = (delta * u)[..., None] * b[:, :, None]
    _, h = lax.associative_scan(then, (decay, drive), axis=1)
    return jnp.einsum("ntds,nts->ntd", h, c) + d * u


def then(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """Two steps h -> a h + b as one."""
    return first[0] * second[0], second[0] * first[1] + second[1]


def selective_inputs(n: int, t: int, d: int, s: int) -> Inputs:
    """Steps from 0.5 to 2, and a from -2 to -0.5."""
    weights = negative(d, s), normal(n, t, s), normal(n, t, s), normal(d)
    return normal(n, t, d), positive(n, t, d), *weights


def negative(*shape: int) -> Draw:
    """Values from -2 to -0.5 in float32."""
    return partial(_negative, positive(*shape))


def _negative(draw: Draw, rng: np.random.Generator) -> Array:
    return -draw(rng)


SMALL, LARGE = selective_inputs(2, 16, 8, 4), selective_inputs(2, 1024, 256, 16)

CASES = (
    Case(selective_scan, scan_selective, "lax.scan", SMALL, LARGE),
    Case(
        selective_scan,
        associative_selective,
        "lax.associative_scan",
        SMALL,
        LARGE,
        label="associative",
    ),
)
