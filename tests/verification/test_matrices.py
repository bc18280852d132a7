"""The matrices that ops are tried on have the properties that their domain promises."""

import jax.numpy as jnp
import numpy as np
import pytest

from purebp.linalg import cholesky, expm, solve
from purebp.linalg.expm import exponential_series
from purebp.op import FULL_RANK, SIMPLE, SPD, SYMMETRIC, Op, conditioned
from purebp.verification.cases import PATTERNS, Case, make_args, variants
from purebp.verification.checks import CHECKS
from purebp.verification.matrices import MATRICES, matrix_values
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

SHAPES = [(4, 4), (2, 3, 3), (1, 1), (3, 2, 2)]


def transposed(a):
    return np.swapaxes(a, -1, -2)


def values(shape, kind, pattern, seed=0):
    return matrix_values(np.random.default_rng(seed), shape, kind, pattern)


def gaps(eigenvalues):
    return np.diff(np.sort(eigenvalues, axis=-1), axis=-1)


def test_the_domains_are_those_that_are_made() -> None:
    assert {FULL_RANK.kind, SYMMETRIC.kind, SPD.kind, SIMPLE.kind} == set(MATRICES)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", [*SHAPES, (4, 2), (2, 3, 5)])
def test_full_rank_is_well_conditioned_with_singular_values_apart(shape, pattern) -> None:
    a = values(shape, "full rank", pattern)
    s = np.linalg.svd(a, compute_uv=False)
    assert a.shape == shape
    assert np.all(s[..., 0] < (110 if pattern == "wide" else 10) * s[..., -1])
    assert np.all(gaps(s) > 0.02 * s[..., 1:])


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", SHAPES)
def test_symmetric_has_eigenvalues_of_both_signs_apart(shape, pattern) -> None:
    drawn = [values(shape, "symmetric", pattern, seed) for seed in range(20)]
    for a in drawn:
        np.testing.assert_array_equal(a, transposed(a))
        eigenvalues = np.linalg.eigvalsh(a)
        assert np.all(gaps(eigenvalues) > 1e-3 * np.max(np.abs(eigenvalues)))
    traces = [np.trace(a.reshape(-1, *shape[-2:])[0]) for a in drawn]
    assert min(traces) < 0 < max(traces)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", SHAPES)
def test_simple_has_eigenvalues_apart_in_pairs_of_conjugates(shape, pattern) -> None:
    w, v = np.linalg.eig(values(shape, "simple", pattern))
    distances = np.abs(w[..., None, :] - w[..., None]) + np.eye(shape[-1])
    assert np.all(distances > 1e-3)
    assert np.all(np.linalg.cond(v) < 100)
    assert np.all(np.sum(w.imag != 0, axis=-1) == shape[-1] - shape[-1] % 2)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", SHAPES)
def test_spd_is_symmetric_and_positive_and_has_ties(shape, pattern) -> None:
    a = values(shape, "spd", pattern)
    np.testing.assert_array_equal(a, transposed(a))
    eigenvalues = np.linalg.eigvalsh(a)
    assert np.all(eigenvalues[..., -1] < 110 * eigenvalues[..., 0])
    assert np.all(eigenvalues > 0)
    tied = gaps(eigenvalues) < 1e-9
    assert tied.any() == (pattern == "ties" and shape[-1] > 1)


@pytest.mark.parametrize("op", [cholesky, solve], ids=lambda op: op.name)
def test_an_op_gets_the_matrices_it_asks_for(op) -> None:
    target = make_target(op)
    for variant in variants(target):
        for pattern in PATTERNS:
            a = np.asarray(make_args(target, Case(variant, pattern, "normal", 3))[0])
            s = np.linalg.svd(a, compute_uv=False)
            assert a.dtype == np.float32
            assert np.all(s[..., 0] < 110 * s[..., -1])
            assert op is solve or np.all(np.linalg.eigvalsh(a) > 0)


BLOCKS = np.float32([[2, 1, 0], [1, 2, 0], [0, 0, 1]])


def exponential_with_noise(noise, whole):
    """exp of a matrix with zeros in it, with a share of a rounding of its largest entry added."""

    def forward(a):
        y = exponential_series(a)
        return y + noise * jnp.finfo(a.dtype).eps * jnp.max(jnp.abs(y)), a

    tolerance = conditioned("a test", pooled=True, whole=whole)
    return Op(
        forward,
        expm.backward,
        definition=exponential_series,
        example=lambda _: (BLOCKS,),
        tolerance=tolerance,
    )


@pytest.mark.parametrize(
    ("noise", "whole", "right"), [(0.5, True, True), (100, True, False), (0.5, False, False)]
)
def test_a_zero_has_the_rounding_of_the_whole_where_the_op_says_so(noise, whole, right) -> None:
    assert passes_forward(exponential_with_noise(noise, whole)) is right


def passes_forward(op):
    target = make_target(op)
    probe = Probe(target, variants(target)[0])
    return CHECKS["forward"](probe, probe.first).failure is None
