"""Eigenvalues, functions of matrices, exponentials and powers: ties, signs, large norms."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from purebp import OptionError
from purebp.compat import enable_x64, jit_once
from purebp.linalg import eig, eigh, eigvalsh, expm, hermitian_function, matrix_power
from purebp.linalg.functions import FUNCTIONS
from reference.backward_spectral import hermitian_function_back, matrix_power_back

RNG = np.random.default_rng(0)


def rotated(*eigenvalues):
    """A symmetric matrix with these eigenvalues."""
    q, _ = np.linalg.qr(RNG.normal(size=(len(eigenvalues), len(eigenvalues))))
    a = q @ np.diag(eigenvalues) @ q.T
    return (a + a.T) / 2


def pulled(op, y_bar, a, **options):
    y, res = op.fwd(a, **options)
    return y, op.bwd(res, y_bar)[0]


@pytest.mark.parametrize("w", [(2.0, 2.0, 2.0), (1.0, 3.0, 3.0)])
def test_functions_of_equal_eigenvalues_that_treat_them_alike(w) -> None:
    a = rotated(*w)
    with enable_x64(True):
        by_values = jax.grad(lambda a: jnp.sum(eigvalsh(a) ** 3))(a)
        by_both = jax.grad(lambda a: jnp.sum(eigh(a)[0] ** 3))(a)
    np.testing.assert_allclose(by_values, 3 * a @ a, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(by_both, 3 * a @ a, rtol=1e-12, atol=1e-13)


def test_eigenvectors_of_equal_eigenvalues_have_no_derivative() -> None:
    y_bar = (jnp.zeros(2), jnp.array([[1.0, 2.0], [3.0, 4.0]]))
    assert np.isnan(pulled(eigh, y_bar, jnp.eye(2))[1]).any()
    symmetric = (jnp.ones(2), jnp.eye(2))
    np.testing.assert_array_equal(pulled(eigh, symmetric, jnp.eye(2))[1], np.eye(2))


def test_the_largest_entry_of_an_eigenvector_is_positive_in_both_precisions() -> None:
    a = rotated(-2.0, 0.5, 1.0, 4.0)
    with enable_x64(True):
        exact = np.asarray(eigh(a)[1])
    rounded = np.asarray(eigh(jnp.float32(a))[1])
    np.testing.assert_allclose(rounded, exact, atol=1e-5)
    assert np.all(np.max(exact, axis=0) == np.max(np.abs(exact), axis=0))


def test_a_projector_does_not_see_the_sign() -> None:
    a, weights = rotated(-1.0, 0.5, 2.0), RNG.normal(size=(3, 3))

    def along(decompose, a):
        v = decompose(a)[1][:, 1]
        return jnp.sum(weights * jnp.outer(v, v))

    with enable_x64(True):
        came, right = (jax.grad(lambda a, f=f: along(f, a))(a) for f in (eigh, jnp.linalg.eigh))
    np.testing.assert_allclose(came, right, rtol=1e-10, atol=1e-12)


def test_eigenvectors_with_a_share_of_the_diagonal_would_be_wrong() -> None:
    """The popular mistake: without the unit norm v_bar = v would change a."""
    a = rotated(-1.0, 0.5, 2.0)
    with enable_x64(True):
        (_, v), a_bar = pulled(eigh, (jnp.zeros(3), eigh(a)[1]), a)
    np.testing.assert_allclose(a_bar, 0, atol=1e-14)
    assert np.max(np.abs(v)) > 0.5


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-7, 1e-3])
def test_functions_at_and_near_equal_eigenvalues(function, gap) -> None:
    a, y_bar = rotated(1.5, 1.5 + gap, 4.0), RNG.normal(size=(3, 3))
    with enable_x64(True):
        _, came = pulled(hermitian_function, y_bar, a, function=function)
    right = hermitian_function_back(a, y_bar, function=function)
    np.testing.assert_allclose(came, right, rtol=1e-11, atol=1e-14)
    equal = hermitian_function_back(2 * np.eye(3), y_bar, function=function)
    with enable_x64(True):
        _, came = pulled(hermitian_function, y_bar, 2 * np.eye(3), function=function)
    np.testing.assert_allclose(came, equal, rtol=1e-12)


def test_slopes_of_large_eigenvalues_do_not_overflow() -> None:
    a = jnp.diag(jnp.float32([80.0, -80.0]))
    _, a_bar = pulled(hermitian_function, jnp.ones((2, 2)), a, function="exp")
    right = np.array([[np.exp(80), np.exp(80) / 160], [np.exp(80) / 160, np.exp(-80)]])
    np.testing.assert_allclose(a_bar, right, rtol=1e-5)


def test_an_unknown_function_and_half_a_power_are_refused() -> None:
    with pytest.raises(OptionError, match=r"function is 'sin', expected one of 'exp', 'log'"):
        hermitian_function(jnp.eye(2), function="sin")
    with pytest.raises(OptionError, match=r"matrix_power: power is 0.5, expected an integer"):
        matrix_power(jnp.eye(2), power=0.5)


def exact_exponential(a):
    with mpmath.workdps(40):
        return np.array(mpmath.expm(mpmath.matrix(a.tolist())).tolist(), float)


@pytest.mark.parametrize("norm", [1e-3, 5.3, 10.5, 40.0])
def test_the_exponential_has_all_its_digits(norm) -> None:
    """jax.scipy.linalg.expm has 11 or less at a norm of 10.5: it scales too little."""
    a = rotated(0.2, 0.5, 1.0) * norm
    with enable_x64(True):
        y = jit_once(expm)(a)
    np.testing.assert_allclose(y, exact_exponential(a), rtol=1e-12)


def test_each_matrix_of_a_batch_is_scaled_by_itself() -> None:
    a = np.stack([rotated(1.0, 2.0), 100 * np.array([[0.0, 1.0], [-1.0, 0.0]]), np.zeros((2, 2))])
    with enable_x64(True):
        y, a_bar = jit_once(lambda a: pulled(expm, jnp.ones_like(a), a))(a)
    right = np.stack([exact_exponential(each) for each in a])
    np.testing.assert_allclose(y, right, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(a_bar[2], 1)


def test_an_exponential_out_of_range_is_nan() -> None:
    assert np.isnan(jit_once(expm)(-1e7 * jnp.eye(2))).all()


@pytest.mark.parametrize("power", [1, 2, 5, 6, 7, -1, -3])
def test_powers_by_squaring(power) -> None:
    a, y_bar = RNG.normal(size=(3, 3)) + 2 * np.eye(3), RNG.normal(size=(3, 3))
    with enable_x64(True):
        y, a_bar = pulled(matrix_power, y_bar, a, power=power)
    np.testing.assert_allclose(y, np.linalg.matrix_power(a, power), rtol=1e-10)
    np.testing.assert_allclose(a_bar, matrix_power_back(a, y_bar, power=power), rtol=1e-9)


@pytest.mark.parametrize("op", [eigh, eigvalsh, hermitian_function, expm, matrix_power])
def test_empty_matrices(op) -> None:
    y, res = op.fwd(jnp.zeros((2, 0, 0)))
    assert op.bwd(res, y)[0].shape == (2, 0, 0)
    assert jax.tree.map(jnp.shape, y) == jax.tree.map(jnp.shape, op.define(jnp.zeros((2, 0, 0))))


GENERAL = np.array([[1.0, 2.0, 0.5], [-1.5, 0.3, 1.0], [0.2, -0.7, 2.0]])


def test_a_general_matrix_is_made_of_its_eigenvectors() -> None:
    with enable_x64(True):
        for a in (GENERAL, GENERAL * (1 + 2j) + 1j * np.diag([1, 2, 3]), np.stack([GENERAL] * 2)):
            w, v = eig(a)
            np.testing.assert_allclose(a @ v, v * w[..., None, :], atol=1e-12)
            np.testing.assert_allclose(jnp.sum(jnp.abs(v) ** 2, -2), np.ones(w.shape), rtol=1e-12)
            assert np.all(np.diff(w.real) >= -1e-12)
    assert np.isnan(eig(GENERAL.astype(np.float32) * np.nan)[0]).all()


def test_a_sum_over_all_eigenvalues_is_a_trace() -> None:
    with enable_x64(True):
        slope = jit_once(jax.grad(lambda a: jnp.sum(eig(a)[0] ** 3).real))
        np.testing.assert_allclose(slope(GENERAL), 3 * (GENERAL @ GENERAL).T, rtol=1e-11)


def test_eigenvectors_of_equal_general_eigenvalues_have_no_derivative() -> None:
    y_bar = (jnp.zeros(2, complex), jnp.array([[1.0, 2.0], [3.0, 4.0]]) + 0j)
    assert not np.isfinite(pulled(eig, y_bar, jnp.eye(2))[1]).all()


def test_a_symmetric_matrix_has_the_eigenvectors_of_eigh() -> None:
    a = rotated(-1.0, 0.5, 2.0)
    w_bar, v_bar = np.arange(3.0), RNG.normal(size=(3, 3))
    with enable_x64(True):
        (w, v), bar = pulled(eig, (w_bar + 0j, v_bar + 0j), a)
        (values, vectors), symmetric = pulled(eigh, (w_bar, v_bar), a)
        bar = np.asarray(bar)
    np.testing.assert_allclose(w, values, atol=1e-12)
    np.testing.assert_allclose(v, vectors, atol=1e-12)
    np.testing.assert_allclose((bar + bar.T) / 2, symmetric, atol=1e-11)
