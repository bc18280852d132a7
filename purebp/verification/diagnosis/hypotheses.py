"""Hypotheses: what the backward pass would be right for, another option or another mask."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from purebp.verification.cases import Case
from purebp.verification.diagnosis.find import views, wrong_ones
from purebp.verification.diagnosis.views import Diagnosis, View, equal
from purebp.verification.layout import widen
from purebp.verification.probe import Probe

NEUTRAL: dict[type, tuple[Any, ...]] = {bool: (False, True), int: (1, 0), float: (0.0, 1.0)}
"""What an option is where somebody forgot it, by its type."""


class Hypothesis(NamedTuple):
    """Another call of the function: the kind of mistake, what it has and should have, its input."""

    kind: str
    has: str
    should_have: str
    settings: dict[str, Any]
    rest: list[Any]


def as_if(probe: Probe, case: Case) -> Diagnosis | None:
    """The Jacobian is that of the same function with one option or one mask changed."""
    wrong = wrong_ones(list(views(probe, case)))
    if not wrong:
        return None
    for hypothesis in (*_other_options(probe, case), *_other_masks(probe, case)):
        if _explains(probe, case, hypothesis, wrong):
            names = ", ".join(f"{view.name}_bar" for view in wrong)
            return Diagnosis(
                hypothesis.kind,
                f"{names} would be right with {hypothesis.has}, not with "
                f"{hypothesis.should_have}: the backward pass does not follow it",
            )
    return None


def _other_options(probe: Probe, case: Case) -> Iterator[Hypothesis]:
    rest = probe.inputs(case)[1]
    for name, value in {**probe.target.defaults, **probe.settings}.items():
        known = probe.target.options.get(name, ())
        for other in dict.fromkeys((*NEUTRAL.get(type(value), ()), *known)):
            if other != value or type(other) is not type(value):
                settings = {**probe.settings, name: other}
                yield Hypothesis("option", f"{name}={other!r}", f"{value!r}", settings, rest)


def _other_masks(probe: Probe, case: Case) -> Iterator[Hypothesis]:
    rest = probe.inputs(case)[1]
    used = probe.layout.differentiable
    names = [name for name, use in zip(probe.layout.names, used, strict=True) if not use]
    for place, leaf in enumerate(rest):
        if leaf.dtype != bool or not leaf.size:
            continue
        for fill in (True, False):
            if not jnp.all(leaf == fill):
                changed = [*rest[:place], jnp.full_like(leaf, fill), *rest[place + 1 :]]
                has = f"{names[place]} {'true' if fill else 'false'} everywhere"
                yield Hypothesis(
                    "mask missing", has, "the mask that is given", probe.settings, changed
                )


def _explains(probe: Probe, case: Case, hypothesis: Hypothesis, wrong: list[View]) -> bool:
    """Whether the wrong cotangents are the right ones of the other call."""
    other = probe.with_settings(hypothesis.settings)
    wide = widen(probe.inputs(case)[0])
    try:
        if _shapes(other) != _shapes(probe):
            return False
        jacobian = other.oracle.jacobian_at(wide, hypothesis.rest)
    except Exception:  # noqa: BLE001 - the function refuses such a call: it explains nothing
        return False
    names, sizes = probe.layout.chosen(probe.layout.names), [np.size(leaf) for leaf in wide]
    columns = dict(zip(names, np.split(jacobian, np.cumsum(sizes)[:-1], axis=1), strict=True))
    return all(equal(view.wrong, columns[view.name]) for view in wrong)


def _shapes(probe: Probe) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in probe.output]
