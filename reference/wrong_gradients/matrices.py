"""Products of matrices, systems of equations, symmetric matrices."""

import math
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer

Array = Any
Triangle = Literal["U", "L"]


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def square(rng: np.random.Generator) -> tuple[Any, ...]:
    """A square matrix."""
    return (_normal(rng, 4, 4),)


def triangular_system(rng: np.random.Generator) -> tuple[Any, ...]:
    """A matrix with a heavy diagonal, two right-hand sides."""
    return _normal(rng, 3, 3) + 3 * np.eye(3, dtype=np.float32), _normal(rng, 3, 2)


def rows_and_covariance(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four rows, a mean and a covariance."""
    root = _normal(rng, 3, 3)
    return _normal(rng, 4, 3), _normal(rng, 3), root @ root.T + np.eye(3, dtype=np.float32)


def batch_of_matrices(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two products of square matrices."""
    return _normal(rng, 2, 3, 3), _normal(rng, 2, 3, 3)


def sparse_and_vector(rng: np.random.Generator) -> tuple[Any, ...]:
    """Six entries of a sparse matrix, their rows and columns, a vector."""
    rows, cols = np.array([0, 0, 1, 2, 3, 3]), np.array([0, 2, 4, 1, 0, 3])
    return _normal(rng, 6), rows.astype(np.int32), cols.astype(np.int32), _normal(rng, 5)


# -------------------------------------------------- trace


def trace_fwd(x: Array, *, offset: int = 0) -> tuple[Array, Any]:
    """The sum of a diagonal."""
    if x.ndim != 2:
        raise ValueError(f"expected a matrix, got shape {x.shape}")
    return jnp.trace(x, offset), x


def trace_eye_bwd(x: Array, y_bar: Array, *, offset: int = 0) -> tuple[Array]:
    """x_bar = y_bar I."""
    return (y_bar * jnp.eye(len(x), dtype=x.dtype),)


def trace_bwd(x: Array, y_bar: Array, *, offset: int = 0) -> tuple[Array]:
    """x_bar = y_bar on that diagonal, in the shape of x."""
    return (y_bar * jnp.eye(*x.shape, k=offset, dtype=x.dtype),)


# -------------------------------------------------- a triangular system


def solve_triangular_fwd(
    a: Array, b: Array, *, transpose_a: bool = False, lower: bool = True
) -> tuple[Array, Any]:
    """Y with A Y = B or A^T Y = B, from one triangle of A."""
    if a.ndim != 2 or b.ndim != 2 or a.shape != (b.shape[0], b.shape[0]):
        raise ValueError(f"expected (n, n) and (n, k), got {a.shape} and {b.shape}")
    y = _solve(a, b, transpose_a, lower)
    return y, (a, y)


def _solve(a: Array, b: Array, transpose_a: bool, lower: bool) -> Array:
    return lax.linalg.triangular_solve(a, b, left_side=True, lower=lower, transpose_a=transpose_a)


def solve_triangular_same_bwd(
    residuals: Any, y_bar: Array, *, transpose_a: bool = False, lower: bool = True
) -> tuple[Array, Array]:
    """B_bar = A^-T Y_bar, A_bar = the triangle of -B_bar Y^T."""
    a, y = residuals
    b_bar = _solve(a, y_bar, not transpose_a, lower)
    a_bar = -b_bar @ y.T
    return jnp.tril(a_bar) if lower else jnp.triu(a_bar), b_bar


def solve_triangular_bwd(
    residuals: Any, y_bar: Array, *, transpose_a: bool = False, lower: bool = True
) -> tuple[Array, Array]:
    """The same; for A^T the product is transposed."""
    a, y = residuals
    b_bar = _solve(a, y_bar, not transpose_a, lower)
    a_bar = -y @ b_bar.T if transpose_a else -b_bar @ y.T
    return jnp.tril(a_bar) if lower else jnp.triu(a_bar), b_bar


# -------------------------------------------------- a normal density


def mvn_logpdf_fwd(x: Array, mean: Array, cov: Array) -> tuple[Array, Any]:
    """-(d log 2 pi + log|det S| + r^T S^-1 r) / 2 for each row r = x - mean."""
    size = cov.shape[0]
    if x.ndim != 2 or x.shape[1:] != mean.shape or cov.shape != (size, size):
        raise ValueError(f"expected (n, d), (d), (d, d), got {x.shape}, {mean.shape}, {cov.shape}")
    r = x - mean
    solved = jnp.linalg.solve(cov, r.T).T
    constant = size * math.log(2 * math.pi) + jnp.linalg.slogdet(cov)[1]
    return -0.5 * (constant + (r * solved).sum(-1)), (cov, r, solved)


def _mvn_bars(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """r_bar = -y_bar (S^-1 + S^-T) r / 2, S_bar = y_bar (S^-T r r^T S^-T - S^-T) / 2."""
    cov, r, solved = residuals
    back = jnp.linalg.solve(cov.T, r.T).T
    r_bar = -0.5 * y_bar[:, None] * (back + solved)
    products = (y_bar[:, None] * back).T @ solved
    return r_bar, 0.5 * (products - y_bar.sum() * jnp.linalg.inv(cov).T)


def mvn_logpdf_folded_bwd(residuals: Any, y_bar: Array) -> tuple[Array, ...]:
    """S is symmetric: the upper half is folded onto the lower one."""
    r_bar, s_bar = _mvn_bars(residuals, y_bar)
    return r_bar, -r_bar.sum(0), 0.5 * (jnp.tril(s_bar) + jnp.triu(s_bar).T)


def mvn_logpdf_bwd(residuals: Any, y_bar: Array) -> tuple[Array, ...]:
    """Every entry of S has its own cotangent."""
    r_bar, s_bar = _mvn_bars(residuals, y_bar)
    return r_bar, -r_bar.sum(0), s_bar


# -------------------------------------------------- symmetric from one triangle


def symmetric_fwd(a: Array, *, uplo: Triangle = "U") -> tuple[Array, Any]:
    """The symmetric matrix with this triangle of A."""
    if uplo not in ("U", "L") or a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"expected a square matrix and 'U' or 'L', got {a.shape} and {uplo!r}")
    if uplo == "U":
        return jnp.triu(a) + jnp.triu(a, 1).T, ()
    return jnp.tril(a) + jnp.tril(a, -1).T, ()


def symmetric_upper_bwd(residuals: Any, y_bar: Array, *, uplo: Triangle = "U") -> tuple[Array]:
    """Both halves of y_bar, added up in the upper one."""
    return (jnp.triu(y_bar) + jnp.tril(y_bar, -1).T,)


def symmetric_bwd(residuals: Any, y_bar: Array, *, uplo: Triangle = "U") -> tuple[Array]:
    """Both halves of y_bar, added up in the one that was read."""
    if uplo == "U":
        return (jnp.triu(y_bar) + jnp.tril(y_bar, -1).T,)
    return (jnp.tril(y_bar) + jnp.triu(y_bar, 1).T,)


# -------------------------------------------------- products


def batched_mul_fwd(a: Array, b: Array, *, transpose_a: bool = False) -> tuple[Array, Any]:
    """A B for each matrix of the batch, or A^T B."""
    left = a.swapaxes(1, 2) if transpose_a else a
    if a.ndim != 3 or b.ndim != 3 or (left.shape[0], left.shape[2]) != b.shape[:2]:
        raise ValueError(f"cannot multiply shapes {left.shape} and {b.shape}")
    return left @ b, (a, b)


def batched_mul_same_bwd(
    residuals: Any, y_bar: Array, *, transpose_a: bool = False
) -> tuple[Array, Array]:
    """A_bar = Y_bar B^T, B_bar = A^T Y_bar, with A as it was multiplied."""
    a, b = residuals
    left = a.swapaxes(1, 2) if transpose_a else a
    return y_bar @ b.swapaxes(1, 2), left.swapaxes(1, 2) @ y_bar


def batched_mul_bwd(
    residuals: Any, y_bar: Array, *, transpose_a: bool = False
) -> tuple[Array, Array]:
    """The same; A_bar = B Y_bar^T for A^T B."""
    a, b = residuals
    if transpose_a:
        return b @ y_bar.swapaxes(1, 2), a @ y_bar
    return y_bar @ b.swapaxes(1, 2), a.swapaxes(1, 2) @ y_bar


def sparse_dot_fwd(
    values: Array, rows: Array, cols: Array, b: Array, *, height: int = 4
) -> tuple[Array, Any]:
    """Y = X B, with values[i] at (rows[i], cols[i]) in X and B a matrix or a vector."""
    if values.ndim != 1 or values.shape != rows.shape or rows.shape != cols.shape:
        raise ValueError(f"shapes {values.shape}, {rows.shape}, {cols.shape} are not the same (n)")
    if b.ndim not in (1, 2) or min(height, len(b)) < 1:
        raise ValueError(f"bad shape {b.shape} of b, or height {height}")
    picked = b.at[cols].get(mode="fill", fill_value=0)
    terms = _column(values, b) * picked
    y = jnp.zeros((height, *b.shape[1:]), terms.dtype).at[rows].add(terms)
    return y, (values, rows, cols, b)


def _column(values: Array, b: Array) -> Array:
    return values if b.ndim == 1 else values[:, None]


def _sparse_dot_bars(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """Products that sum to values_bar; b_bar."""
    values, rows, cols, b = residuals
    back = y_bar.at[rows].get(mode="fill", fill_value=0)
    picked = b.at[cols].get(mode="fill", fill_value=0)
    b_bar = jnp.zeros_like(b).at[cols].add((_column(values, b) * back).astype(b.dtype))
    return (back * picked).astype(values.dtype), b_bar


def sparse_dot_matrix_bwd(
    residuals: Any, y_bar: Array, *, height: int = 4
) -> tuple[Array | None, ...]:
    """values_bar[i] = the sum of y_bar[rows[i]] b[cols[i]] over the last axis."""
    products, b_bar = _sparse_dot_bars(residuals, y_bar)
    return products.sum(-1), None, None, b_bar


def sparse_dot_bwd(residuals: Any, y_bar: Array, *, height: int = 4) -> tuple[Array | None, ...]:
    """The same; a vector has no such axis."""
    products, b_bar = _sparse_dot_bars(residuals, y_bar)
    return products if y_bar.ndim == 1 else products.sum(-1), None, None, b_bar


LAYERS = (
    Layer(
        name="solve_triangular",
        bug="B012",
        wrong=(solve_triangular_fwd, solve_triangular_same_bwd),
        right=(solve_triangular_fwd, solve_triangular_bwd),
        example=triangular_system,
        diagnosis="option",
    ),
    Layer(
        name="mvn_logpdf",
        bug="B045",
        wrong=(mvn_logpdf_fwd, mvn_logpdf_folded_bwd),
        right=(mvn_logpdf_fwd, mvn_logpdf_bwd),
        example=rows_and_covariance,
        diagnosis="wrong formula",
        why="the upper half is folded onto the lower one, and 0; both halves of S are read",
    ),
    Layer(
        name="trace",
        bug="B055",
        wrong=(trace_fwd, trace_eye_bwd),
        right=(trace_fwd, trace_bwd),
        example=square,
        diagnosis="option",
        why="with an offset; for a matrix that is not square the shape is wrong",
    ),
    Layer(
        name="symmetric_lower",
        bug="B068",
        wrong=(symmetric_fwd, symmetric_upper_bwd),
        right=(symmetric_fwd, symmetric_bwd),
        example=square,
        diagnosis="option",
    ),
    Layer(
        name="batched_mul",
        bug="B073",
        wrong=(batched_mul_fwd, batched_mul_same_bwd),
        right=(batched_mul_fwd, batched_mul_bwd),
        example=batch_of_matrices,
        diagnosis="option",
        why="transposed; where the matrices are not square the shape is wrong",
    ),
    Layer(
        name="sparse_dot_vector",
        bug="B104",
        wrong=(sparse_dot_fwd, sparse_dot_matrix_bwd),
        right=(sparse_dot_fwd, sparse_dot_bwd),
        example=sparse_and_vector,
        diagnosis="shape",
        why="right for a matrix B, wrong for a vector",
    ),
)
