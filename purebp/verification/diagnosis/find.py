"""The rules in their order, and the first that fits."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from purebp.compat import enable_x64, jit_once
from purebp.verification.cases import Case
from purebp.verification.diagnosis import factors, places, terms, upstream
from purebp.verification.diagnosis.views import Diagnosis, View, equal, scale_of
from purebp.verification.layout import as_float64, flat, widen
from purebp.verification.probe import Probe
from purebp.verification.settle import settle

ROUNDING = 1e-13
"""What is wrong by less than this, of the largest number of all arguments, is rounding."""
Rule = Callable[[View], Diagnosis | None]
RULES: tuple[Rule, ...] = (
    places.not_finite,
    upstream.not_linear,
    factors.no_gradient,
    factors.sign,
    factors.constant_factor,
    upstream.output_ignored,
    places.swapped,
    upstream.upstream_as_scalar,
    places.transposed,
    factors.factor_by_column,
    factors.factor_by_row,
    places.single_points,
    places.subdomain,
    places.rows_mixed,
    places.zeros_missing,
    places.entries_missing,
    factors.partly_scaled,
    factors.factor_in_common,
    places.same_numbers_elsewhere,
    terms.small_everywhere,
    terms.low_rank,
)


def diagnose(probe: Probe, case: Case) -> Diagnosis | None:
    """What is most likely wrong with the cotangents of a case; `None` if they are right."""
    every = list(views(probe, case))
    largest = scale_of(*(view.right for view in every), *(view.wrong for view in every))
    for view in every:
        if scale_of(view.wrong, view.right) <= ROUNDING * largest:
            continue
        found = upstream.upstream_ignored(view)
        if found is not None:
            return found
    wrong = wrong_ones(every)
    for rule in RULES:
        for view in wrong:
            found = rule(view)
            if found is not None:
                return found
    if not wrong:
        return None
    names = ", ".join(f"{view.name}_bar" for view in wrong)
    return Diagnosis("wrong formula", f"{names}: no simple relation to the right numbers")


def by_argument(probe: Probe, case: Case) -> dict[str, Diagnosis]:
    """What is most likely wrong with each cotangent of a case that is wrong."""
    rules = (upstream.upstream_ignored, *RULES)
    found = dict[str, Diagnosis]()
    for view in wrong_ones(list(views(probe, case))):
        named = (rule(view) for rule in rules)
        unknown = Diagnosis("wrong formula", f"{view.name}_bar is wrong")
        found[view.name] = next((each for each in named if each is not None), unknown)
    return found


def wrong_ones(every: list[View]) -> list[View]:
    """The arguments whose cotangents are wrong by more than rounding."""
    largest = scale_of(*(view.right for view in every), *(view.wrong for view in every))
    return [view for view in every if _is_wrong(view, largest)]


def _is_wrong(view: View, largest: float) -> bool:
    if equal(view.wrong, view.right):
        return False
    return not np.isfinite(view.error).all() or scale_of(view.error) > ROUNDING * largest


def views(probe: Probe, case: Case) -> Iterator[View]:
    """What the rules look at, for each argument."""
    found = probe.evidence(case)
    exact, hand = found.truth.jacobian, found.hand64.jacobian
    if exact is None or hand is None:
        return
    settled = settle(probe, case)
    right = exact if settled is None else settled.jacobian
    layout = probe.layout
    names, shapes = layout.chosen(layout.names), layout.chosen(layout.shapes)
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    columns = dict(zip(names, np.split(right, ends, axis=1), strict=True))
    given = dict(zip(names, as_float64(found.chosen), strict=True))
    pull = puller(probe, case)
    places = np.split(np.arange(right.shape[1]), ends)
    for name, shape, part in zip(names, shapes, places, strict=True):

        def pull_part(y_bar: np.ndarray, part: np.ndarray = part) -> np.ndarray:
            return pull(y_bar)[part]

        yield View(
            name=name,
            shape=shape,
            x=given[name],
            right=columns[name],
            wrong=hand[:, part],
            others={other: right for other, right in columns.items() if other != name},
            arrays=given,
            output=tuple(tuple(leaf.shape) for leaf in probe.output),
            pull=pull_part,
            options=probe.settings,
        )


def puller(probe: Probe, case: Case) -> Callable[[np.ndarray], np.ndarray]:
    """The hand-written pullback in float64, of a flat y_bar."""
    chosen, rest, _ = probe.inputs(case)
    ends = np.cumsum([math.prod(leaf.shape) for leaf in probe.output])[:-1]
    wide: Any = widen(chosen)
    program = jit_once(probe.pull_bars)

    def pull(y_bar: np.ndarray) -> np.ndarray:
        parts = np.split(np.asarray(y_bar, np.float64), ends)
        shaped = [part.reshape(leaf.shape) for part, leaf in zip(parts, probe.output, strict=True)]
        with enable_x64(True):
            return flat(program(wide, rest, shaped))

    return pull
