"""The numerical gradient: slow, approximate, easy to write."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.shapes import Array, float64

Output = Any  # an array or a tuple of arrays


def contract(y: Output, y_bar: Output) -> float:
    """sum over all entries of Re(y_bar * y): what the backward pass computes the gradient of."""
    if isinstance(y_bar, tuple):
        return sum(contract(part, part_bar) for part, part_bar in zip(y, y_bar, strict=True))
    y, y_bar = float64(y), float64(y_bar)
    if y.shape != y_bar.shape:
        raise ValueError(f"y_bar has shape {y_bar.shape}, expected {y.shape}, the shape of y")
    total = 0.0
    for index in np.ndindex(y.shape):
        total += float((y_bar[index] * y[index]).real)
    return total


def numerical_gradient(
    f: Callable[..., Output],
    args: Sequence[Any],
    y_bar: Output,
    argnum: int,
    h: float = 1e-5,
) -> Array:
    """Gradient of sum(y_bar * f(*args)) for args[argnum] by central differences.

    x_bar[index] = (sum(y_bar * f(x + h at index)) - sum(y_bar * f(x - h at index))) / 2h.
    f returns an array or, with a tuple of upstream gradients, a tuple of arrays. Of a complex x
    the gradient by the imaginary part is subtracted as an imaginary number: the total moves by
    Re(x_bar dx).
    """
    if np.iscomplexobj(args[argnum]):
        gradients = list[Any]()
        for part in (1.0, 1j):

            def moved_by(t: Array, part: complex = part) -> Output:
                moved = list(args)
                moved[argnum] = args[argnum] + part * t
                return f(*moved)

            still = np.zeros(np.shape(args[argnum]))
            gradients.append(numerical_gradient(moved_by, [still], y_bar, 0, h))
        return gradients[0] - 1j * gradients[1]
    x_bar = np.empty(float64(args[argnum]).shape)
    for index in np.ndindex(x_bar.shape):
        totals = []
        for step in (h, -h):
            x = float64(args[argnum]).copy()
            x[index] += step
            moved = [x if position == argnum else arg for position, arg in enumerate(args)]
            totals.append(contract(f(*moved), y_bar))
        x_bar[index] = (totals[0] - totals[1]) / (2.0 * h)
    return x_bar
