"""An LSTM in NumPy with a weight for each gate, as written by hand: one line copied, one shortened.

The arguments are x (steps, batch, d), for each of the gates f, i, o, g a weight (h + d, h), and a
bias (h,) for each.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.wrong_gradients.layer import Layer

Array = np.ndarray
Grads = tuple[Array, ...]


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def _sigmoid_slope(z: Array) -> Array:
    return _sigmoid(z) * _sigmoid(-z)


def _tanh_slope(z: Array) -> Array:
    return 4 * _sigmoid(2 * z) * _sigmoid(-2 * z)


def lstm_forward(
    x: Array,
    wf: Array,
    wi: Array,
    wo: Array,
    wg: Array,
    bf: Array,
    bi: Array,
    bo: Array,
    bg: Array,
) -> tuple[Array, Any]:
    """c' = f c + i g, h = o tanh(c'), the gates from [h, x]; returns all h."""
    weights, biases = (wf, wi, wo, wg), (bf, bi, bo, bg)
    units = len(bf)
    if x.ndim != 3 or any(w.shape != (units + x.shape[2], units) for w in weights):
        raise ValueError(f"lstm: x {x.shape} and the weights {[w.shape for w in weights]}")
    if any(b.shape != (units,) for b in biases):
        raise ValueError(f"lstm: the biases have shapes {[b.shape for b in biases]}")
    steps, batch, _ = x.shape
    h, c = np.zeros((batch, units), x.dtype), np.zeros((batch, units), x.dtype)
    out, cells = np.zeros((steps, batch, units), x.dtype), []
    for t in range(steps):
        both = np.concatenate([h, x[t]], axis=1)
        zf, zi, zo, zg = (both @ w + b for w, b in zip(weights, biases, strict=True))
        before = c
        c = _sigmoid(zf) * c + _sigmoid(zi) * np.tanh(zg)
        h = _sigmoid(zo) * np.tanh(c)
        out[t] = h
        cells.append((both, zf, zi, zo, zg, before, c))
    return out, (x, weights, cells)


def _added(dc: Array, through_h: Array) -> Array:
    return dc + through_h


def _replaced(dc: Array, through_h: Array) -> Array:
    return through_h


def _own(deltas: list[Array]) -> list[Array]:
    return [delta.sum(axis=0) for delta in deltas]


def _copied(deltas: list[Array]) -> list[Array]:
    df, _, _, dg = deltas
    return [df.sum(axis=0), df.sum(axis=0), df.sum(axis=0), dg.sum(axis=0)]


def _backward(
    dout: Array,
    cache: Any,
    join: Callable[[Array, Array], Array],
    of_biases: Callable[[list[Array]], list[Array]],
) -> Grads:
    x, weights, cells = cache
    units = dout.shape[2]
    dx = np.zeros_like(x)
    dweights = [np.zeros_like(w) for w in weights]
    dbiases = [np.zeros(units, w.dtype) for w in weights]
    dh, dc = np.zeros_like(dout, shape=dout.shape[1:]), np.zeros_like(dout, shape=dout.shape[1:])
    for t in reversed(range(len(cells))):
        both, zf, zi, zo, zg, before, c = cells[t]
        dh = dh + dout[t]
        dc = join(dc, dh * _sigmoid(zo) * _tanh_slope(c))
        deltas = [
            dc * before * _sigmoid_slope(zf),
            dc * np.tanh(zg) * _sigmoid_slope(zi),
            dh * np.tanh(c) * _sigmoid_slope(zo),
            dc * _sigmoid(zi) * _tanh_slope(zg),
        ]
        for gate, (delta, bar) in enumerate(zip(deltas, of_biases(deltas), strict=True)):
            dweights[gate] += both.T @ delta
            dbiases[gate] += bar
        dboth = np.sum([delta @ w.T for delta, w in zip(deltas, weights, strict=True)], axis=0)
        dh, dx[t] = dboth[:, :units], dboth[:, units:]
        dc = dc * _sigmoid(zf)
    return dx, *dweights, *dbiases


def lstm_backward(dout: Array, cache: Any) -> Grads:
    """Through time: dc = dc f + dh o (1 - tanh(c)^2)."""
    return _backward(dout, cache, _added, _own)


def lstm_backward_copied(dout: Array, cache: Any) -> Grads:
    """The biases of the gates i and o get the delta of f."""
    return _backward(dout, cache, _added, _copied)


def lstm_backward_assigned(dout: Array, cache: Any) -> Grads:
    """dc = dh o (1 - tanh(c)^2)."""
    return _backward(dout, cache, _replaced, _own)


def arrays(rng: np.random.Generator) -> tuple[Any, ...]:
    """Five steps of two sequences, the weights and biases."""
    weights = [0.5 * rng.standard_normal((7, 4)) for _ in range(4)]
    biases = [0.5 * rng.standard_normal(4) for _ in range(4)]
    return rng.standard_normal((5, 2, 3)), *weights, *biases


LSTM = (lstm_forward, lstm_backward)

LAYERS = (
    Layer(
        "lstm_copied_biases",
        "B136",
        (lstm_forward, lstm_backward_copied),
        LSTM,
        arrays,
        "swapped",
    ),
    Layer(
        "lstm_assigned_state",
        "B136",
        (lstm_forward, lstm_backward_assigned),
        LSTM,
        arrays,
        "overwritten",
    ),
)
