"""Recurrent layers, against `lax.scan` of an idiomatic cell with one kernel for all gates."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, Inputs, normal
from purebp.layers import (
    bidirectional_gru,
    bidirectional_lstm,
    bidirectional_rnn,
    gru,
    gru_step,
    lstm,
    lstm_step,
    rnn,
    rnn_step,
)


def plain_rnn_step(x: Array, h: Array, w_x: Array, w_h: Array, b: Array) -> Array:
    return jnp.tanh(x @ w_x + h @ w_h + b)


def plain_lstm_step(x: Array, h: Array, c: Array, w_x: Array, w_h: Array, b: Array) -> Any:
    i, f, o, g = jnp.split(x @ w_x + h @ w_h + b, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def plain_gru_step(x: Array, h: Array, w_x: Array, w_h: Array, b: Array, b_hidden: Array) -> Array:
    x_r, x_z, x_n = jnp.split(x @ w_x + b, 3, axis=-1)
    h_r, h_z, h_n = jnp.split(h @ w_h, 3, axis=-1)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + r * (h_n + b_hidden))
    return (1 - z) * n + z * h


def scan_rnn(x: Array, h0: Array, *weights: Array) -> Any:
    def step(h: Array, x: Array) -> Any:
        h = plain_rnn_step(x, h, *weights)
        return h, h

    final, y = lax.scan(step, h0, jnp.moveaxis(x, 1, 0))
    return jnp.moveaxis(y, 0, 1), final


def scan_lstm(x: Array, h0: Array, c0: Array, *weights: Array) -> Any:
    def step(state: Any, x: Array) -> Any:
        state = plain_lstm_step(x, *state, *weights)
        return state, state[0]

    final, y = lax.scan(step, (h0, c0), jnp.moveaxis(x, 1, 0))
    return jnp.moveaxis(y, 0, 1), *final


def scan_gru(x: Array, h0: Array, *weights: Array) -> Any:
    def step(h: Array, x: Array) -> Any:
        h = plain_gru_step(x, h, *weights)
        return h, h

    final, y = lax.scan(step, h0, jnp.moveaxis(x, 1, 0))
    return jnp.moveaxis(y, 0, 1), final


def scan_both(scan: Any, states: int, x: Array, *weights: Array) -> Array:
    """As flax's Bidirectional: the second network reads the sequence from its end."""
    zeros = [jnp.zeros((x.shape[0], weights[1].shape[1]))] * states
    ahead = scan(x, *zeros, *(w[0] for w in weights))[0]
    back = scan(x[:, ::-1], *zeros, *(w[1] for w in weights))[0]
    return jnp.concatenate([ahead, back[:, ::-1]], axis=-1)


def both_inputs(n: int, t: int, d: int, h: int, blocks: int, extra: int = 0) -> Inputs:
    """x and the weights of two networks."""
    columns = blocks * h
    weights = normal(2, d, columns, scale=d**-0.5), normal(2, h, columns, scale=h**-0.5)
    return normal(n, t, d), *weights, normal(2, columns), *(normal(2, h),) * extra


def torch_weights(torch: Any, w_x: Any, w_h: Any, b: Any, b_hidden: Any = None) -> Any:
    """As PyTorch has them: transposed, with a bias beside each.

    An LSTM there reads its gates in another order: the numbers differ, the work does not.
    """
    rest = torch.zeros_like(b) if b_hidden is None else torch.zeros(b.shape[0] - len(b_hidden))
    return w_x.T, w_h.T, b, rest if b_hidden is None else torch.cat([rest, b_hidden])


def torch_rnn_step(torch: Any, x: Any, h: Any, *weights: Any) -> Any:
    return torch.rnn_tanh_cell(x, h, *torch_weights(torch, *weights))


def torch_lstm_step(torch: Any, x: Any, h: Any, c: Any, *weights: Any) -> Any:
    return torch.lstm_cell(x, (h, c), *torch_weights(torch, *weights))


def torch_gru_step(torch: Any, x: Any, h: Any, *weights: Any) -> Any:
    return torch.gru_cell(x, h, *torch_weights(torch, *weights))


ONE_LAYER = (True, 1, 0.0, True, False, True)
"""Biases, one layer, no dropout, in training, forward only, the examples first."""
BOTH_WAYS = (True, 1, 0.0, True, True, True)


