"""Backward passes of the recurrent layers; see `reference.backward_gates`.

A sequence walks its steps back one by one, and adds up the gradients of the weights on the way.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.backward_gates import Arguments, sigmoid_slope, tanh_slope
from reference.backward_layers import affine_backward
from reference.gates import each, sigmoid, tanh
from reference.layers import affine
from reference.recurrent import gru_gates, gru_step, lstm_step, order, rnn_step
from reference.shapes import Array, float64

Bars = tuple[Array | None, ...]


def rnn_step_backward(args: Arguments, y_bar: Array) -> Bars:
    """Through tanh, then through the two affine layers."""
    x, h, w_x, w_h, b = map(float64, args)
    z_bar = float64(y_bar) * each(tanh_slope, affine(x, w_x, b) + affine(h, w_h))
    x_bar, w_x_bar, b_bar = affine_backward((x, w_x, b), z_bar)
    h_bar, w_h_bar, _ = affine_backward((h, w_h), z_bar)
    return x_bar, h_bar, w_x_bar, w_h_bar, b_bar


def lstm_step_backward(args: Arguments, y_bar: tuple[Array, Array]) -> Bars:
    """h' = o tanh c', then c' = f c + i g, then the gates, then the two affine layers."""
    x, h, c, w_x, w_h, b = map(float64, args)
    z, units = affine(x, w_x, b) + affine(h, w_h), c.shape[1]
    new_c = lstm_step(*args)[1]
    z_bar, c_bar = np.empty(z.shape), np.empty(c.shape)
    for n, u in np.ndindex(c.shape):
        at = [(n, block * units + u) for block in range(4)]
        i, f, o = (float(sigmoid(z[place])) for place in at[:3])
        h_up, c_up = float(y_bar[0][n, u]), float(y_bar[1][n, u])
        c_up += h_up * o * tanh_slope(float(new_c[n, u]))
        z_bar[at[0]] = c_up * float(tanh(z[at[3]])) * sigmoid_slope(float(z[at[0]]))
        z_bar[at[1]] = c_up * c[n, u] * sigmoid_slope(float(z[at[1]]))
        z_bar[at[2]] = h_up * float(tanh(new_c[n, u])) * sigmoid_slope(float(z[at[2]]))
        z_bar[at[3]] = c_up * i * tanh_slope(float(z[at[3]]))
        c_bar[n, u] = c_up * f
    x_bar, w_x_bar, b_bar = affine_backward((x, w_x, b), z_bar)
    h_bar, w_h_bar, _ = affine_backward((h, w_h), z_bar)
    return x_bar, h_bar, c_bar, w_x_bar, w_h_bar, b_bar


def gru_step_backward(args: Arguments, y_bar: Array, *, reset: str = "after") -> Bars:
    """Each block has affine layers of its own: six products, three of x and three of h."""
    x, h, w_x, w_h, b = map(float64, args[:5])
    hidden = args[5] if len(args) > 5 else None
    units, y_bar = h.shape[1], float64(y_bar)
    bias = np.zeros(units) if hidden is None else float64(hidden)
    blocks = [slice(k * units, (k + 1) * units) for k in range(3)]
    a_r, a_z = gru_gates(x, h, w_x, w_h, b)
    r, z, w_n = sigmoid(a_r), sigmoid(a_z), w_h[:, blocks[2]]
    a_n = affine(x, w_x[:, blocks[2]], b[blocks[2]])
    a_n = a_n + (r * affine(h, w_n, bias) if reset == "after" else affine(r * h, w_n, bias))
    n_bar = y_bar * sigmoid(-a_z) * each(tanh_slope, a_n)
    z_bar = y_bar * (h - tanh(a_n)) * each(sigmoid_slope, a_z)
    h_bar = y_bar * z
    if reset == "after":
        more, w_n_bar, bias_bar = affine_backward((h, w_n, bias), n_bar * r)
        r_bar = n_bar * affine(h, w_n, bias)
    else:
        kept_bar, w_n_bar, bias_bar = affine_backward((r * h, w_n, bias), n_bar)
        more, r_bar = kept_bar * r, kept_bar * h
    h_bar, r_bar = h_bar + more, r_bar * each(sigmoid_slope, a_r)
    x_bar, w_x_bar, b_bar = np.zeros(x.shape), np.empty(w_x.shape), np.empty(b.shape)
    w_h_bar = np.empty(w_h.shape)
    w_h_bar[:, blocks[2]] = w_n_bar
    for k, a_bar in enumerate((r_bar, z_bar, n_bar)):
        s = blocks[k]
        more, w_x_bar[:, s], b_bar[s] = affine_backward((x, w_x[:, s], b[s]), a_bar)
        x_bar = x_bar + more
        if k < 2:
            more, w_h_bar[:, s], _ = affine_backward((h, w_h[:, s]), a_bar)
            h_bar = h_bar + more
    return x_bar, h_bar, w_x_bar, w_h_bar, b_bar, None if hidden is None else bias_bar


