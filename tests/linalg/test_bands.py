"""Tridiagonal systems and products of reflections: LAPACK's forms, pivots, zeros, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp import ShapeError
from purebp.compat import enable_x64, jit_once
from purebp.linalg import householder_product, qr, tridiagonal_solve

RNG = np.random.default_rng(0)


def test_a_system_that_needs_pivots_is_solved() -> None:
    """With 0 on the diagonal; what stands outside of the matrix changes nothing."""
    n = 6
    dl, du = RNG.normal(size=(2, n)) + 3
    b, x_bar = RNG.normal(size=(2, n, 2))
    a = np.diag(dl[1:], -1) + np.diag(du[:-1], 1)
    with enable_x64(True):
        x, res = tridiagonal_solve.fwd(dl, np.zeros(n), du, b)
        dl_bar, d_bar, du_bar, b_bar = tridiagonal_solve.bwd(res, x_bar)
    right = np.linalg.solve(a.T, x_bar)
    full = -right @ np.asarray(x).T
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-10)
    np.testing.assert_allclose(b_bar, right, rtol=1e-10)
    np.testing.assert_allclose(d_bar, np.diag(full), rtol=1e-10)
    np.testing.assert_allclose(dl_bar, [0, *np.diag(full, -1)], rtol=1e-10)
    np.testing.assert_allclose(du_bar, [*np.diag(full, 1), 0], rtol=1e-10)


def test_systems_that_are_singular_empty_or_do_not_fit() -> None:
    one = jnp.ones(1)
    assert tridiagonal_solve(one, 2 * one, one, one[:, None]).tolist() == [[0.5]]
    d, b = jnp.zeros(3), jnp.ones((3, 2))
    assert np.isnan(tridiagonal_solve(d, d, d, b)).all()
    d = jnp.ones((2, 0))
    x, res = tridiagonal_solve.fwd(d, d, d, jnp.ones((2, 0, 3)))
    assert [bar.shape for bar in tridiagonal_solve.bwd(res, x)] == [(2, 0)] * 3 + [(2, 0, 3)]
    with pytest.raises(ShapeError, match=r"du has shape \(3,\), expected \(4,\) from axis"):
        tridiagonal_solve(jnp.ones(4), jnp.ones(4), jnp.ones(3), jnp.ones((4, 1)))
    with pytest.raises(ShapeError, match=r"b has shape \(4,\), expected rank at least 2"):
        tridiagonal_solve(jnp.ones(4), jnp.ones(4), jnp.ones(4), jnp.ones(4))


def test_the_reflections_of_lapack_make_the_q_of_qr() -> None:
    a = RNG.normal(size=(5, 3))
    with enable_x64(True):
        packed, taus = jnp.linalg.qr(a, mode="raw")
        packed = jnp.swapaxes(packed, -1, -2)
        q = householder_product(packed, taus)
        np.testing.assert_allclose(q, lax.linalg.householder_product(packed, taus), atol=1e-14)
        np.testing.assert_allclose(q, qr(jnp.asarray(a))[0], atol=1e-14)


def test_reflections_with_any_tau_zero_too() -> None:
    a, taus = jnp.asarray(RNG.normal(size=(4, 3))), jnp.array([0.0, 1.7, 0.0])
    np.testing.assert_allclose(
        householder_product(a, taus), lax.linalg.householder_product(a, taus), atol=1e-6
    )
    bars = [
        jit_once(jax.grad(lambda a, t, f=f: jnp.sum(f(a, t) ** 2), (0, 1)))(a, taus)
        for f in (householder_product, householder_product.define)
    ]
    for came, expected in zip(*bars, strict=True):
        np.testing.assert_allclose(came, expected, rtol=1e-5, atol=1e-5)
    assert bars[0][0][:, 2].tolist() == [0] * 4


def test_products_that_are_empty_or_do_not_fit() -> None:
    for shape, count in (((2, 0, 0), 0), ((0, 3, 2), 2), ((3, 2), 0)):
        a, taus = jnp.ones(shape), jnp.ones((*shape[:-2], count))
        q, res = householder_product.fwd(a, taus)
        bars = householder_product.bwd(res, jnp.ones_like(q))
        assert (q.shape, *(bar.shape for bar in bars)) == (shape, shape, taus.shape)
    assert q.tolist() == np.eye(3, 2).tolist()
    for shape, count in (((2, 3), 2), ((3, 2), 3)):
        with pytest.raises(ShapeError, match="as many rows as columns, and as many columns as"):
            householder_product(jnp.ones(shape), jnp.ones(count))
