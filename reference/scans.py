"""Scans: recurrences whose coefficients come from the input, step by step."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, float64


def selective_states(u: Array, delta: Array, a: Array, b: Array) -> Array:
    """h[n, t, i, s] = e^(delta a) h before + delta b u."""
    states = np.zeros((*u.shape, a.shape[1]))
    for n, t, i, s in np.ndindex(states.shape):
        before = states[n, t - 1, i, s] if t else 0.0
        kept = np.exp(delta[n, t, i] * a[i, s]) * before
        states[n, t, i, s] = kept + delta[n, t, i] * b[n, t, s] * u[n, t, i]
    return states


def selective_scan(
    u: ArrayLike,
    delta: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    c: ArrayLike,
    d: ArrayLike | None = None,
    *,
    block: int = 64,
) -> Array:
    """y = sum over the states of c h, plus d u; `block` changes nothing.

    Shapes: twice (n, t, d), (d, s), twice (n, t, s), (d) or None -> (n, t, d).
    """
    u, delta, a, b, c = map(float64, (u, delta, a, b, c))
    states = selective_states(u, delta, a, b)
    skipped = np.zeros(u.shape[2]) if d is None else float64(d)
    y = np.zeros(u.shape)
    for n, t, i in np.ndindex(u.shape):
        y[n, t, i] = sum(c[n, t] * states[n, t, i]) + skipped[i] * u[n, t, i]
    return y


DEFINITIONS: dict[str, Callable] = {"selective_scan": selective_scan}
