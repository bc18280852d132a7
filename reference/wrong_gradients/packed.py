"""Symmetric matrices of which each number is kept once."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from reference.wrong_gradients.layer import Layer

Array = Any
SYMMETRIC = np.array([[0, 1, 2], [1, 3, 4], [2, 4, 5]], np.int32)
"""Where the entries of a symmetric 3 x 3 matrix lie among its six numbers."""


def packed_covariances(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four covariances of two numbers: xx, xy, yy."""
    spread = 1 + rng.random((4, 2))
    covariances = [spread[:, 0], 0.3 * rng.standard_normal(4), spread[:, 1]]
    return (np.stack(covariances, 1).astype(np.float32),)


def packed_and_jacobians(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four packed symmetric matrices, four projections."""
    shapes = ((4, 6), (4, 2, 3))
    return tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)


# -------------------------------------------------- the inverse of a covariance


def conic_fwd(cov: Array) -> tuple[Array, Any]:
    """(c, -b, a) / (a c - b^2) for each row (a, b, c): the inverse of [[a, b], [b, c]]."""
    if cov.ndim != 2 or cov.shape[1] != 3:
        raise ValueError(f"expected (n, 3), got {cov.shape}")
    a, b, c = cov.T
    conic = jnp.stack([c, -b, a], 1) / (a * c - b * b)[:, None]
    return conic, conic


def _through_inverse(conic: Array, grad: Array) -> Array:
    """-M G M for the inverse M, its two entries off the diagonal added up."""
    a, b, c = conic.T
    m = jnp.stack([a, b, b, c], 1).reshape(-1, 2, 2)
    cov_bar = -m @ grad @ m
    both = cov_bar[:, 0, 1] + cov_bar[:, 1, 0]
    return jnp.stack([cov_bar[:, 0, 0], both, cov_bar[:, 1, 1]], 1)


def conic_whole_bwd(conic: Array, y_bar: Array) -> tuple[Array]:
    """G = [[a_bar, b_bar], [b_bar, c_bar]]."""
    a, b, c = y_bar.T
    return (_through_inverse(conic, jnp.stack([a, b, b, c], 1).reshape(-1, 2, 2)),)


def conic_bwd(conic: Array, y_bar: Array) -> tuple[Array]:
    """G = [[a_bar, b_bar / 2], [b_bar / 2, c_bar]]."""
    a, b, c = y_bar.T
    return (_through_inverse(conic, jnp.stack([a, b / 2, b / 2, c], 1).reshape(-1, 2, 2)),)


# -------------------------------------------------- a covariance seen through a projection


def project(packed: Array, jacobian: Array) -> Array:
    """J V J^T, with V given by xx, xy, xz, yy, yz, zz."""
    if packed.ndim != 2 or packed.shape[1] != 6 or jacobian.shape[::2] != (len(packed), 3):
        raise ValueError(f"expected (n, 6) and (n, k, 3), got {packed.shape}, {jacobian.shape}")
    return jacobian @ packed[:, SYMMETRIC] @ jacobian.swapaxes(1, 2)


def _project_fwd(packed: Array, jacobian: Array) -> tuple[Array, Any]:
    return project(packed, jacobian), (packed, jacobian)


def _project_bars(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """V_bar = J^T G J as full matrices, J_bar = (G + G^T) J V."""
    packed, jacobian = residuals
    v_bar = jacobian.swapaxes(1, 2) @ y_bar @ jacobian
    both = y_bar + y_bar.swapaxes(1, 2)
    return v_bar, (both @ jacobian @ packed[:, SYMMETRIC]).astype(jacobian.dtype)


def _pack(matrix: Array, off: float, like: Array) -> Array:
    """The diagonal, and `off` times the sum of the two entries off it."""
    entries = [
        matrix[:, i, j] if i == j else off * (matrix[:, i, j] + matrix[:, j, i])
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    ]
    return jnp.stack(entries, 1).astype(like.dtype)


def _project_mean_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """The mean of the two entries off the diagonal."""
    v_bar, j_bar = _project_bars(residuals, y_bar)
    return _pack(v_bar, 0.5, residuals[0]), j_bar


def _project_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """The sum of the two entries off the diagonal."""
    v_bar, j_bar = _project_bars(residuals, y_bar)
    return _pack(v_bar, 1.0, residuals[0]), j_bar


project_mean = jax.custom_vjp(project)
project_mean.defvjp(_project_fwd, _project_mean_bwd)
project_sum = jax.custom_vjp(project)
project_sum.defvjp(_project_fwd, _project_bwd)


LAYERS = (
    Layer(
        name="conic",
        bug="B171",
        wrong=(conic_fwd, conic_whole_bwd),
        right=(conic_fwd, conic_bwd),
        example=packed_covariances,
        diagnosis="scale missing",
        why="the cotangent of the output off the diagonal counts twice",
    ),
    Layer(
        name="packed_covariance",
        bug="B172",
        wrong=project_mean,
        right=project_sum,
        example=packed_and_jacobians,
        diagnosis="scale missing",
        why="half of what it should be for the numbers off the diagonal",
    ),
)
