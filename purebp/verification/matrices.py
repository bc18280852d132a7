"""Matrices with properties: well conditioned, symmetric, symmetric positive definite.

They are made of orthogonal matrices and of singular values that are within a factor of 4 (in the
pattern "wide" of 100) and apart, so that singular vectors and eigenvectors are well defined. The
ties of a positive definite matrix are eigenvalues that are equal.
"""

import numpy as np

MATRICES = ("full rank", "symmetric", "spd", "simple")


def matrix_values(
    rng: np.random.Generator, shape: tuple[int, ...], kind: str, pattern: str
) -> np.ndarray:
    """Matrices in the last two axes of a shape: U diag(s) V^T, or for simple ones X D X^-1."""
    *batch, rows, columns = shape
    rank = min(rows, columns)
    s = _spread(rng, (*batch, rank), pattern)
    if kind == "spd" and pattern == "ties":
        s = np.ceil(s / 2)
    if kind == "simple":
        x = matrix_values(rng, shape, "full rank", "normal")
        return x @ _pairs(s) @ np.linalg.inv(x)
    u = orthogonal(rng, (*batch, rows, rows))[..., :rank]
    if kind == "full rank":
        v = orthogonal(rng, (*batch, columns, columns))[..., :rank]
        return (u * s[..., None, :]) @ np.swapaxes(v, -1, -2)
    if kind == "symmetric":
        s = s * rng.choice([-1.0, 1.0], s.shape)
    matrix = (u * s[..., None, :]) @ np.swapaxes(u, -1, -2)
    return (matrix + np.swapaxes(matrix, -1, -2)) / 2


def _pairs(s: np.ndarray) -> np.ndarray:
    """Blocks [[a, b], [-b, a]] on the diagonal, whose eigenvalues are a + ib and a - ib."""
    n = s.shape[-1]
    d = s[..., None] * np.eye(n)
    for k in range(0, n - 1, 2):
        d[..., k + 1, k + 1], d[..., k, k + 1] = s[..., k], s[..., k + 1]
        d[..., k + 1, k] = -s[..., k + 1]
    return d


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Orthogonal matrices: the directions of normal columns."""
    return np.linalg.qr(rng.standard_normal(shape))[0]


def _spread(rng: np.random.Generator, shape: tuple[int, ...], pattern: str) -> np.ndarray:
    """Positive numbers in a random order, neighbours apart by a third of the mean distance."""
    count = shape[-1]
    if pattern == "ties":
        values = np.broadcast_to(np.arange(1.0, count + 1), shape)
        return rng.permuted(values, axis=-1)
    places = (np.arange(count) + rng.uniform(0.0, 0.67, shape)) / max(count, 1)
    values = 10.0 ** (2 * places - 1.5) if pattern == "wide" else 0.5 + 1.5 * places
    return rng.permuted(values, axis=-1) * (12.0 if pattern == "tails" else 1.0)
