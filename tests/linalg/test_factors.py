"""QR, LU, singular values and least squares: wide matrices, ties, matrices of lower rank."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.compat import enable_x64
from purebp.linalg import lstsq, lu, pinv, qr, svd, svdvals

RNG = np.random.default_rng(0)
SHAPES = [(3, 3), (4, 2), (2, 4)]


def grad(function, a):
    with enable_x64(True):
        return np.asarray(jax.grad(function)(jnp.asarray(a)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_factors_give_the_matrix_back(shape) -> None:
    a = jnp.float32(RNG.normal(size=(2, *shape)))
    (q, r), (u, s, vt), ((lower, upper), order) = qr(a), svd(a), lu(a)
    for came in (q @ r, (u * s[:, None, :]) @ vt):
        np.testing.assert_allclose(came, a, atol=1e-5)
    rows = np.take_along_axis(np.asarray(a), np.asarray(order)[..., None], axis=-2)
    np.testing.assert_allclose(lower @ upper, rows, atol=1e-5)
    np.testing.assert_array_equal(r, np.triu(r))
    assert np.all(np.max(u, axis=-2) == np.max(np.abs(u), axis=-2))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_the_factors_give_back_has_slope_one(shape) -> None:
    """The product of the factors is a, whatever their own derivatives are."""
    a, weights = RNG.normal(size=shape), RNG.normal(size=shape)

    def by_svd(a):
        u, s, vt = svd(a)
        return jnp.sum(weights * ((u * s) @ vt))

    def by_qr(a):
        q, r = qr(a)
        return jnp.sum(weights * (q @ r))

    def by_lu(a):
        (lower, upper), order = lu(a)
        return jnp.sum(jnp.asarray(weights)[order] * (lower @ upper))

    for function in (by_svd, by_qr, by_lu):
        np.testing.assert_allclose(grad(function, a), weights, rtol=1e-9, atol=1e-10)


def test_the_nuclear_norm_of_equal_singular_values() -> None:
    q, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    for function in (svdvals, lambda a: svd(a)[1]):
        came = grad(lambda a, f=function: jnp.sum(f(a)), 2 * q)
        np.testing.assert_allclose(came, q, rtol=1e-12, atol=1e-13)


def test_singular_values_of_zero_do_no_harm_to_the_others() -> None:
    a = np.outer([1.0, 2.0, 2.0], [3.0, 4.0])
    came = grad(lambda a: svd(a)[1][0], a)
    np.testing.assert_allclose(came, a / 15, rtol=1e-12)


def test_vectors_of_equal_singular_values_have_no_derivative() -> None:
    y, res = svd.fwd(jnp.eye(2))
    y_bar = (jnp.array([[1.0, 2.0], [3.0, 4.0]]), *jax.tree.map(jnp.zeros_like, y[1:]))
    assert np.isnan(svd.bwd(res, y_bar)[0]).any()


def test_the_triangle_of_a_wide_matrix_has_its_norm() -> None:
    a = RNG.normal(size=(2, 4))
    came = grad(lambda a: jnp.sum(qr(a)[1] ** 2), a)
    np.testing.assert_allclose(came, 2 * a, rtol=1e-10)


def test_the_pseudoinverse_of_lower_rank() -> None:
    a = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    weights = RNG.normal(size=(2, 3))
    came, right = (grad(lambda a, f=f: jnp.sum(weights * f(a)), a) for f in (pinv, jnp.linalg.pinv))
    np.testing.assert_allclose(came, right, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 2), (2, 5)], ids=str)
def test_least_squares_has_its_normal_equations_and_is_shortest(shape) -> None:
    a, b = jnp.float32(RNG.normal(size=shape)), jnp.float32(RNG.normal(size=(shape[0], 2)))
    x = lstsq(a, b)
    np.testing.assert_allclose(a.T @ (a @ x - b), 0, atol=1e-5)
    np.testing.assert_allclose(x, np.linalg.lstsq(a, b)[0], atol=1e-5)


def test_the_least_residual_is_flat_in_the_solution() -> None:
    """|b - a x|^2 / 2 changes with b by b - a x, with a by -(b - a x) x^T: x itself is at rest."""
    a, b = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 1))
    with enable_x64(True):
        x = lstsq(a, b)
        a_bar, b_bar = jax.grad(lambda a, b: jnp.sum((b - a @ lstsq(a, b)) ** 2) / 2, (0, 1))(a, b)
        rest = np.asarray(b - a @ x)
    np.testing.assert_allclose(b_bar, rest, rtol=1e-9)
    np.testing.assert_allclose(a_bar, -rest @ np.asarray(x).T, rtol=1e-9)


@pytest.mark.parametrize("op", [qr, svd, svdvals, lu, pinv], ids=lambda op: op.name)
@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 1, 1)], ids=str)
def test_no_matrices_and_single_entries(op, shape) -> None:
    a = jnp.full(shape, 3.0)
    y, res = op.fwd(a)
    y_bar = jax.tree.map(jnp.ones_like, y[0] if op.has_aux else y)
    (a_bar,) = op.bwd(res, y_bar)
    assert a_bar.shape == shape
    assert np.isfinite(a_bar).all()
    assert jax.tree.map(jnp.shape, y) == jax.tree.map(jnp.shape, op.define(a))
