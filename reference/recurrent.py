"""Recurrent layers: one step for each example and unit, and sequences as steps one by one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference.gates import sigmoid, tanh
from reference.layers import affine
from reference.shapes import Array, float64

Lengths = NDArray[np.integer] | None


def rnn_step(x: ArrayLike, h: ArrayLike, w_x: ArrayLike, w_h: ArrayLike, b: ArrayLike) -> Array:
    """tanh(x w_x + h w_h + b). Shapes: (n, d), (n, h), (d, h), (h, h), (h) -> (n, h)."""
    return tanh(affine(x, w_x, b) + affine(h, w_h))


def lstm_step(
    x: ArrayLike, h: ArrayLike, c: ArrayLike, w_x: ArrayLike, w_h: ArrayLike, b: ArrayLike
) -> tuple[Array, Array]:
    """c' = f c + i g, h' = o tanh c'; the columns of z are blocks i, f, o, g.

    Shapes: (n, d), (n, h), (n, h), (d, 4h), (h, 4h), (4h) -> (n, h), (n, h).
    """
    c = float64(c)
    z = affine(x, w_x, b) + affine(h, w_h)
    new_h, new_c, units = np.empty(c.shape), np.empty(c.shape), c.shape[1]
    for n, u in np.ndindex(c.shape):
        i, f, o = (float(sigmoid(z[n, block * units + u])) for block in range(3))
        g = float(tanh(z[n, 3 * units + u]))
        new_c[n, u] = f * c[n, u] + i * g
        new_h[n, u] = o * float(tanh(new_c[n, u]))
    return new_h, new_c


def gru_gates(
    x: ArrayLike, h: ArrayLike, w_x: ArrayLike, w_h: ArrayLike, b: ArrayLike
) -> tuple[Array, Array]:
    """(a_r, a_z), before the sigmoid."""
    w_x, w_h, b, units = float64(w_x), float64(w_h), float64(b), float64(h).shape[1]
    blocks = [slice(k * units, (k + 1) * units) for k in range(2)]
    a_r, a_z = (affine(x, w_x[:, s], b[s]) + affine(h, w_h[:, s]) for s in blocks)
    return a_r, a_z


def gru_step(
    x: ArrayLike,
    h: ArrayLike,
    w_x: ArrayLike,
    w_h: ArrayLike,
    b: ArrayLike,
    b_hidden: ArrayLike | None = None,
    *,
    reset: str = "after",
) -> Array:
    """h' = (1 - z) n + z h, 1 - z as sigmoid(-a_z); blocks r, z, n.

    Shapes: (n, d), (n, h), (d, 3h), (h, 3h), (3h), (h) or None -> (n, h).
    """
    h, w_x, w_h, b = float64(h), float64(w_x), float64(w_h), float64(b)
    units = h.shape[1]
    bias = np.zeros(units) if b_hidden is None else float64(b_hidden)
    a_r, a_z = gru_gates(x, h, w_x, w_h, b)
    r, last = sigmoid(a_r), slice(2 * units, 3 * units)
    if reset == "after":
        inner = r * affine(h, w_h[:, last], bias)
    else:
        inner = affine(r * h, w_h[:, last], bias)
    n = tanh(affine(x, w_x[:, last], b[last]) + inner)
    return sigmoid(-a_z) * n + sigmoid(a_z) * h


def order(steps: int, length: int, reverse: bool) -> list[int]:
    """The times of the valid steps, in the order in which they are walked."""
    times = list(range(min(steps, length)))
    return times[::-1] if reverse else times


def over_time(
    step: Callable[..., tuple[Array, ...]],
    x: ArrayLike,
    states: tuple[ArrayLike, ...],
    weights: tuple[Any, ...],
    lengths: Lengths,
    reverse: bool,
) -> tuple[Array, ...]:
    """(y, *final states), example by example; where there is no step, y repeats the state."""
    x, firsts = float64(x), [float64(state) for state in states]
    y = np.empty((*x.shape[:2], firsts[0].shape[1]))
    finals = tuple(np.empty(first.shape) for first in firsts)
    ends = np.full(len(x), x.shape[1]) if lengths is None else np.asarray(lengths)
    for n in range(len(x)):
        state = tuple(first[n : n + 1] for first in firsts)
        times = order(x.shape[1], int(ends[n]), reverse)
        rest = [t for t in range(x.shape[1]) if t not in times]
        if reverse:
            y[n, rest] = state[0]
        for t in times:
            state = step(x[n : n + 1, t], *state, *weights)
            y[n, t] = state[0][0]
        if not reverse:
            y[n, rest] = state[0]
        for final, each in zip(finals, state, strict=True):
            final[n] = each[0]
    return y, *finals


def rnn(x, h0, w_x, w_h, b, lengths: Lengths = None, *, reverse: bool = False):
    """rnn_step at every time. Shapes: (n, t, d), (n, h), weights -> (n, t, h), (n, h)."""

    def step(*args: Any) -> tuple[Array]:
        return (rnn_step(*args),)

    return over_time(step, x, (h0,), (w_x, w_h, b), lengths, reverse)


def lstm(x, h0, c0, w_x, w_h, b, lengths: Lengths = None, *, reverse: bool = False):
    """lstm_step at every time. Shapes: (n, t, d), two (n, h), weights -> (n, t, h), two (n, h)."""
    return over_time(lstm_step, x, (h0, c0), (w_x, w_h, b), lengths, reverse)


def gru(
    x, h0, w_x, w_h, b, b_hidden=None, lengths: Lengths = None, *, reset="after", reverse=False
):
    """gru_step at every time. Shapes: (n, t, d), (n, h), weights -> (n, t, h), (n, h)."""

    def step(*args: Any) -> tuple[Array]:
        return (gru_step(*args, reset=reset),)

    return over_time(step, x, (h0,), (w_x, w_h, b, b_hidden), lengths, reverse)


def side_by_side(sequence: Callable, states: int, x, weights, lengths, **options) -> Array:
    """Two sequences from zeros, the second one in reverse. Shapes: (n, t, d), ... -> (n, t, 2h)."""
    zeros = [np.zeros((len(x), np.shape(weights[1])[1]))] * states
    halves = []
    for i in range(2):
        own = [None if w is None else w[i] for w in weights]
        halves.append(sequence(x, *zeros, *own, lengths, reverse=bool(i), **options)[0])
    return np.concatenate(halves, axis=-1)


def bidirectional_rnn(x, w_x, w_h, b, lengths: Lengths = None):
    """Two RNNs side by side."""
    return side_by_side(rnn, 1, x, (w_x, w_h, b), lengths)


def bidirectional_lstm(x, w_x, w_h, b, lengths: Lengths = None):
    """Two LSTMs side by side."""
    return side_by_side(lstm, 2, x, (w_x, w_h, b), lengths)


def bidirectional_gru(x, w_x, w_h, b, b_hidden=None, lengths: Lengths = None, *, reset="after"):
    """Two GRUs side by side."""
    return side_by_side(gru, 1, x, (w_x, w_h, b, b_hidden), lengths, reset=reset)


DEFINITIONS: dict[str, Callable] = {
    "rnn_step": rnn_step,
    "rnn": rnn,
    "lstm_step": lstm_step,
    "lstm": lstm,
    "bidirectional_rnn": bidirectional_rnn,
    "bidirectional_lstm": bidirectional_lstm,
    "bidirectional_gru": bidirectional_gru,
    "gru_step": gru_step,
    "gru": gru,
}
