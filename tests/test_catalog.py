"""Every op of the catalogue against every check, on inputs that Hypothesis draws.

The oracles are autodiff of the definition (`jax.vjp`, `jax.jacobian`) in float64 and finite
differences of the forward pass; see purebp/verification.
"""

from functools import cache, lru_cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from purebp.catalog import OPS, families, find
from purebp.errors import UnknownOpError
from purebp.verification.cases import COTANGENTS, PATTERNS, Case, Variant, variants
from purebp.verification.checks import CHECKS, ONCE, checks_of
from purebp.verification.probe import Probe
from purebp.verification.report import describe
from purebp.verification.target import Target, make_target


@cache
def target_of(name: str) -> Target:
    return make_target(OPS[name])


@cache
def variants_of(name: str) -> tuple[Variant, ...]:
    return variants(target_of(name))


@lru_cache(maxsize=64)  # those of one op or two: each holds compiled programs
def probe_of(name: str, variant: Variant) -> Probe:
    """The first variant is compiled as users do, the others quickly."""
    return Probe(target_of(name), variant, quick=variant != variants_of(name)[0])


EACH_TIME = [name for name in CHECKS if name not in ONCE]  # they share what was computed
MODELS = [op.name for op in families()["models"]]  # their programs take seconds to compile


@pytest.mark.parametrize("name", [name for name in OPS if name not in MODELS])
@given(data=st.data())
@settings(suppress_health_check=list(HealthCheck), max_examples=3)
def test_every_op_passes_every_check_with_all_its_options(name, data):
    must_pass_once(name)
    must_pass(name, data)


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(suppress_health_check=list(HealthCheck), max_examples=2)
def test_every_model_passes_every_check_with_all_its_options(name, data):
    must_pass_once(name, besides=("jit",))  # each of its layers is run without jit on its own
    must_pass(name, data)


@cache
def must_pass_once(name, besides=()):
    """The first case of the first variant through the checks that have programs of their own."""
    probe = probe_of(name, variants_of(name)[0])
    for check in checks_of(target_of(name)):
        if check in ONCE and check not in besides:
            outcome = CHECKS[check](probe, probe.first)
            assert not outcome.inconclusive
            assert outcome.failure is None, describe(outcome.failure)


def cases_of(variant):
    """Cases of one variant; they shrink to the first patterns and seeds, which are the simplest."""
    patterns, cotangents = st.sampled_from(PATTERNS), st.sampled_from(COTANGENTS)
    return st.builds(Case, st.just(variant), patterns, cotangents, st.integers(0, 2**16))


def must_pass(name, data):
    """One case of each variant (options and shapes) through all checks, for each example."""
    for variant in variants_of(name):
        case = data.draw(cases_of(variant))
        for check in EACH_TIME:
            outcome = CHECKS[check](probe_of(name, variant), case)
            assert outcome.failure is None, describe(outcome.failure)


def test_names_are_unique_and_every_op_is_in_a_family():
    listed = [op.name for ops in families().values() for op in ops]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(OPS)


@pytest.mark.parametrize("name", OPS)
def test_every_op_documents_its_maths(name):
    text = OPS[name].__doc__ or ""
    for part in ("Maths", "Shapes", "Residuals", "Raises", "Source"):
        assert f"{part}:" in text, f"{name} does not document its {part}"


@pytest.mark.parametrize("name", OPS)
def test_a_tolerance_of_its_own_has_a_reason(name):
    tolerance = OPS[name].tolerance
    assert tolerance == type(tolerance)() or tolerance.reason


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(UnknownOpError, match=r"unknown op 'sigmoi'; did you mean 'sigmoid'\?"):
        find("sigmoi")
