"""CASES: every row of the benchmark. Made from each module's own CASES tuple."""

from collections.abc import Sequence

from purebp.benchmark import (
    activations,
    activations_more,
    convolutions,
    images,
    layers,
    losses,
    models,
    more_losses,
    norms,
    recurrent,
    sequence,
)
from purebp.benchmark.case import Case
from purebp.catalog import find
from purebp.errors import UnknownOpError

CASES: tuple[Case, ...] = (
    *activations.CASES,
    *activations_more.CASES,
    *layers.CASES,
    *convolutions.CASES,
    *images.CASES,
    *norms.CASES,
    *losses.CASES,
    *more_losses.CASES,
    *models.CASES,
    *sequence.CASES,
    *recurrent.CASES,
)


def find_cases(names: Sequence[str]) -> tuple[Case, ...]:
    """The rows of some ops by name, or all of them."""
    known = {find(name).name for name in names}
    missing = sorted(known - {case.op.name for case in CASES})
    if missing:
        raise UnknownOpError(f"the benchmark has no row for {', '.join(missing)}")
    return tuple(case for case in CASES if not names or case.op.name in known)
