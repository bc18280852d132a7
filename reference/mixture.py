"""Mixture of experts, token by token; and the loss that balances them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.gates import sigmoid
from reference.shapes import Array, float64


def chosen_experts(logits: Array, top: int) -> list[int]:
    """The experts with the largest logits, the first of those that tie."""
    return sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:top]


def probabilities(logits: Array) -> Array:
    """The softmax of one row."""
    powers = np.exp(logits - max(logits))
    return powers / sum(powers)


def gates_of(logits: Array, top: int, renormalize: bool) -> tuple[list[int], Array]:
    """The experts of one token, and how much each one counts."""
    chosen = chosen_experts(logits, top)
    if renormalize:
        return chosen, probabilities(logits[chosen])
    return chosen, probabilities(logits)[chosen]


def expert(x: Array, w_gate: Array, w_up: Array) -> tuple[Array, Array, Array]:
    """(a, b, h) of one token and expert: h = a sigmoid(a) b."""
    a = np.array([sum(x * column) for column in w_gate.T])
    b = np.array([sum(x * column) for column in w_up.T])
    return a, b, a * sigmoid(a) * b


def mixture_of_experts(
    x: ArrayLike,
    router: ArrayLike,
    w_gate: ArrayLike,
    w_up: ArrayLike,
    w_down: ArrayLike,
    *,
    top: int = 2,
    renormalize: bool = True,
    block: int | None = None,
) -> Array:
    """The sum of the chosen experts, each times its gate; `block` changes nothing.

    Shapes: (*batch, d), (d, e), twice (e, d, f), (e, f, d) -> (*batch, d).
    """
    x, router, w_gate, w_up, w_down = map(float64, (x, router, w_gate, w_up, w_down))
    y = np.zeros(x.shape)
    for index in np.ndindex(x.shape[:-1]):
        logits = np.array([sum(x[index] * column) for column in router.T])
        for i, gate in zip(*gates_of(logits, top, renormalize), strict=True):
            _, _, hidden = expert(x[index], w_gate[i], w_up[i])
            for j, value in enumerate(hidden):
                y[index] += gate * value * w_down[i, j]
    return y


def choices(logits: Array, top: int) -> Array:
    """The part of all choices that each expert has."""
    parts = np.zeros(logits.shape[-1])
    rows = logits.reshape(-1, logits.shape[-1])
    for row in rows:
        for i in chosen_experts(row, top):
            parts[i] += 1.0 / (len(rows) * top)
    return parts


def load_balance(logits: ArrayLike, *, top: int = 2) -> Array:
    """e times the sum of f p over the experts. Shapes: (*batch, e) -> ()."""
    logits = float64(logits)
    rows = logits.reshape(-1, logits.shape[-1])
    total = 0.0
    for i, part in enumerate(choices(logits, top)):
        total += part * sum(probabilities(row)[i] for row in rows) / len(rows)
    return np.asarray(total * logits.shape[-1])


DEFINITIONS: dict[str, Callable] = {
    "mixture_of_experts": mixture_of_experts,
    "load_balance": load_balance,
}
