"""Backward passes of the scans; see `reference.backward_gates`."""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.backward_layers import affine_backward
from reference.scans import attention_states, selective_states
from reference.shapes import Array, float64


def selective_scan_backward(
    args: Arguments, y_bar: tuple[Array, Array], *, block: int = 64
) -> tuple[Array | None, ...]:
    """The loop over the steps from the last to the first, state by state."""
    u, delta, a, b, c = map(float64, args[:5])
    d, h0 = (*args[5:], None, None)[:2]
    g, h_bar = float64(y_bar[0]), float64(y_bar[1]).copy()
    states = selective_states(u, delta, a, b, h0)
    u_bar, delta_bar, a_bar, b_bar, c_bar = (np.zeros(x.shape) for x in (u, delta, a, b, c))
    for n, i, s in np.ndindex(u.shape[0], *a.shape):
        state_bar = h_bar[n, i, s]
        for t in reversed(range(u.shape[1])):
            state_bar += c[n, t, s] * g[n, t, i]
            c_bar[n, t, s] += states[n, t + 1, i, s] * g[n, t, i]
            decay = np.exp(delta[n, t, i] * a[i, s])
            decay_bar = state_bar * states[n, t, i, s]
            delta_bar[n, t, i] += decay_bar * decay * a[i, s] + state_bar * b[n, t, s] * u[n, t, i]
            a_bar[i, s] += decay_bar * decay * delta[n, t, i]
            b_bar[n, t, s] += state_bar * delta[n, t, i] * u[n, t, i]
            u_bar[n, t, i] += state_bar * delta[n, t, i] * b[n, t, s]
            state_bar *= decay
        h_bar[n, i, s] = state_bar
    d_bar = None if d is None else (g * u).sum(axis=(0, 1))
    u_bar = u_bar if d is None else u_bar + g * float64(d)
    first_bar = None if h0 is None else h_bar
    return (u_bar, delta_bar, a_bar, b_bar, c_bar, d_bar, first_bar)[: len(args)]


def gated_linear_attention_backward(
    args: Arguments, y_bar: tuple[Array, Array], *, block: int = 16
) -> tuple[Array | None, ...]:
    """The loop over the steps from the last to the first, row by row of the state."""
    q, k, v, g = map(float64, args[:4])
    state = args[4] if len(args) > 4 else None
    states = attention_states(k, v, g, None if state is None else float64(state))
    q_bar, k_bar, v_bar, g_bar = (np.zeros(x.shape) for x in (q, k, v, g))
    o_bar, state_bar = float64(y_bar[0]), float64(y_bar[1]).copy()
    for i, h, a in np.ndindex(q.shape[0], *q.shape[2:]):
        row_bar = state_bar[i, h, a]
        for t in reversed(range(q.shape[1])):
            q_bar[i, t, h, a] = sum(states[i, t + 1, h, a] * o_bar[i, t, h])
            row_bar = row_bar + q[i, t, h, a] * o_bar[i, t, h]
            k_bar[i, t, h, a] = sum(row_bar * v[i, t, h])
            v_bar[i, t, h] += row_bar * k[i, t, h, a]
            row_bar = row_bar * np.exp(g[i, t, h, a])
            g_bar[i, t, h, a] = sum(row_bar * states[i, t, h, a])
        state_bar[i, h, a] = row_bar
    whole = (q_bar, k_bar, v_bar, g_bar, None if state is None else state_bar)
    return whole[: len(args)]


def lora_affine_backward(
    args: Arguments, y_bar: Array, *, scale: float = 1.0
) -> tuple[Array | None, ...]:
    """Through the changed weights: what they get, down and up get by the product rule."""
    x, w, down, up = map(float64, args[:4])
    b = args[4] if len(args) > 4 else None
    x_bar, changed_bar, b_bar = affine_backward((x, w + scale * down @ up, b), float64(y_bar))
    bars = (x_bar, changed_bar, scale * changed_bar @ up.T, scale * down.T @ changed_bar, b_bar)
    return bars[: len(args)]


BACKWARD: dict[str, Callable] = {
    "selective_scan": selective_scan_backward,
    "gated_linear_attention": gated_linear_attention_backward,
    "lora_affine": lora_affine_backward,
}