def torch_rnn(torch: Any, x: Any, h0: Any, *weights: Any) -> Any:
    y, h = torch.rnn_tanh(x, h0[None], torch_weights(torch, *weights), *ONE_LAYER)
    return y, h[0]


def torch_lstm(torch: Any, x: Any, h0: Any, c0: Any, *weights: Any) -> Any:
    start = h0[None], c0[None]
    y, h, c = torch.lstm(x, start, torch_weights(torch, *weights), *ONE_LAYER)
    return y, h[0], c[0]


def torch_gru(torch: Any, x: Any, h0: Any, *weights: Any) -> Any:
    y, h = torch.gru(x, h0[None], torch_weights(torch, *weights), *ONE_LAYER)
    return y, h[0]


def torch_both(kind: str, states: int, torch: Any, x: Any, *weights: Any) -> Any:
    zeros = torch.zeros(2, x.shape[0], weights[1].shape[1])
    first = zeros if states == 1 else (zeros, zeros)
    each = [w for i in range(2) for w in torch_weights(torch, *(both[i] for both in weights))]
    return getattr(torch, kind)(x, first, each, *BOTH_WAYS)[0]


def inputs(
    n: int, t: int | None, d: int, h: int, blocks: int, states: int, extra: int = 0
) -> Inputs:
    """x, the first states, the weights and the biases; without t, of a single step."""
    x, columns = (n, d) if t is None else (n, t, d), blocks * h
    weights = normal(d, columns, scale=d**-0.5), normal(h, columns, scale=h**-0.5)
    first = (normal(n, h),) * states
    return normal(*x), *first, *weights, normal(columns), *(normal(h),) * extra


AGAINST = "lax.scan of the cell"
TEMPORARIES = "z_bar in one piece for the products beside z; the residuals are fewer"

CASES = (
    Case(
        rnn_step,
        plain_rnn_step,
        "jnp",
        inputs(4, None, 16, 32, 1, 1),
        inputs(256, None, 512, 512, 1, 1),
        torch=torch_rnn_step,
        more_memory=TEMPORARIES,
    ),
    Case(
        lstm_step,
        plain_lstm_step,
        "jnp",
        inputs(4, None, 16, 32, 4, 2),
        inputs(256, None, 512, 512, 4, 2),
        torch=torch_lstm_step,
        more_memory=TEMPORARIES,
    ),
    Case(
        gru_step,
        plain_gru_step,
        "jnp",
        inputs(4, None, 16, 32, 3, 1, 1),
        inputs(256, None, 512, 512, 3, 1, 1),
        torch=torch_gru_step,
        more_memory=TEMPORARIES,
    ),
    Case(
        rnn,
        scan_rnn,
        AGAINST,
        inputs(4, 16, 16, 32, 1, 1),
        inputs(16, 128, 64, 256, 1, 1),
        torch=torch_rnn,
        more_memory=TEMPORARIES,
    ),
    Case(
        lstm,
        scan_lstm,
        AGAINST,
        inputs(4, 16, 16, 32, 4, 2),
        inputs(16, 64, 64, 128, 4, 2),
        torch=torch_lstm,
        more_memory=TEMPORARIES,
    ),
    Case(
        gru,
        scan_gru,
        AGAINST,
        inputs(4, 16, 16, 32, 3, 1, 1),
        inputs(16, 64, 64, 128, 3, 1, 1),
        torch=torch_gru,
        more_memory=TEMPORARIES,
    ),
    *(
        Case(
            op,
            partial(scan_both, scan, states),
            "two lax.scan of the cell",
            both_inputs(4, 16, 16, 32, blocks, extra),
            both_inputs(16, 64, 64, 128, blocks, extra),
            torch=partial(torch_both, torch_name, states),
            more_memory=TEMPORARIES,
        )
        for op, scan, torch_name, states, blocks, extra in (
            (bidirectional_rnn, scan_rnn, "rnn_tanh", 1, 1, 0),
            (bidirectional_lstm, scan_lstm, "lstm", 2, 4, 0),
            (bidirectional_gru, scan_gru, "gru", 1, 3, 1),
        )
    ),
)
