"""Linear algebra, against jnp.linalg and lax.linalg, and torch.linalg."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, Draw, normal
from purebp.linalg import cholesky, det, inv, slogdet, solve, triangular_solve


def regular(*shape: int) -> Draw:
    """Well conditioned square matrices: normal values beside a diagonal."""
    return partial(_regular, shape, False)


def spd(*shape: int) -> Draw:
    """Symmetric positive definite matrices."""
    return partial(_regular, shape, True)


def _regular(shape: tuple[int, ...], squared: bool, rng: np.random.Generator) -> Array:
    a = rng.standard_normal(shape) / np.sqrt(shape[-1]) + 2 * np.eye(shape[-1])
    a = a @ np.swapaxes(a, -1, -2) if squared else a
    return jnp.asarray(a, jnp.float32)


def lax_triangular_solve(a: Array, b: Array) -> Array:
    return lax.linalg.triangular_solve(a, b, left_side=True, lower=True)


def plain_slogdet(a: Array) -> tuple[Array, Array]:
    sign, y = jnp.linalg.slogdet(a)
    return sign, y


def torch_cholesky(torch: Any, a: Any) -> Any:
    return torch.linalg.cholesky(a)


def torch_triangular_solve(torch: Any, a: Any, b: Any) -> Any:
    return torch.linalg.solve_triangular(a.tril(), b, upper=False)


def torch_solve(torch: Any, a: Any, b: Any) -> Any:
    return torch.linalg.solve(a, b)


def torch_inv(torch: Any, a: Any) -> Any:
    return torch.linalg.inv(a)


def torch_det(torch: Any, a: Any) -> Any:
    return torch.linalg.det(a)


SMALL, LARGE = regular(16, 16), regular(256, 256)
COLUMNS = normal(16, 4), normal(256, 64)

CASES = (
    Case(
        cholesky,
        jnp.linalg.cholesky,
        "jnp.linalg.cholesky",
        (spd(16, 16),),
        (spd(256, 256),),
        torch=torch_cholesky,
    ),
    Case(
        triangular_solve,
        lax_triangular_solve,
        "lax.linalg.triangular_solve",
        (SMALL, COLUMNS[0]),
        (LARGE, COLUMNS[1]),
        torch=torch_triangular_solve,
    ),
    Case(
        solve,
        jnp.linalg.solve,
        "jnp.linalg.solve",
        (SMALL, COLUMNS[0]),
        (LARGE, COLUMNS[1]),
        torch=torch_solve,
    ),
    Case(inv, jnp.linalg.inv, "jnp.linalg.inv", (SMALL,), (LARGE,), torch=torch_inv),
    Case(
        det,
        jnp.linalg.det,
        "jnp.linalg.det",
        (regular(8, 3, 3),),
        (regular(64, 32, 32),),
        torch=torch_det,
        more_memory="cofactors of singular matrices too: the products of all pivots between two",
    ),
    Case(slogdet, plain_slogdet, "jnp.linalg.slogdet", (SMALL,), (LARGE,)),
)
