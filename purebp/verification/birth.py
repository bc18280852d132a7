"""Where a backward pass makes a nan or an infinity out of numbers."""

from typing import Any

from purebp.autodiff.nonfinite import birth_of_value
from purebp.compat import enable_x64
from purebp.verification.cases import Case
from purebp.verification.layout import widen
from purebp.verification.probe import Probe


def birth_in_backward(probe: Probe, case: Case) -> str:
    """The node and its line, on a case that failed; nothing for code that cannot be traced."""
    if probe.target.numpy is not None:
        return ""
    chosen, rest, y_bar, *_ = probe.inputs(case)

    def cotangents(chosen: Any, y_bar: Any) -> Any:
        return probe.pull_leaves(chosen, rest, y_bar)[1]

    found = birth_of_value(cotangents, chosen, y_bar)
    if found is None:
        with enable_x64(True):
            found = birth_of_value(cotangents, widen(chosen), widen(y_bar))
    return "" if found is None else str(found)
