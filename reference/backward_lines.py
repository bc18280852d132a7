"""Backward passes of reductions and cumulative functions; see `reference.backward_gates`.

Each slope function takes the list of values and gives the slope for each of them. Kinks: the
largest and the smallest entries share equally, in a cumulative function the first gets all; std
and norm have slope 0 where they are 0.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from reference.backward_gates import Arguments
from reference.lines import groups_of, logsumexp_of, mean_of, norm_of, std_of
from reference.shapes import Array, Axis, float64, reduced_axes


def logsumexp_slopes(values: list[float]) -> list[float]:
    """exp(v - y)."""
    y = logsumexp_of(values)
    return [0.0 if math.isinf(y) else math.exp(v - y) for v in values]


def prod_slopes(values: list[float]) -> list[float]:
    """The product of the others."""
    return [math.prod(values[:i] + values[i + 1 :]) for i in range(len(values))]


def sum_slopes(values: list[float]) -> list[float]:
    """1 each."""
    return [1.0] * len(values)


def max_slopes(values: list[float]) -> list[float]:
    """The largest share."""
    top = max(values)
    return [float(v == top) / values.count(top) for v in values]


def min_slopes(values: list[float]) -> list[float]:
    """The smallest share."""
    return max_slopes([-v for v in values])


def var_slopes(values: list[float], *, ddof: float = 0) -> list[float]:
    """2 (v - mean) / (n - ddof)."""
    mean = mean_of(values)
    return [2.0 * (v - mean) / (len(values) - ddof) for v in values]


def std_slopes(values: list[float], *, ddof: float = 0) -> list[float]:
    """(v - mean) / ((n - ddof) std)."""
    std = std_of(values, ddof=ddof)
    return [slope / (2.0 * std) if std else 0.0 for slope in var_slopes(values, ddof=ddof)]


def norm_slopes(values: list[float]) -> list[float]:
    """v / norm."""
    norm = norm_of(values)
    return [v / norm if norm else 0.0 for v in values]


def reduced_backward(
    slopes: Callable[..., list[float]],
    args: Arguments,
    y_bar: Array,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    **options: float,
) -> tuple[Array]:
    """Upstream times slope for each entry of each group."""
    x = float64(args[0])
    axes = reduced_axes(axis, x.ndim)
    upstream = float64(y_bar).reshape([1 if i in axes else n for i, n in enumerate(x.shape)])
    x_bar = np.empty(x.shape, upstream.dtype)
    for place, members in groups_of(x, axis).items():
        values = [x[index].item() for index in members]
        for index, slope in zip(members, slopes(values, **options), strict=True):
            x_bar[index] = upstream[place] * slope
    return (x_bar,)


def first_max_slopes(values: list[float]) -> list[float]:
    """The first of the largest gets all."""
    first = values.index(max(values))
    return [float(i == first) for i in range(len(values))]


def first_min_slopes(values: list[float]) -> list[float]:
    """The first of the smallest gets all."""
    return first_max_slopes([-v for v in values])


def cumulated_backward(
    slopes: Callable[[list[float]], list[float]],
    args: Arguments,
    y_bar: Array,
    *,
    axis: int = -1,
    reverse: bool = False,
) -> tuple[Array]:
    """Each y_i is a function of a part of the line; its gradients add up there."""
    x, y_bar = (np.moveaxis(float64(a), axis, -1) for a in (args[0], y_bar))
    x_bar = np.zeros(x.shape, y_bar.dtype)
    for *rest, i in np.ndindex(x.shape):
        line = x[tuple(rest)].tolist()
        part = line[i:][::-1] if reverse else line[: i + 1]
        for k, slope in enumerate(slopes(part)):
            place = len(line) - 1 - k if reverse else k
            x_bar[(*rest, place)] += y_bar[(*rest, i)] * slope
    return (np.moveaxis(x_bar, -1, axis),)


BACKWARD: dict[str, Callable] = {
    "logsumexp": partial(reduced_backward, logsumexp_slopes),
    "prod": partial(reduced_backward, prod_slopes),
    "reduce_max": partial(reduced_backward, max_slopes),
    "reduce_min": partial(reduced_backward, min_slopes),
    "var": partial(reduced_backward, var_slopes),
    "std": partial(reduced_backward, std_slopes),
    "norm": partial(reduced_backward, norm_slopes),
    "cumsum": partial(cumulated_backward, sum_slopes),
    "cumprod": partial(cumulated_backward, prod_slopes),
    "cummax": partial(cumulated_backward, first_max_slopes),
    "cummin": partial(cumulated_backward, first_min_slopes),
    "cumlogsumexp": partial(cumulated_backward, logsumexp_slopes),
}
