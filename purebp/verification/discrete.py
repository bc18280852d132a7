"""Targets whose output has no floating numbers, as argmax: there is no derivative to check.

What is left is that the output is right and that the cotangents are 0. The other checks say that
they had nothing to compare; they do not pass.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from purebp.verification.cases import Case
from purebp.verification.comparison import Outcome, compare, failed, output_entry
from purebp.verification.layout import flat
from purebp.verification.probe import Probe


def of_a_derivative(check: Callable[[Probe, Case], Outcome], probe: Probe, case: Case) -> Outcome:
    """A check that needs floating outputs; vacuous where there are none."""
    return check(probe, case) if probe.output else Outcome(vacuous=True)


def check_cotangents_are_zero(probe: Probe, case: Case) -> Outcome:
    """No change of the input changes integers by a little: every cotangent is 0 (or None)."""
    chosen, rest, _ = probe.inputs(case)
    bars = flat(probe.pull(chosen, rest, [])[1])
    if not bars.any():
        return Outcome()
    name, _ = probe.layout.place(int(np.flatnonzero(bars)[0]))
    return failed(
        "contract",
        case,
        f"the cotangent of {name} is not 0, but the output has no floating numbers",
    )


def check_same_integers(probe: Probe, case: Case) -> Outcome:
    """The output is that of the reference, entry by entry."""
    chosen, rest, _ = probe.inputs(case)
    args, settings = probe.layout.join(chosen, rest), probe.settings
    got = _entries(probe.target.forward(settings, *args))
    expected = _entries(probe.target.reference(settings, *args))
    exact = np.zeros(expected.shape)
    return compare("forward", probe.target.reference_name, case, output_entry, got, expected, exact)


def _entries(y: Any) -> np.ndarray:
    return flat(jax.tree.leaves(y))
