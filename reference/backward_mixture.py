"""Backward passes of the mixture of experts; see `reference.backward_gates`."""

from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments, sigmoid_slope
from reference.gates import each, sigmoid
from reference.mixture import choices, expert, gates_of, probabilities
from reference.shapes import Array, float64


def softmax_backward(shares: Array, shares_bar: Array) -> Array:
    """Pair by pair: what one gains another loses."""
    bar = np.zeros(len(shares))
    for i, j in np.ndindex(len(shares), len(shares)):
        bar[i] += shares[i] * shares[j] * (shares_bar[i] - shares_bar[j])
    return bar


def mixture_of_experts_backward(
    args: Arguments,
    y_bar: Array,
    *,
    top: int = 2,
    renormalize: bool = True,
    block: int | None = None,
) -> tuple[Array, ...]:
    """Token by token: each chosen expert, its gate, then the router."""
    x, router, w_gate, w_up, w_down = (float64(arg) for arg in args)
    x_bar, router_bar, gate_bar, up_bar, down_bar = (
        np.zeros(w.shape) for w in (x, router, w_gate, w_up, w_down)
    )
    y_bar = float64(y_bar)
    for index in np.ndindex(x.shape[:-1]):
        row, upstream = x[index], y_bar[index]
        logits = np.array([sum(row * column) for column in router.T])
        chosen, gates = gates_of(logits, top, renormalize)
        gates_bar = np.zeros(len(gates))
        for place, i in enumerate(chosen):
            a, b, hidden = expert(row, w_gate[i], w_up[i])
            output = sum(value * w_down[i, j] for j, value in enumerate(hidden))
            gates_bar[place] = sum(upstream * output)
            output_bar = gates[place] * upstream
            hidden_bar = np.array([sum(output_bar * w_down[i, j]) for j in range(len(hidden))])
            a_bar = hidden_bar * b * (sigmoid(a) + a * each(sigmoid_slope, a))
            b_bar = hidden_bar * a * sigmoid(a)
            down_bar[i] += np.outer(hidden, output_bar)
            gate_bar[i] += np.outer(row, a_bar)
            up_bar[i] += np.outer(row, b_bar)
            x_bar[index] += w_gate[i] @ a_bar + w_up[i] @ b_bar
        logits_bar = np.zeros(len(logits))
        if renormalize:
            logits_bar[chosen] = softmax_backward(gates, gates_bar)
        else:
            every = np.zeros(len(logits))
            every[chosen] = gates_bar
            logits_bar = softmax_backward(probabilities(logits), every)
        router_bar += np.outer(row, logits_bar)
        x_bar[index] += router @ logits_bar
    return x_bar, router_bar, gate_bar, up_bar, down_bar


def load_balance_backward(args: Arguments, y_bar: Array, *, top: int = 2) -> tuple[Array]:
    """Through the mean of the softmax; the counts are constants."""
    logits = float64(args[0])
    rows = logits.reshape(-1, logits.shape[-1])
    parts = choices(logits, top) * logits.shape[-1] / len(rows) * float(y_bar)
    bars = [softmax_backward(probabilities(row), parts) for row in rows]
    return (np.array(bars).reshape(logits.shape),)


BACKWARD: dict[str, Callable] = {
    "mixture_of_experts": mixture_of_experts_backward,
    "load_balance": load_balance_backward,
}
