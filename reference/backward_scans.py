"""Backward passes of the scans; see `reference.backward_gates`."""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.scans import selective_states
from reference.shapes import Array, float64


def selective_scan_backward(
    args: Arguments, y_bar: Array, *, block: int = 64
) -> tuple[Array | None, ...]:
    """The loop over the steps from the last to the first, state by state."""
    u, delta, a, b, c = map(float64, args[:5])
    d, g = args[5] if len(args) > 5 else None, float64(y_bar)
    states = selective_states(u, delta, a, b)
    u_bar, delta_bar, a_bar, b_bar, c_bar = (np.zeros(x.shape) for x in (u, delta, a, b, c))
    for n, i, s in np.ndindex(u.shape[0], *a.shape):
        state_bar = 0.0
        for t in reversed(range(u.shape[1])):
            state_bar += c[n, t, s] * g[n, t, i]
            c_bar[n, t, s] += states[n, t, i, s] * g[n, t, i]
            decay = np.exp(delta[n, t, i] * a[i, s])
            decay_bar = state_bar * (states[n, t - 1, i, s] if t else 0.0)
            delta_bar[n, t, i] += decay_bar * decay * a[i, s] + state_bar * b[n, t, s] * u[n, t, i]
            a_bar[i, s] += decay_bar * decay * delta[n, t, i]
            b_bar[n, t, s] += state_bar * delta[n, t, i] * u[n, t, i]
            u_bar[n, t, i] += state_bar * delta[n, t, i] * b[n, t, s]
            state_bar *= decay
    bars = (u_bar, delta_bar, a_bar, b_bar, c_bar)
    if d is None:
        return (*bars, None)[: len(args)]
    return u_bar + g * float64(d), *bars[1:], (g * u).sum(axis=(0, 1))


BACKWARD: dict[str, Callable] = {"selective_scan": selective_scan_backward}
