"""Loops: carries that change places, loops that stop early, loops with a largest length."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer

Array = Any
BOUND = 100.0


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def two_rows(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two states."""
    return _normal(rng, 4), _normal(rng, 4)


def sequence_and_decay(rng: np.random.Generator) -> tuple[Any, ...]:
    """Six inputs of three features, a decay for each, in float64."""
    return rng.standard_normal((6, 3)), rng.uniform(0.1, 0.9, 3)


def state_and_steps(rng: np.random.Generator) -> tuple[Any, ...]:
    """A state, the weights of five steps, and how many to take."""
    return _normal(rng, 3), _normal(rng, 5, 3), np.int32(5)


# -------------------------------------------------- two carries that change places


def alternate_fwd(a: Array, b: Array, *, steps: int = 1) -> tuple[Array, Any]:
    """sin(a) + sin(2 b) + sin(3 a) + ...: after each step a and b change places."""
    if a.shape != b.shape or steps < 0:
        raise ValueError(f"expected two of one shape, steps >= 0: {a.shape}, {b.shape}, {steps}")
    y, first, second = jnp.zeros_like(a), a, b
    for step in range(1, steps + 1):
        y = y + jnp.sin(step * first)
        first, second = second, first
    return y, (a, b)


def _slope(a: Array, b: Array, step: int) -> Array:
    """The slope of one step: odd steps saw a, even ones b."""
    return step * jnp.cos(step * (a if step % 2 else b))


def alternate_sequential_bwd(
    residuals: Any, y_bar: Array, *, steps: int = 1
) -> tuple[Array, Array]:
    """Backwards: each step undoes the exchange and adds to its first carry."""
    a, b = residuals
    first_bar, second_bar = jnp.zeros_like(a), jnp.zeros_like(b)
    for step in range(steps, 0, -1):
        first_bar = second_bar
        second_bar = first_bar
        first_bar = first_bar + y_bar * _slope(a, b, step)
    return first_bar, second_bar


def alternate_bwd(residuals: Any, y_bar: Array, *, steps: int = 1) -> tuple[Array, Array]:
    """The same, the exchange made at once."""
    a, b = residuals
    first_bar, second_bar = jnp.zeros_like(a), jnp.zeros_like(b)
    for step in range(steps, 0, -1):
        first_bar, second_bar = second_bar, first_bar
        first_bar = first_bar + y_bar * _slope(a, b, step)
    return first_bar, second_bar


# -------------------------------------------------- a loop that stops early, in NumPy


def scan_until_forward(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, Any]:
    """h = w h + x[t] from h = 0 on, until an entry of h reaches BOUND: the last h."""
    if x.ndim != 2 or w.shape != x.shape[1:]:
        raise ValueError(f"expected (steps, d) and (d), got {x.shape} and {w.shape}")
    states = np.zeros((len(x) + 1, *w.shape), x.dtype)
    taken = 0
    while taken < len(x):
        states[taken + 1] = w * states[taken] + x[taken]
        taken += 1
        if np.any(np.abs(states[taken]) >= BOUND):
            break
    return states[taken].copy(), (x, w, states, taken)


def _back(cache: Any, dout: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """dx[t] = dh, dw += dh h[t], dh = dh w for the steps from the last to the first."""
    x, w, states, _ = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    dh = dout.copy()
    for t in reversed(range(steps)):
        dx[t] = dh
        dw += dh * states[t]
        dh *= w
    return dx, dw


def scan_until_all_backward(dout: np.ndarray, cache: Any) -> tuple[np.ndarray, np.ndarray]:
    """Back over all steps."""
    return _back(cache, dout, len(cache[0]))


def scan_until_backward(dout: np.ndarray, cache: Any) -> tuple[np.ndarray, np.ndarray]:
    """Back over the steps that were taken."""
    return _back(cache, dout, cache[3])


# -------------------------------------------------- a loop with a largest length


def bounded_loop_fwd(h: Array, w: Array, count: Array) -> tuple[Array, Any]:
    """h = h + w[t] sin(h) for the first `count` of the steps that there are weights for."""
    if w.ndim == 0 or w.shape[1:] != h.shape or count.shape:
        raise ValueError(f"expected (d), (steps, d), (), got {h.shape}, {w.shape}, {count.shape}")

    def step(h: Array, inputs: Any) -> tuple[Array, Array]:
        t, weight = inputs
        return jnp.where(t < count, h + weight * jnp.sin(h), h), h

    y, states = lax.scan(step, h, (jnp.arange(len(w)), w))
    return y, (states, w, count)


def bounded_loop_padding_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array, None]:
    """Step by step back: w_bar[t] = h_bar sin(h), h_bar = h_bar (1 + w[t] cos(h))."""

    def step(h_bar: Array, inputs: Any) -> tuple[Array, Array]:
        h, weight = inputs
        return h_bar * (1 + weight * jnp.cos(h)), h_bar * jnp.sin(h)

    states, w, _ = residuals
    h_bar, w_bar = lax.scan(step, y_bar, (states, w), reverse=True)
    return h_bar, w_bar, None


def bounded_loop_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array, None]:
    """The same for the steps that were taken; the others hand h_bar on."""
    states, w, count = residuals

    def step(h_bar: Array, inputs: Any) -> tuple[Array, Array]:
        t, h, weight = inputs
        taken = t < count
        w_bar = jnp.where(taken, h_bar * jnp.sin(h), 0)
        return jnp.where(taken, h_bar * (1 + weight * jnp.cos(h)), h_bar), w_bar

    h_bar, w_bar = lax.scan(step, y_bar, (jnp.arange(len(w)), states, w), reverse=True)
    return h_bar, w_bar, None


LAYERS = (
    Layer(
        name="alternate",
        bug="B064",
        wrong=(alternate_fwd, alternate_sequential_bwd),
        right=(alternate_fwd, alternate_bwd),
        example=two_rows,
        diagnosis="option",
        why="from two steps on: the exchange one after the other loses what the first had",
    ),
    Layer(
        name="scan_until",
        bug="B107",
        wrong=(scan_until_forward, scan_until_all_backward),
        right=(scan_until_forward, scan_until_backward),
        example=sequence_and_decay,
        diagnosis="mask missing",
        why="where the loop stops before its last step",
    ),
    Layer(
        name="bounded_loop",
        bug="B200",
        wrong=(bounded_loop_fwd, bounded_loop_padding_bwd),
        right=(bounded_loop_fwd, bounded_loop_bwd),
        example=state_and_steps,
        diagnosis="mask missing",
        why="where fewer steps are taken than there are weights",
    ),
)
