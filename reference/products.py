"""Products of several indices, diagonals and triangles, one entry at a time."""

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from reference.shapes import Array, float64, source_index


def outer(x: ArrayLike, y: ArrayLike) -> Array:
    """z_ij = x_i y_j; leading axes broadcast."""
    x, y = float64(x), float64(y)
    lead = np.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    z = np.zeros((*lead, x.shape[-1], y.shape[-1]), np.result_type(x, y))
    for *index, i, j in np.ndindex(z.shape):
        at_x, at_y = (source_index(tuple(index), a.shape[:-1]) for a in (x, y))
        z[(*index, i, j)] = x[(*at_x, i)] * y[(*at_y, j)]
    return z


def kron(a: ArrayLike, b: ArrayLike) -> Array:
    """Entry (i p + k, j q + l) is a_ij b_kl; leading axes broadcast."""
    a, b = float64(a), float64(b)
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, n), (p, q) = a.shape[-2:], b.shape[-2:]
    y = np.zeros((*lead, m * p, n * q), np.result_type(a, b))
    for *index, i, j in np.ndindex(y.shape):
        at_a, at_b = (source_index(tuple(index), c.shape[:-2]) for c in (a, b))
        y[(*index, i, j)] = a[(*at_a, i // p, j // q)] * b[(*at_b, i % p, j % q)]
    return y


def assignments(terms: list[str], operands: tuple[Array, ...]):
    """Every way to give a number to each letter, as a dictionary; axes of size 1 broadcast."""
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        for letter, size in zip(term, operand.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    letters = sorted(sizes)
    for numbers in itertools.product(*(range(sizes[letter]) for letter in letters)):
        yield dict(zip(letters, numbers, strict=True)), sizes


def entry(term: str, numbers: dict[str, int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The entry of an operand; where its axis has size 1 the first one."""
    return tuple(0 if size == 1 else numbers[c] for c, size in zip(term, shape, strict=True))


def spelled_out(subscripts: str, operands: tuple[Array, ...]) -> tuple[list[str], str]:
    """The terms and the output, with capital letters, from the last one, in place of the dots."""
    inputs, arrow, output = subscripts.partition("->")
    parts = inputs.split(",")
    counts = [
        x.ndim - len(part.replace("...", "")) for part, x in zip(parts, operands, strict=True)
    ]
    dots = "UVWXYZ"[6 - max(counts) :]
    if not arrow:
        letters = inputs.replace(",", "").replace("...", "")
        output = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    terms = [
        part.replace("...", dots[len(dots) - k :]) for part, k in zip(parts, counts, strict=True)
    ]
    return terms, output.replace("...", dots)


def einsum(*operands: ArrayLike, subscripts: str = "ij,jk->ik") -> Array:
    """The sum over all numbers for all letters of the product of one entry of each operand."""
    arrays = tuple(float64(operand) for operand in operands)
    terms, output = spelled_out(subscripts, arrays)
    y = None
    for numbers, sizes in assignments(terms, arrays):
        if y is None:
            y = np.zeros(tuple(sizes[c] for c in output), np.result_type(*arrays))
        picked = (x[entry(t, numbers, x.shape)] for t, x in zip(terms, arrays, strict=True))
        y[tuple(numbers[c] for c in output)] += math.prod(picked)
    assert y is not None
    return y


def trace(x: ArrayLike, *, offset: int = 0) -> Array:
    """sum_i x_i(i+offset)."""
    x = float64(x)
    y = np.zeros(x.shape[:-2], x.dtype)
    for *index, i, j in np.ndindex(x.shape):
        if j - i == offset:
            y[tuple(index)] += x[(*index, i, j)]
    return y


def diag(x: ArrayLike, *, offset: int = 0) -> Array:
    """x on a diagonal."""
    x = float64(x)
    size = x.shape[-1] + abs(offset)
    y = np.zeros((*x.shape[:-1], size, size), x.dtype)
    for *index, i in np.ndindex(x.shape):
        y[(*index, i + max(-offset, 0), i + max(offset, 0))] = x[(*index, i)]
    return y


def places_on_diagonal(rows: int, columns: int, offset: int) -> list[tuple[int, int]]:
    """The entries (i, i + offset) that there are."""
    return [(i, i + offset) for i in range(rows) if 0 <= i + offset < columns]


def diagonal(x: ArrayLike, *, offset: int = 0) -> Array:
    """A diagonal of x."""
    x = float64(x)
    places = places_on_diagonal(x.shape[-2], x.shape[-1], offset)
    y = np.zeros((*x.shape[:-2], len(places)), x.dtype)
    for *index, k in np.ndindex(y.shape):
        y[(*index, k)] = x[(*index, *places[k])]
    return y


def tril(x: ArrayLike, *, offset: int = 0) -> Array:
    """x where the column is at most row + offset."""
    x = float64(x)
    y = np.zeros(x.shape, x.dtype)
    for *index, i, j in np.ndindex(x.shape):
        y[(*index, i, j)] = x[(*index, i, j)] if j <= i + offset else 0.0
    return y


def triu(x: ArrayLike, *, offset: int = 0) -> Array:
    """x where the column is at least row + offset."""
    x = float64(x)
    y = np.zeros(x.shape, x.dtype)
    for *index, i, j in np.ndindex(x.shape):
        y[(*index, i, j)] = x[(*index, i, j)] if j >= i + offset else 0.0
    return y


DEFINITIONS: dict[str, Callable] = {
    "outer": outer,
    "kron": kron,
    "einsum": einsum,
    "trace": trace,
    "diag": diag,
    "diagonal": diagonal,
    "tril": tril,
    "triu": triu,
}
