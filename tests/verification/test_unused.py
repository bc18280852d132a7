"""Rules that see symbolic zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.custom_derivatives import SymbolicZero

from purebp.verification.cases import variants
from purebp.verification.checks import CHECKS, checks_of
from purebp.verification.probe import Probe
from purebp.verification.target import make_target

X, W = (np.random.default_rng(seed).standard_normal((2, 3)).astype(np.float32) for seed in (0, 1))


def made(*, forgets_output=False, forgets_argument=False):
    """(x w, x + w), whose rule may forget a term where the other output or argument is not used."""

    @jax.custom_vjp
    def both(x, w):
        return x * w, x + w

    def fwd(x, w):
        return both(x.value, w.value), (x.value, w.value, x.perturbed and w.perturbed)

    def bwd(residuals, bars):
        x, w, together = residuals
        product, total = (jnp.zeros_like(x) if isinstance(b, SymbolicZero) else b for b in bars)
        if forgets_output and isinstance(bars[1], SymbolicZero):
            return product * w, 0 * x
        if forgets_argument and not together:
            return total, total
        return product * w + total, product * x + total

    both.defvjp(fwd, bwd, symbolic_zeros=True)
    return both


def checked(rule):
    target = make_target(rule, examples=(X, W))
    probe = Probe(target, variants(target)[0], quick=True)
    return CHECKS["unused"](probe, probe.first)


def test_a_rule_that_takes_zeros_as_zeros_passes():
    assert checked(made()).failure is None


@pytest.mark.parametrize(
    ("wrong", "argument", "where"),
    [
        ({"forgets_output": True}, "w", "where only output 0 is used"),
        ({"forgets_argument": True}, None, "where only this argument is differentiated"),
    ],
)
def test_a_term_that_is_forgotten_with_a_symbolic_zero_is_found(wrong, argument, where):
    failure = checked(made(**wrong)).failure
    assert failure is not None
    assert failure.message == where
    assert argument in {None, failure.argument}


def test_pairs_see_no_symbolic_zeros():
    target = make_target((lambda x: (x, ()), lambda _, y_bar: (y_bar,)), examples=(X,))
    assert "unused" not in checks_of(target)
    assert "unused" in checks_of(make_target(made(), examples=(X, W)))
