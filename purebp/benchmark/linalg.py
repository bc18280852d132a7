"""Linear algebra, against jnp.linalg and lax.linalg, and torch.linalg."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, Draw, normal, uniform
from purebp.linalg import (
    cholesky,
    det,
    eigh,
    eigvalsh,
    einsum,
    expm,
    hermitian_function,
    householder_product,
    inv,
    kron,
    lstsq,
    lu,
    matrix_power,
    outer,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
    triangular_solve,
    tridiagonal_solve,
)


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


def reflections_by_scan(a: Array, taus: Array) -> Array:
    """One reflection after the other: JAX has no gradient of lax.linalg.householder_product."""
    v = jnp.tril(a[:, : len(taus)], -1) + jnp.eye(len(a), len(taus))

    def reflect(q: Array, each: tuple[Array, Array]) -> tuple[Array, None]:
        column, tau = each
        return q - tau * jnp.outer(column, column @ q), None

    return lax.scan(reflect, jnp.eye(a.shape[0], a.shape[1]), (v.T, taus), reverse=True)[0]


def plain_slogdet(a: Array) -> tuple[Array, Array]:
    sign, y = jnp.linalg.slogdet(a)
    return sign, y


def signs_of(v: Array) -> Array:
    """The signs that purebp gives to vectors, so that both compute the same."""
    place = jnp.argmax(jnp.abs(v), axis=-2, keepdims=True)
    return jnp.sign(jnp.take_along_axis(v, place, axis=-2))


def signed_eigh(a: Array) -> tuple[Array, Array]:
    w, v = jnp.linalg.eigh(a)
    return w, v * signs_of(v)


def signed_svd(a: Array) -> tuple[Array, Array, Array]:
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    return u * signs_of(u), s, vt * jnp.swapaxes(signs_of(u), -1, -2)


def jnp_svdvals(a: Array) -> Array:
    return jnp.linalg.svd(a, compute_uv=False)


def jnp_qr(a: Array) -> tuple[Array, Array]:
    q, r = jnp.linalg.qr(a)
    return q, r


def plain_lu(a: Array) -> tuple[tuple[Array, Array], Array]:
    packed, _, order = lax.linalg.lu(a)
    one = jnp.eye(a.shape[-1], dtype=a.dtype)
    return (jnp.tril(packed, -1) + one, jnp.triu(packed)), order


def log_by_eigh(a: Array) -> Array:
    w, v = jnp.linalg.eigh(a)
    return (v * jnp.log(w)[..., None, :]) @ jnp.swapaxes(v, -1, -2)


def cubed(a: Array) -> Array:
    return jnp.linalg.matrix_power(a, 3)


def jnp_lstsq(a: Array, b: Array) -> Array:
    return jnp.linalg.lstsq(a, b)[0]


def three_products(x: Array, y: Array, z: Array) -> Array:
    return jnp.einsum("bij,jk,bk->bi", x, y, z)


def plain_outer(x: Array, y: Array) -> Array:
    return x[:, :, None] * y[:, None, :]


def torch_three_products(torch: Any, x: Any, y: Any, z: Any) -> Any:
    return torch.einsum("bij,jk,bk->bi", x, y, z)


def torch_outer(torch: Any, x: Any, y: Any) -> Any:
    return x[:, :, None] * y[:, None, :]


def torch_kron(torch: Any, a: Any, b: Any) -> Any:
    return torch.kron(a, b)


def torch_svdvals(torch: Any, a: Any) -> Any:
    return torch.linalg.svdvals(a)


def torch_eigvalsh(torch: Any, a: Any) -> Any:
    return torch.linalg.eigvalsh(a)


def torch_qr(torch: Any, a: Any) -> Any:
    return torch.linalg.qr(a)


def torch_expm(torch: Any, a: Any) -> Any:
    return torch.linalg.matrix_exp(a)


def torch_cubed(torch: Any, a: Any) -> Any:
    return torch.linalg.matrix_power(a, 3)


def torch_pinv(torch: Any, a: Any) -> Any:
    return torch.linalg.pinv(a)


def torch_cholesky(torch: Any, a: Any) -> Any:
    return torch.linalg.cholesky(a)


def torch_triangular_solve(torch: Any, a: Any, b: Any) -> Any:
    return torch.linalg.solve_triangular(a.tril(), b, upper=False)


def torch_householder_product(torch: Any, a: Any, taus: Any) -> Any:
    return torch.linalg.householder_product(a, taus)


def torch_solve(torch: Any, a: Any, b: Any) -> Any:
    return torch.linalg.solve(a, b)


def torch_inv(torch: Any, a: Any) -> Any:
    return torch.linalg.inv(a)


def torch_det(torch: Any, a: Any) -> Any:
    return torch.linalg.det(a)


SMALL, LARGE = regular(16, 16), regular(256, 256)
COLUMNS = normal(16, 4), normal(256, 64)
TALL = normal(32, 8), normal(256, 64)

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
    Case(
        tridiagonal_solve,
        lax.linalg.tridiagonal_solve,
        "lax.linalg.tridiagonal_solve",
        (uniform(-1, 1, 16), uniform(2, 4, 16), uniform(-1, 1, 16), normal(16, 4)),
        (uniform(-1, 1, 4096), uniform(2, 4, 4096), uniform(-1, 1, 4096), normal(4096, 16)),
    ),
    Case(
        householder_product,
        reflections_by_scan,
        "a scan over the reflections",
        (normal(16, 8, scale=0.2), uniform(0.5, 1.5, 8)),
        (normal(256, 64, scale=0.05), uniform(0.5, 1.5, 64)),
        torch=torch_householder_product,
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
    Case(eigh, signed_eigh, "jnp.linalg.eigh", (spd(16, 16),), (spd(128, 128),)),
    Case(
        eigvalsh,
        jnp.linalg.eigvalsh,
        "jnp.linalg.eigvalsh",
        (spd(16, 16),),
        (spd(128, 128),),
        torch=torch_eigvalsh,
    ),
    Case(
        hermitian_function,
        log_by_eigh,
        "jnp.linalg.eigh",
        (spd(16, 16),),
        (spd(128, 128),),
        options={"function": "log"},
        label="log",
    ),
    Case(
        expm,
        jax.scipy.linalg.expm,
        "jax.scipy.linalg.expm",
        (SMALL,),
        (regular(128, 128),),
        torch=torch_expm,
    ),
    Case(
        matrix_power,
        cubed,
        "jnp.linalg.matrix_power",
        (SMALL,),
        (LARGE,),
        options={"power": 3},
        torch=torch_cubed,
    ),
    Case(qr, jnp_qr, "jnp.linalg.qr", (SMALL,), (LARGE,), torch=torch_qr),
    Case(svd, signed_svd, "jnp.linalg.svd", (SMALL,), (regular(128, 128),)),
    Case(
        svdvals,
        jnp_svdvals,
        "jnp.linalg.svd",
        (SMALL,),
        (regular(128, 128),),
        torch=torch_svdvals,
    ),
    Case(lu, plain_lu, "lax.linalg.lu", (SMALL,), (LARGE,)),
    Case(pinv, jnp.linalg.pinv, "jnp.linalg.pinv", (TALL[0],), (TALL[1],), torch=torch_pinv),
    Case(
        lstsq,
        jnp_lstsq,
        "jnp.linalg.lstsq",
        (TALL[0], normal(32, 2)),
        (TALL[1], normal(256, 4)),
    ),
    Case(
        einsum,
        three_products,
        "jnp.einsum",
        (normal(4, 8, 8), normal(8, 8), normal(4, 8)),
        (normal(64, 128, 128), normal(128, 128), normal(64, 128)),
        options={"subscripts": "bij,jk,bk->bi"},
        torch=torch_three_products,
    ),
    Case(
        outer,
        plain_outer,
        "multiply",
        (normal(4, 16), normal(4, 16)),
        (normal(64, 256), normal(64, 256)),
        torch=torch_outer,
        single=True,
    ),
    Case(
        kron,
        jnp.kron,
        "jnp.kron",
        (normal(4, 4), normal(4, 4)),
        (normal(32, 32), normal(32, 32)),
        torch=torch_kron,
        single=True,
    ),
)
