"""Functions of the entries along axes: reductions and cumulative functions, in plain loops."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, Axis, Index, float64, reduced_axes, reduced_index


def groups_of(x: Array, axis: Axis) -> dict[Index, list[Index]]:
    """For each entry of the result (axes kept with size 1) the entries of x it is made of."""
    axes = reduced_axes(axis, x.ndim)
    groups: dict[Index, list[Index]] = {}
    for index in np.ndindex(x.shape):
        groups.setdefault(reduced_index(index, axes), []).append(index)
    return groups


def reduced(
    function: Callable[..., float],
    x: ArrayLike,
    *,
    axis: Axis = None,
    keepdims: bool = False,
    **options: float,
) -> Array:
    """The function of the list of entries of each group."""
    x = float64(x)
    axes = reduced_axes(axis, x.ndim)
    y = np.empty([1 if i in axes else size for i, size in enumerate(x.shape)], x.dtype)
    for place, members in groups_of(x, axis).items():
        y[place] = function([x[index].item() for index in members], **options)
    return y if keepdims else np.squeeze(y, axis=axes)


def logsumexp_of(values: list[float]) -> float:
    """log(sum exp(v)), with the largest v taken out."""
    top = max(values)
    return top if math.isinf(top) else top + math.log(math.fsum(math.exp(v - top) for v in values))


def sum_of(values: list[Any]) -> Any:
    """The sum, rounded once; of complex numbers part by part."""
    real = math.fsum(v.real for v in values)
    return complex(real, math.fsum(v.imag for v in values)) if np.iscomplexobj(values) else real


def mean_of(values: list[float]) -> float:
    """Sum / count."""
    return math.fsum(values) / len(values)


def var_of(values: list[float], *, ddof: float = 0) -> float:
    """sum (v - mean)^2 / (count - ddof)."""
    mean = mean_of(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - ddof)


def std_of(values: list[float], *, ddof: float = 0) -> float:
    """sqrt(var)."""
    return math.sqrt(var_of(values, ddof=ddof))


def norm_of(values: list[float]) -> float:
    """sqrt(sum v^2)."""
    return math.sqrt(math.fsum(v * v for v in values))


def cumulated(
    function: Callable[[list[float]], float], x: ArrayLike, *, axis: int = -1, reverse: bool = False
) -> Array:
    """The function of the entries up to each one, along the axis."""
    x = np.moveaxis(float64(x), axis, -1)
    y = np.empty(x.shape, x.dtype)
    for *rest, i in np.ndindex(x.shape):
        line = x[tuple(rest)].tolist()
        y[(*rest, i)] = function(line[i:] if reverse else line[: i + 1])
    return np.moveaxis(y, -1, axis)


DEFINITIONS: dict[str, Callable] = {
    "logsumexp": partial(reduced, logsumexp_of),
    "prod": partial(reduced, math.prod),
    "reduce_max": partial(reduced, max),
    "reduce_min": partial(reduced, min),
    "var": partial(reduced, var_of),
    "std": partial(reduced, std_of),
    "norm": partial(reduced, norm_of),
    "cumsum": partial(cumulated, sum_of),
    "cumprod": partial(cumulated, math.prod),
    "cummax": partial(cumulated, max),
    "cummin": partial(cumulated, min),
    "cumlogsumexp": partial(cumulated, logsumexp_of),
}
