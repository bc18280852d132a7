"""What `purebp.verify` finds in JAX's and optax's own rules: one test for each finding."""

import jax
import numpy as np
import optax
import pytest
from jax.scipy import special

from purebp.verification.cases import variants
from purebp.verification.checks import CHECKS
from purebp.verification.comparison import Outcome
from purebp.verification.probe import Probe
from purebp.verification.rules import rules_of
from purebp.verification.target import make_target
from reference.proof.library_rules import LIBRARY


def outcome_of(name: str, check: str, pattern: str = "normal") -> Outcome:
    library = LIBRARY[name]
    made = make_target(library.function, examples=library.examples)
    probe = Probe(made, variants(made)[0], quick=True)
    return CHECKS[check](probe, probe.first._replace(pattern=pattern, seed=1))


@pytest.mark.parametrize("name", LIBRARY)
def test_each_uses_a_rule(name):
    assert rules_of(LIBRARY[name].function, *LIBRARY[name].examples)


@pytest.mark.parametrize(
    "name", ["jax.nn.relu6", "jnp.logaddexp", "optax.projections.projection_simplex"]
)
def test_a_sample_is_right(name):
    for check in ("contract", "jacobian"):
        assert outcome_of(name, check).failure is None


def test_the_slope_of_xlogy_at_two_zeros_is_nan_and_not_0():
    assert special.xlogy(0.0, 0.0) == special.xlogy(0.0, 1e-9) == 0
    assert np.isnan(jax.grad(special.xlogy, 1)(0.0, 0.0))
    failure = outcome_of("special.xlogy", "jacobian", "nothing").failure
    assert failure is not None
    assert (failure.argument, failure.expected) == ("y", 0.0)


def test_the_slope_of_logsumexp_in_a_weight_of_0_is_dropped():
    def loss(weight):
        return special.logsumexp(np.zeros(2, np.float32), b=jax.numpy.stack([weight, 1.0]))

    assert jax.grad(loss)(0.0) == 0
    assert jax.grad(loss)(1e-6) == pytest.approx(1, rel=1e-4)
    focal = optax.losses.sigmoid_focal_loss
    logits, labels = np.ones(2, np.float32), np.asarray([0.0, 1e-6], np.float32)
    slopes = jax.grad(lambda labels: focal(logits, labels, gamma=1.0).sum())(labels)
    assert abs(slopes[0] - slopes[1]) > 0.1


def test_the_rule_of_poch_is_right_where_autodiff_of_its_body_is_not():
    assert jax.grad(special.poch, 1)(0.5, 0.0) == pytest.approx(
        float(special.digamma(0.5)), rel=1e-5
    )
    assert jax.grad(special.poch.fun, 1)(0.5, 0.0) == 0
