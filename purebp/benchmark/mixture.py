"""Mixtures of experts, against all experts for all tokens and against `lax.ragged_dot`."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, Inputs, normal
from purebp.layers import mixture_of_experts
from purebp.losses import load_balance

TOP = 2


def dense_mixture(x: Array, router: Array, w_gate: Array, w_up: Array, w_down: Array) -> Array:
    """Every expert for every token, as einsums."""
    best, chosen = lax.top_k(x @ router, TOP)
    hits = jax.nn.one_hot(chosen, router.shape[1])
    shares = jnp.einsum("nk,nke->ne", jax.nn.softmax(best), hits)
    a, b = (jnp.einsum("nd,edf->nef", x, w) for w in (w_gate, w_up))
    return jnp.einsum("nef,efd,ne->nd", jax.nn.silu(a) * b, w_down, shares)


def ragged_mixture(x: Array, router: Array, w_gate: Array, w_up: Array, w_down: Array) -> Array:
    """Tokens sorted by expert, and products of ragged groups, as MaxText does it."""
    best, chosen = lax.top_k(x @ router, TOP)
    order = jnp.argsort(chosen.reshape(-1))
    sizes = jnp.bincount(chosen.reshape(-1), length=router.shape[1])
    rows = x[order // TOP]
    a, b = (lax.ragged_dot(rows, w, sizes) for w in (w_gate, w_up))
    y = lax.ragged_dot(jax.nn.silu(a) * b, w_down, sizes)[jnp.argsort(order)]
    return jnp.einsum("nk,nkd->nd", jax.nn.softmax(best), y.reshape(len(x), TOP, -1))


def switch_balance(logits: Array) -> Array:
    """The auxiliary loss as in Hugging Face."""
    shares = jax.nn.softmax(logits)
    _, chosen = lax.top_k(shares, TOP)
    counts = jnp.mean(jax.nn.one_hot(chosen, logits.shape[-1]), axis=(0, 1))
    return logits.shape[-1] * jnp.sum(counts * jnp.mean(shares, axis=0))


def inputs(n: int, d: int, e: int, f: int) -> Inputs:
    """Tokens, router and weights whose products keep their size."""
    wide, narrow = normal(e, d, f, scale=d**-0.5), normal(e, f, d, scale=f**-0.5)
    return normal(n, d), normal(d, e, scale=d**-0.5), wide, wide, narrow


SMALL, LARGE = inputs(16, 16, 4, 8), inputs(1024, 256, 8, 512)
PADDING = "rows that fill up each expert's blocks; the flops are those of the chosen experts alone"

CASES = (
    Case(mixture_of_experts, dense_mixture, "einsum, dense", SMALL, LARGE, more_memory=PADDING),
    Case(
        mixture_of_experts,
        ragged_mixture,
        "lax.ragged_dot",
        SMALL,
        LARGE,
        label="ragged",
        more_memory=PADDING,
    ),
    Case(load_balance, switch_balance, "jnp", (normal(32, 4),), (normal(65536, 16),)),
)
