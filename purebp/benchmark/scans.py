"""Scans over time, against `lax.scan` and `lax.associative_scan`."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, Draw, Inputs, normal, positive
from purebp.layers import gated_linear_attention, lora_affine, selective_scan
from purebp.op import FIXED, Op

Pair = tuple[Array, Array]


def scan_selective(u: Array, delta: Array, a: Array, b: Array, c: Array, d: Array) -> Pair:
    def step(h: Array, xs: tuple[Array, ...]) -> Pair:
        u, delta, b, c = xs
        h = jnp.exp(delta[..., None] * a) * h + (delta * u)[..., None] * b[:, None]
        return h, jnp.einsum("nds,ns->nd", h, c)

    by_time = tuple(jnp.moveaxis(x, 1, 0) for x in (u, delta, b, c))
    final, y = lax.scan(step, jnp.zeros((len(u), *a.shape)), by_time)
    return jnp.moveaxis(y, 0, 1) + d * u, final


def associative_selective(u: Array, delta: Array, a: Array, b: Array, c: Array, d: Array) -> Pair:
    decay = jnp.exp(delta[..., None] * a)
    drive = (delta * u)[..., None] * b[:, :, None]
    _, h = lax.associative_scan(then, (decay, drive), axis=1)
    return jnp.einsum("ntds,nts->ntd", h, c) + d * u, h[:, -1]


def then(first: Pair, second: Pair) -> Pair:
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


def scan_linear_attention(q: Array, k: Array, v: Array, g: Array) -> Pair:
    def step(s: Array, xs: tuple[Array, ...]) -> Pair:
        q, k, v, g = xs
        s = jnp.exp(g)[..., None] * s + k[..., None] * v[..., None, :]
        return s, jnp.einsum("nhde,nhd->nhe", s, q)

    n, _, h, d = k.shape
    by_time = tuple(jnp.moveaxis(x, 1, 0) for x in (q, k, v, g))
    final, o = lax.scan(step, jnp.zeros((n, h, d, v.shape[-1])), by_time)
    return jnp.moveaxis(o, 0, 1), final


def linear_attention_inputs(n: int, t: int, h: int, d: int) -> Inputs:
    """Queries, keys, values, and gates from -2 to -0.5."""
    return *(normal(n, t, h, d),) * 3, negative(n, t, h, d)


def plain_lora(x: Array, w: Array, down: Array, up: Array) -> Array:
    return x @ w + (x @ down) @ up


def lora_inputs(n: int, d: int, k: int, r: int) -> Inputs:
    """Tokens, weights, and a change of rank r."""
    return normal(n, d), normal(d, k), normal(d, r), normal(r, k)


PASSES = lora_affine.forward, lora_affine.backward, lora_affine.definition
FROZEN = Op(*PASSES, domains={"w": FIXED})
SMALL, LARGE = selective_inputs(2, 16, 8, 4), selective_inputs(2, 1024, 256, 16)

CASES = (
    Case(
        gated_linear_attention,
        scan_linear_attention,
        "lax.scan",
        linear_attention_inputs(2, 16, 2, 8),
        linear_attention_inputs(2, 1024, 4, 64),
        more_memory="small: the decays between all steps of a piece, which is all there is",
    ),
    Case(
        lora_affine,
        plain_lora,
        "jnp",
        lora_inputs(16, 32, 32, 4),
        lora_inputs(2048, 1024, 1024, 8),
    ),
    Case(
        FROZEN,
        plain_lora,
        "jnp, w not differentiated",
        lora_inputs(16, 32, 32, 4),
        lora_inputs(2048, 1024, 1024, 8),
        options={"frozen": True},
        label="frozen",
    ),
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
