"""A rule of JAX where not all of it is asked for.

JAX may hand a rule symbolic zeros: for outputs that nobody uses, for arguments that nobody
differentiates. The gradient has to be the same as with zeros that are written out.
"""

from typing import Any

import jax
import numpy as np

from purebp.compat import is_custom_rule, jit_once
from purebp.verification.cases import Case
from purebp.verification.comparison import EPS32, Outcome, allowed, compare, worst_of
from purebp.verification.layout import flat
from purebp.verification.probe import Probe
from purebp.verification.target import Target


def has_rule(target: Target) -> bool:
    """Whether JAX decides what the rule is handed."""
    return is_custom_rule(target.source)


def check_unused(probe: Probe, case: Case) -> Outcome:
    """With one output used, and one argument differentiated, at a time."""
    chosen, rest, y_bar = probe.inputs(case)
    by_output, by_argument = jit_once(lambda c, r, e: _alone(probe, c, r, e))(chosen, rest, y_bar)
    place, size = probe.layout.place, probe.evidence(case).truth.scale
    tolerance = 2 * allowed(probe, EPS32, size)

    def judge(oracle: str, got: Any, bars: Any, where: str) -> Outcome:
        expected = flat(probe.pull(chosen, rest, bars)[1])
        return compare("unused", oracle, case, place, flat(got), expected, tolerance, where)

    outcomes = [Outcome()]
    for k, got in enumerate(by_output):
        alone = [bar if k == other else np.zeros_like(bar) for other, bar in enumerate(y_bar)]
        outcomes.append(judge("zeros written out", got, alone, f"where only output {k} is used"))
    if by_argument:
        where = "where only this argument is differentiated"
        outcomes.append(judge("all together", by_argument, y_bar, where))
    return worst_of(outcomes)


def _alone(probe: Probe, chosen: Any, rest: Any, y_bar: Any) -> tuple[list[Any], list[Any]]:
    """The cotangents by each output alone, and of each argument alone; none where there is one."""

    def from_output(k: int) -> Any:
        def output(chosen: Any) -> Any:
            return probe.forward_leaves(chosen, rest)[k]

        return jax.vjp(output, chosen)[1](y_bar[k])[0]

    def of_argument(j: int) -> Any:
        def argument(x: Any) -> Any:
            return probe.forward_leaves([*chosen[:j], x, *chosen[j + 1 :]], rest)

        return jax.vjp(argument, chosen[j])[1](y_bar)[0]

    outputs, arguments = len(y_bar), len(chosen)
    by_output = [from_output(k) for k in range(outputs)] if outputs > 1 else []
    by_argument = [of_argument(j) for j in range(arguments)] if arguments > 1 else []
    return by_output, by_argument
