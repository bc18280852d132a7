"""Where in a program it goes wrong: the node and its line."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from purebp.autodiff.nonfinite import birth_of_value
from purebp.compat import enable_x64
from purebp.verification.agreement import compare
from purebp.verification.cases import Case
from purebp.verification.layout import widen
from purebp.verification.probe import Probe


def birth_in_backward(probe: Probe, case: Case) -> str:
    """Where a backward pass makes a nan or an infinity out of numbers, on a case that failed.

    Nothing for code that cannot be traced.
    """
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


def parting_in_function(probe: Probe, case: Case) -> str:
    """Which call of a rule gets the right cotangents and gives others, on a case that failed.

    Nothing for what is not a function that contains rules.
    """
    if not probe.target.rules:
        return ""
    chosen, rest, y_bar, *_ = probe.inputs(case)

    def loss(chosen: Any) -> Any:
        outs = probe.forward_leaves(chosen, rest)
        pairs = zip(outs, y_bar, strict=True)
        return sum(jnp.sum(jnp.real(y * np.asarray(bar, y.dtype))) for y, bar in pairs)

    found = compare(loss, chosen)
    if found.agree:
        return ""
    first = found.partings[0]
    return (
        f"{first.name}, called at {first.line}, gets the right cotangent and gives operand "
        f"{first.operand} {first.expected:.9g} at {list(first.entry)}; by its body it is "
        f"{first.came:.9g}"
    )
