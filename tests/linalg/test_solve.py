"""Solves, determinants and Cholesky factors: singular and empty matrices, and bad input."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp import DtypeError, Op, ShapeError, verify
from purebp.compat import enable_x64, jit_once
from purebp.linalg import cholesky, det, inv, slogdet, solve, triangular_solve
from purebp.op import SPD
from reference.linalg import cofactors_one

RNG = np.random.default_rng(0)


def product_of_rank(n, rank):
    return RNG.normal(size=(n, rank)) @ RNG.normal(size=(rank, n))


DIAGONALS = [np.diag(entries) for entries in itertools.product((0.0, 2.0), repeat=4)]
SINGULAR = [
    *DIAGONALS,
    *(product_of_rank(n, rank) for n in (2, 3, 4) for rank in range(n)),
    np.eye(4, k=1),
    np.ones((4, 4)),
    1e-30 * RNG.normal(size=(4, 4)),
]


@pytest.mark.parametrize("a", SINGULAR, ids=range(len(SINGULAR)))
def test_the_determinant_of_a_singular_matrix_has_its_cofactors(a) -> None:
    with enable_x64(True):
        came, right = jit_once(jax.grad(det))(a), cofactors_one(a)
    scale = np.max(np.abs(a)) ** (len(a) - 1)
    np.testing.assert_allclose(came, right, rtol=1e-9, atol=1e-13 * scale)


def test_the_determinant_twice_at_a_singular_matrix_of_three_rows() -> None:
    a = np.diag([0.0, 0.0, 2.0])
    with enable_x64(True):
        came, right = (jit_once(jax.hessian(f))(a) for f in (det, det.define))
    np.testing.assert_array_equal(came, right)


def test_a_large_determinant_is_scaled_not_its_cofactors() -> None:
    a = np.float32(np.diag([1e20, 1e-20, 1e20, 1e-20, 1.0]))
    slopes = np.diag(jit_once(jax.grad(det))(a))
    np.testing.assert_allclose(slopes, [1e-20, 1e20, 1e-20, 1e20, 1], rtol=1e-6)
    sign, y = slogdet(jnp.diag(jnp.float32([-1e30, 1e30, 1.0])))
    np.testing.assert_allclose((sign, y), (-1, 60 * np.log(10)), rtol=1e-6)


@pytest.mark.parametrize("op", [cholesky, inv, det, slogdet], ids=lambda op: op.name)
@pytest.mark.parametrize("shape", [(0, 0), (0, 3, 3)], ids=str)
def test_empty_matrices(op, shape) -> None:
    a = jnp.zeros(shape)
    y, res = op.fwd(a)
    (a_bar,) = op.bwd(res, jax.tree.map(jnp.ones_like, y))
    assert jax.tree.map(jnp.shape, y) == jax.tree.map(jnp.shape, op.define(a))
    assert a_bar.shape == shape
    assert np.all(np.asarray(jax.tree.leaves(y)[0]) == 1) or shape == (0, 3, 3)


@pytest.mark.parametrize("op", [solve, triangular_solve], ids=lambda op: op.name)
@pytest.mark.parametrize("shapes", [((0, 0), (0, 2)), ((3, 3), (3, 0))], ids=str)
def test_no_equations_and_no_right_sides(op, shapes) -> None:
    a, b = jnp.broadcast_to(jnp.eye(*shapes[0]), shapes[0]), jnp.zeros(shapes[1])
    x, res = op.fwd(a, b)
    a_bar, b_bar = op.bwd(res, x)
    assert (x.shape, a_bar.shape, b_bar.shape) == (b.shape, a.shape, b.shape)
    assert not np.any(a_bar)


def test_what_the_triangle_does_not_use_is_not_read() -> None:
    a = jnp.array([[2.0, jnp.nan], [1.0, 4.0]])
    x, res = triangular_solve.fwd(a, jnp.array([[2.0], [5.0]]))
    a_bar, _ = triangular_solve.bwd(res, jnp.ones((2, 1)))
    np.testing.assert_array_equal(x, [[1], [1]])
    np.testing.assert_array_equal(a_bar, [[-0.375, 0], [-0.25, -0.25]])


def test_a_matrix_that_is_not_positive_definite_gives_nan() -> None:
    assert np.isnan(cholesky(-jnp.eye(2))).any()


def test_what_is_not_square_or_not_a_float_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"det: a has shape \(2, 3\), expected \(2, 2\)"):
        det(jnp.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"solve: b has shape \(3, 1\), expected \(2, 1\)"):
        solve(jnp.eye(2), jnp.ones((3, 1)))
    with pytest.raises(DtypeError, match=r"inv: a has dtype bfloat16, expected float32 or float"):
        inv(jnp.eye(2, dtype=jnp.bfloat16))
    with pytest.raises(DtypeError, match=r"inv: a has dtype int32, .*a.astype\(jnp.float32\)"):
        inv(jnp.eye(2, dtype=jnp.int32))


def test_the_whole_diagonal_instead_of_half_of_it_is_found() -> None:
    """A planted bug: the triangle of L^T L_bar without halving its diagonal."""

    def forward(a):
        y = jnp.linalg.cholesky(a)
        return y, y

    def backward(y, y_bar):
        inner = jnp.tril(y.T @ y_bar)
        inverse = jnp.linalg.inv(y)
        return (inverse.T @ (inner + inner.T) / 2 @ inverse,)

    whole = Op(forward, backward, name="whole", example=lambda _: (np.eye(2) + 0.1,))
    assert verify(whole, max_examples=1).verdict == "fail"
    assert SPD in cholesky.domains.values()