def back_in_time(
    step: Callable[..., Any],
    step_backward: Callable[..., Bars],
    args: Arguments,
    states: int,
    y_bar: tuple[Array, ...],
    reverse: bool,
) -> Bars:
    """Example by example: the states forward, then the steps in reverse."""
    x, *firsts = map(float64, args[: 1 + states])
    *weights, lengths = args[1 + states :]
    ends = np.full(len(x), x.shape[1]) if lengths is None else np.asarray(lengths)
    x_bar, firsts_bar = np.zeros(x.shape), [np.zeros(first.shape) for first in firsts]
    weights_bar = [None if w is None else np.zeros(float64(w).shape) for w in weights]
    for n in range(len(x)):
        times = order(x.shape[1], int(ends[n]), reverse)
        seen = [tuple(first[n : n + 1] for first in firsts)]
        for t in times:
            seen.append(step(x[n : n + 1, t], *seen[-1], *weights))
        bars = [float64(bar)[n : n + 1].copy() for bar in y_bar[1:]]
        repeated = [t for t in range(x.shape[1]) if t not in times]
        if not reverse:
            bars[0] += float64(y_bar[0])[n, repeated].sum(axis=0)
        for t, before in list(zip(times, seen[:-1], strict=True))[::-1]:
            bars[0] = bars[0] + float64(y_bar[0])[n, t]
            step_args = (x[n : n + 1, t], *before, *weights)
            came: Any = step_backward(step_args, bars[0] if states == 1 else tuple(bars))
            x_bar[n, t], bars = came[0][0], list(came[1 : 1 + states])
            for total, more in zip(weights_bar, came[1 + states :], strict=True):
                if total is not None:
                    np.add(total, more, out=total)
        if reverse:
            bars[0] = bars[0] + float64(y_bar[0])[n, repeated].sum(axis=0)
        for first_bar, bar in zip(firsts_bar, bars, strict=True):
            first_bar[n] = bar[0]
    return x_bar, *firsts_bar, *weights_bar, None


def with_lengths(args: Arguments, count: int) -> Arguments:
    """The arguments with None for those that were left out."""
    return (*args, *[None] * (count - len(args)))


def rnn_backward(args: Arguments, y_bar: Any, *, reverse: bool = False) -> Bars:
    """Backpropagation through time."""

    def step(*args: Any) -> tuple[Array]:
        return (rnn_step(*args),)

    return back_in_time(step, rnn_step_backward, with_lengths(args, 6), 1, y_bar, reverse)


def lstm_backward(args: Arguments, y_bar: Any, *, reverse: bool = False) -> Bars:
    """Backpropagation through time, of h and of c."""
    return back_in_time(lstm_step, lstm_step_backward, with_lengths(args, 7), 2, y_bar, reverse)


def gru_backward(
    args: Arguments, y_bar: Any, *, reset: str = "after", reverse: bool = False
) -> Bars:
    """Backpropagation through time."""

    def step(*args: Any) -> tuple[Array]:
        return (gru_step(*args, reset=reset),)

    def backward(args: Any, y_bar: Any) -> Bars:
        return gru_step_backward(args, y_bar, reset=reset)

    return back_in_time(step, backward, with_lengths(args, 7), 1, y_bar, reverse)


def both_ways(
    backward: Callable[..., Bars], states: int, args: Arguments, y_bar: Any, **options: Any
) -> Bars:
    """Each half through its own sequence; x gets both."""
    x, *weights, lengths = args
    n, units = len(x), np.shape(weights[1])[1]
    zeros, y_bar = [np.zeros((n, units))] * states, float64(y_bar)
    sides = []
    for i in range(2):
        half = y_bar[..., i * units : (i + 1) * units]
        own = [None if w is None else w[i] for w in weights]
        given = (x, *zeros, *own, lengths)
        sides.append(backward(given, (half, *zeros), reverse=bool(i), **options))
    (x_bar, *first), (more, *second) = sides
    pairs = list(zip(first, second, strict=True))[states:-1]
    return x_bar + more, *(None if a is None else np.stack([a, b]) for a, b in pairs), None


def bidirectional_rnn_backward(args: Arguments, y_bar: Any) -> Bars:
    """Two RNNs side by side."""
    return both_ways(rnn_backward, 1, with_lengths(args, 5), y_bar)[: len(args)]


def bidirectional_lstm_backward(args: Arguments, y_bar: Any) -> Bars:
    """Two LSTMs side by side."""
    return both_ways(lstm_backward, 2, with_lengths(args, 5), y_bar)[: len(args)]


def bidirectional_gru_backward(args: Arguments, y_bar: Any, *, reset: str = "after") -> Bars:
    """Two GRUs side by side."""
    return both_ways(gru_backward, 1, with_lengths(args, 6), y_bar, reset=reset)[: len(args)]


BACKWARD: dict[str, Callable] = {
    "rnn_step": rnn_step_backward,
    "rnn": rnn_backward,
    "lstm_step": lstm_step_backward,
    "lstm": lstm_backward,
    "bidirectional_rnn": bidirectional_rnn_backward,
    "bidirectional_lstm": bidirectional_lstm_backward,
    "bidirectional_gru": bidirectional_gru_backward,
    "gru_step": gru_step_backward,
    "gru": gru_backward,
}
