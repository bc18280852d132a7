"""A smaller input on which the same check fails, for the same reason."""

import itertools
import math
from collections.abc import Iterator

from purebp.verification.budget import Budget
from purebp.verification.cases import Case, Variant, patterns_of, simplest_cases, variants
from purebp.verification.checks import CHECKS, out_of_range
from purebp.verification.comparison import Failure
from purebp.verification.diagnosis import diagnose
from purebp.verification.probe import Probe

SMALLER = 3
"""Other shapes that are tried."""
ABOUT_NUMBERS = {"jacobian", "gradient float64", "gradient float32"}


def shrink(name: str, probe: Probe, case: Case, budget: Budget) -> tuple[Probe, Case] | None:
    """The simplest case that still fails a check; `None` if it fails no more.

    First other shapes with fewer numbers, as far as the diagnosis stays the same; then the plainest
    values of these shapes.
    """
    for other in itertools.islice(_smaller(probe, case, budget), SMALLER):
        moved = case._replace(variant=other.variant)
        fails = failure_on(name, other, moved) is not None
        if fails and _same(name, (probe, case), (other, moved)):
            return _plainest(name, other, moved, budget)
    return _plainest(name, probe, case, budget)


def _plainest(name: str, probe: Probe, case: Case, budget: Budget) -> tuple[Probe, Case] | None:
    simplest = itertools.islice(
        simplest_cases(probe.variant, patterns_of(probe.target)), budget.shrink
    )
    failing = (other for other in simplest if failure_on(name, probe, other) is not None)
    found = next(failing, case)
    plainest = found if _same(name, (probe, case), (probe, found)) else case
    return None if failure_on(name, probe, plainest) is None else (probe, plainest)


def failure_on(name: str, probe: Probe, case: Case) -> Failure | None:
    """How a check fails on a case; `None` if it does not, or cannot run."""
    try:
        return (out_of_range(name, probe, case) or CHECKS[name](probe, case)).failure
    except Exception:  # noqa: BLE001 - another finding than the one that is shrunk
        return None


def _smaller(probe: Probe, case: Case, budget: Budget) -> Iterator[Probe]:
    """The target with other shapes of fewer numbers, the smallest first."""
    if probe.target.given is None:
        return
    others = [
        variant
        for variant in variants(probe.target, budget)
        if variant.settings == case.variant.settings and _entries(variant) < _entries(case.variant)
    ]
    for variant in sorted(others, key=_entries):
        yield Probe(probe.target, variant)


def _entries(variant: Variant) -> int:
    return sum(math.prod(shape) for shape in variant.shapes or () if shape is not None)


def _same(name: str, old: tuple[Probe, Case], new: tuple[Probe, Case]) -> bool:
    """Whether the diagnosis is the same, where it comes from numbers."""
    if name not in ABOUT_NUMBERS or old == new:
        return True
    kinds = [getattr(diagnose(*each), "kind", None) for each in (old, new)]
    return kinds[0] == kinds[1]
