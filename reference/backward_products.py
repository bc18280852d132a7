"""Backward passes of products, diagonals and triangles: each entry back to where it came from."""

import math
from collections.abc import Callable

import numpy as np

from reference.backward_gates import Arguments
from reference.products import assignments, entry, places_on_diagonal, spelled_out, tril, triu
from reference.shapes import Array, cotangent_of, float64, source_index


def outer_backward(args: Arguments, y_bar: Array) -> tuple[Array, Array]:
    """z_ij = x_i y_j: z_bar_ij y_j to x_i, z_bar_ij x_i to y_j."""
    x, y, z_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    x_bar, y_bar = (np.zeros(a.shape, z_bar.dtype) for a in (x, y))
    for *index, i, j in np.ndindex(z_bar.shape):
        at_x = (*source_index(tuple(index), x.shape[:-1]), i)
        at_y = (*source_index(tuple(index), y.shape[:-1]), j)
        x_bar[at_x] += z_bar[(*index, i, j)] * y[at_y]
        y_bar[at_y] += z_bar[(*index, i, j)] * x[at_x]
    return cotangent_of(x, x_bar), cotangent_of(y, y_bar)


def kron_backward(args: Arguments, y_bar: Array) -> tuple[Array, Array]:
    """Entry (i p + k, j q + l) is a_ij b_kl."""
    a, b, y_bar = float64(args[0]), float64(args[1]), float64(y_bar)
    a_bar, b_bar = (np.zeros(c.shape, y_bar.dtype) for c in (a, b))
    p, q = b.shape[-2:]
    for *index, i, j in np.ndindex(y_bar.shape):
        at_a = (*source_index(tuple(index), a.shape[:-2]), i // p, j // q)
        at_b = (*source_index(tuple(index), b.shape[:-2]), i % p, j % q)
        a_bar[at_a] += y_bar[(*index, i, j)] * b[at_b]
        b_bar[at_b] += y_bar[(*index, i, j)] * a[at_a]
    return cotangent_of(a, a_bar), cotangent_of(b, b_bar)


def einsum_backward(
    args: Arguments, y_bar: Array, *, subscripts: str = "ij,jk->ik"
) -> tuple[Array, ...]:
    """Each product of the sum: to one factor goes the upstream gradient times the others."""
    arrays, y_bar = tuple(float64(arg) for arg in args), float64(y_bar)
    terms, output = spelled_out(subscripts, arrays)
    bars = tuple(np.zeros(x.shape, y_bar.dtype) for x in arrays)
    for numbers, _ in assignments(terms, arrays):
        upstream = y_bar[tuple(numbers[c] for c in output)]
        places = [entry(t, numbers, x.shape) for t, x in zip(terms, arrays, strict=True)]
        for k, bar in enumerate(bars):
            others = (arrays[m][places[m]] for m in range(len(arrays)) if m != k)
            bar[places[k]] += upstream * math.prod(others)
    return tuple(cotangent_of(x, bar) for x, bar in zip(arrays, bars, strict=True))


def trace_backward(args: Arguments, y_bar: Array, *, offset: int = 0) -> tuple[Array]:
    """Every entry of the diagonal gets the gradient of the sum."""
    y_bar = float64(y_bar)
    x_bar = np.zeros(np.shape(args[0]), y_bar.dtype)
    for *index, i, j in np.ndindex(x_bar.shape):
        x_bar[(*index, i, j)] = y_bar[tuple(index)] if j - i == offset else 0.0
    return (x_bar,)


def diag_backward(args: Arguments, y_bar: Array, *, offset: int = 0) -> tuple[Array]:
    """From the place of each entry."""
    y_bar = float64(y_bar)
    x_bar = np.zeros(np.shape(args[0]), y_bar.dtype)
    for *index, i in np.ndindex(x_bar.shape):
        x_bar[(*index, i)] = y_bar[(*index, i + max(-offset, 0), i + max(offset, 0))]
    return (x_bar,)


def diagonal_backward(args: Arguments, y_bar: Array, *, offset: int = 0) -> tuple[Array]:
    """To the place of each entry."""
    x, y_bar = float64(args[0]), float64(y_bar)
    x_bar, places = (
        np.zeros(x.shape, y_bar.dtype),
        places_on_diagonal(x.shape[-2], x.shape[-1], offset),
    )
    for *index, k in np.ndindex(y_bar.shape):
        x_bar[(*index, *places[k])] = y_bar[(*index, k)]
    return (x_bar,)


def tril_backward(args: Arguments, y_bar: Array, *, offset: int = 0) -> tuple[Array]:
    """The same triangle."""
    return (tril(y_bar, offset=offset),)


def triu_backward(args: Arguments, y_bar: Array, *, offset: int = 0) -> tuple[Array]:
    """The same triangle."""
    return (triu(y_bar, offset=offset),)


BACKWARD: dict[str, Callable] = {
    "outer": outer_backward,
    "kron": kron_backward,
    "einsum": einsum_backward,
    "trace": trace_backward,
    "diag": diag_backward,
    "diagonal": diagonal_backward,
    "tril": tril_backward,
    "triu": triu_backward,
}
