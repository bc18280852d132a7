"""CASES: every row of the benchmark. Made from each module's own CASES tuple."""

from collections.abc import Sequence

from purebp.benchmark import (
    activations,
    activations_more,
    convolutions,
    eigen,
    fourier,
    gates,
    image_models,
    images,
    implicit,
    language_models,
    layers,
    linalg,
    losses,
    mixture,
    models,
    more_losses,
    norms,
    recurrent,
    sampled,
    scans,
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
    *linalg.CASES,
    *eigen.CASES,
    *losses.CASES,
    *more_losses.CASES,
    *models.CASES,
    *language_models.CASES,
    *image_models.CASES,
    *sequence.CASES,
    *recurrent.CASES,
    *sampled.CASES,
    *gates.CASES,
    *fourier.CASES,
    *scans.CASES,
    *mixture.CASES,
    *implicit.CASES,
)


def find_cases(names: Sequence[str]) -> tuple[Case, ...]:
    """The rows of some ops or models by name, or all of them."""
    found = {name: tuple(case for case in CASES if is_row_of(case, name)) for name in names}
    for name in names:
        if not found[name]:
            raise UnknownOpError(f"the benchmark has no row for {find(name).name}")
    return tuple(
        case for case in CASES if not names or any(case in rows for rows in found.values())
    )


def is_row_of(case: Case, name: str) -> bool:
    """Whether a row is named so, or is one of the op, or of the model with its loss."""
    return name in (case.name, case.op.name, case.op.name.partition("_with_")[0])
