"""Scans: recurrences whose coefficients come from the input, step by step."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.layers import affine
from reference.shapes import Array, float64


def selective_states(u: Array, delta: Array, a: Array, b: Array, h0: ArrayLike | None) -> Array:
    """The state before the first step and after each one: e^(delta a) h before + delta b u."""
    count, steps, features = u.shape
    states = np.zeros((count, steps + 1, features, a.shape[1]))
    if h0 is not None:
        states[:, 0] = float64(h0)
    for n, t, i, s in np.ndindex(count, steps, *a.shape):
        kept = np.exp(delta[n, t, i] * a[i, s]) * states[n, t, i, s]
        states[n, t + 1, i, s] = kept + delta[n, t, i] * b[n, t, s] * u[n, t, i]
    return states


def selective_scan(
    u: ArrayLike,
    delta: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    c: ArrayLike,
    d: ArrayLike | None = None,
    h0: ArrayLike | None = None,
    *,
    block: int = 64,
) -> tuple[Array, Array]:
    """y = sum over the states of c h, plus d u; and the last state. `block` changes nothing.

    Shapes: twice (n, t, d), (d, s), twice (n, t, s), (d) or None, (n, d, s) or None ->
    (n, t, d), (n, d, s).
    """
    u, delta, a, b, c = map(float64, (u, delta, a, b, c))
    states = selective_states(u, delta, a, b, h0)
    skipped = np.zeros(u.shape[2]) if d is None else float64(d)
    y = np.zeros(u.shape)
    for n, t, i in np.ndindex(u.shape):
        y[n, t, i] = sum(c[n, t] * states[n, t + 1, i]) + skipped[i] * u[n, t, i]
    return y, states[:, -1]


def attention_states(k: Array, v: Array, g: Array, state: Array | None) -> Array:
    """The state before the first step and after each one: (n, t + 1, h, d, e)."""
    n, steps, heads, d = k.shape
    states = np.zeros((n, steps + 1, heads, d, v.shape[-1]))
    if state is not None:
        states[:, 0] = state
    for i, t, h, a in np.ndindex(k.shape):
        kept = np.exp(g[i, t, h, a]) * states[i, t, h, a]
        states[i, t + 1, h, a] = kept + k[i, t, h, a] * v[i, t, h]
    return states


def gated_linear_attention(
    q: ArrayLike,
    k: ArrayLike,
    v: ArrayLike,
    g: ArrayLike,
    state: ArrayLike | None = None,
    *,
    block: int = 16,
) -> tuple[Array, Array]:
    """What each query reads from the state, and the last state; `block` changes nothing.

    Shapes: q, k, g (n, t, h, d), v (n, t, h, e), (n, h, d, e) or None -> (n, t, h, e), the state.
    """
    q, k, v, g = map(float64, (q, k, v, g))
    states = attention_states(k, v, g, None if state is None else float64(state))
    o = np.zeros(v.shape)
    for i, t, h, a in np.ndindex(q.shape):
        o[i, t, h] += q[i, t, h, a] * states[i, t + 1, h, a]
    return o, states[:, -1]


def lora_affine(
    x: ArrayLike,
    w: ArrayLike,
    down: ArrayLike,
    up: ArrayLike,
    b: ArrayLike | None = None,
    *,
    scale: float = 1.0,
) -> Array:
    """An affine layer with the weights w + scale down up. Shapes: of affine, (d, r), (r, k)."""
    changed = float64(w).copy()
    for i, j in np.ndindex(changed.shape):
        changed[i, j] += scale * sum(float64(down)[i] * float64(up)[:, j])
    return affine(x, changed, b)


DEFINITIONS: dict[str, Callable] = {
    "selective_scan": selective_scan,
    "gated_linear_attention": gated_linear_attention,
    "lora_affine": lora_affine,
}
