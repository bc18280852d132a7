"""Cholesky's factor and triangular systems against JAX in float64."""

import operator

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.verification.digits import factors
from purebp.verification.digits.values import MP
from tests.verification.digits.both_ways import assert_same, by_digits

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))
S = X @ X.T + np.eye(3)
L = np.tril(X[:, :3]) + 3 * np.eye(3)
B = RNG.standard_normal((3, 2))


@pytest.mark.parametrize("a", [S, np.stack([S, S + np.eye(3)]), np.eye(1), np.zeros((0, 0))])
def test_cholesky(a):
    assert_same(jnp.linalg.cholesky, a, rtol=1e-10)


@pytest.mark.parametrize("a", [-np.eye(2), np.zeros((2, 2))])
def test_no_factor_where_the_first_number_is_not_positive(a):
    [factor] = by_digits(lax.linalg.cholesky, a)
    assert np.isnan(factor[0, 0])


def test_no_factor_of_a_matrix_that_is_not_positive():
    assert_same(jnp.linalg.cholesky, np.diag([1.0, -1.0]))


def test_a_batch_of_none():
    assert_same(jnp.linalg.cholesky, np.zeros((0, 3, 3)))


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_triangular_systems(left, lower):
    def solve(a, b):
        return [
            lax.linalg.triangular_solve(
                a, b, left_side=left, lower=lower, transpose_a=transposed, unit_diagonal=unit
            )
            for transposed in (False, True)
            for unit in (False, True)
        ]

    full = L + L.T  # the other triangle is not read
    assert_same(solve, full, B if left else B.T, rtol=1e-10)


def test_triangular_systems_in_a_batch():
    stacks = np.stack([L, L + np.eye(3)]), np.stack([B, 2 * B])
    assert_same(
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
        *stacks,
        rtol=1e-10,
    )


def test_a_system_without_a_solution_has_none():
    [x] = by_digits(
        lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True),
        np.asarray([[2.0, 0.0], [1.0, 0.0]]),
        np.ones((2, 1)),
    )
    assert x[0, 0] == 0.5
    assert not np.isfinite(x[1, 0])


def test_the_factor_has_all_its_digits():
    a = np.full((1, 1), MP.mpf(2), object)
    factor = factors.apply("cholesky", {}, [a])
    assert factor is not None
    assert abs(factor[0, 0] ** 2 - 2) < MP.mpf(10) ** -78


def test_a_wrong_triangle_is_seen(monkeypatch):
    right = factors._substitute
    monkeypatch.setattr(
        factors,
        "_substitute",
        lambda a, b, *, lower, unit: right(a, b, lower=not lower, unit=unit),
    )
    with pytest.raises(AssertionError):
        assert_same(
            lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True), L, B
        )


def test_other_primitives_are_not_among_these():
    assert factors.apply("sin", {}, [operator.neg]) is None
