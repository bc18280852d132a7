"""How numbers are compared with an oracle's: entry by entry, in units of the tolerance."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from purebp.verification.cases import Case
from purebp.verification.kinks import conventional_jacobian
from purebp.verification.probe import Hand, Probe

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)
TINY32 = float(np.finfo(np.float32).tiny)
TINY64 = float(np.finfo(np.float64).tiny)
SIXTEEN_BITS = {name: float(jnp.finfo(name).eps) for name in ("bfloat16", "float16")}
SMALLEST = {
    EPS64: TINY64,
    EPS32: TINY32,
    SIXTEEN_BITS["bfloat16"]: TINY32,
    SIXTEEN_BITS["float16"]: float(jnp.finfo("float16").smallest_subnormal),
}
"""Below this numbers lose digits; by the unit of rounding."""

Place = Callable[[int], tuple[str, tuple[int, ...]]]


class Failure(NamedTuple):
    """One wrong number: where, what was expected, what came."""

    check: str
    oracle: str
    argument: str
    element: tuple[int, ...]
    expected: float
    got: float
    tolerance: float
    case: str
    message: str = ""


class Outcome(NamedTuple):
    """The worst error in units of the tolerance; the failure if it is above 1; or a note.

    `vacuous`: there was nothing to compare.
    """

    worst: float = 0.0
    failure: Failure | None = None
    inconclusive: str = ""
    convention: bool = False
    vacuous: bool = False


def failed(check: str, case: Case, message: str) -> Outcome:
    """A failure that has no number."""
    nan = float("nan")
    return Outcome(np.inf, Failure(check, "", "", (), nan, nan, nan, case.describe(), message))


def output_entry(index: int) -> tuple[str, tuple[int, ...]]:
    """Where an entry of the output lies."""
    return "output", (index,)


def allowed(probe: Probe, eps: float, size: np.ndarray) -> np.ndarray:
    """The tolerance of entries whose unit of error is `size`."""
    tolerance = probe.target.tolerance
    relative = tolerance.factor * eps if tolerance.rtol is None else tolerance.rtol
    return relative * size + tolerance.atol + 8 * SMALLEST[eps]


def error_ratio(got: np.ndarray, expected: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """|got - expected| / tolerance; 0 for equal values, inf for a finite and a non-finite one.

    Where the oracle has no number (nan) there is nothing to compare with.
    """
    with np.errstate(all="ignore"):
        ratio = np.abs(got - expected) / tolerance
    ratio = np.where(np.isfinite(got) & np.isfinite(expected), ratio, np.inf)
    return np.where((got == expected) | np.isnan(expected), 0.0, ratio)


def compare(
    check: str,
    oracle: str,
    case: Case,
    place: Place,
    got: np.ndarray,
    expected: np.ndarray,
    tolerance: np.ndarray,
    message: str = "",
) -> Outcome:
    """The worst entry of a vector; a failure that names it if it is beyond the tolerance."""
    if expected.size and np.isnan(expected).all():
        return Outcome(inconclusive="the oracle has no number at these inputs")
    ratio = error_ratio(got, expected, np.nan_to_num(tolerance, nan=np.inf))
    worst = float(ratio.max(initial=0.0))
    if worst <= 1:
        return Outcome(worst)
    index = int(ratio.argmax())
    numbers = (float(expected[index]), float(got[index]), float(tolerance[index]))
    failure = Failure(check, oracle, *place(index), *numbers, case.describe(), message)
    return Outcome(worst, failure)


def compare_gradient(check: str, probe: Probe, case: Case, hand: Hand, eps: float) -> Outcome:
    """The cotangents against autodiff of the reference, with the conventions at kinks."""
    found = probe.evidence(case)
    oracle, place = f"jax.vjp of {probe.target.reference_name}", probe.layout.place
    tolerance = allowed(probe, eps, found.truth.scale)
    outcome = compare(check, oracle, case, place, hand.bars, found.truth.bars, tolerance)
    if outcome.failure is None:
        return outcome
    lenient = conventional_jacobian(probe, case)
    if lenient is None:
        return outcome
    expected = lenient.T @ found.y_bar
    tolerance = tolerance + allowed(probe, eps, np.abs(lenient).T @ np.abs(found.y_bar))
    second = compare(check, oracle, case, place, hand.bars, expected, tolerance)
    return outcome if second.failure is not None else Outcome(second.worst, convention=True)


def slack(probe: Probe, case: Case) -> np.ndarray:
    """How much worse conditioned the gradient is than its own size, at least 1."""
    truth = probe.evidence(case).truth
    largest = np.max(np.abs(truth.bars), initial=0.0)
    return np.maximum(1.0, np.nan_to_num(truth.scale / max(float(largest), TINY32)))


def narrow(hand: Hand) -> str:
    """Say so if float32 remains where everything should be float64."""
    if all(dtype == np.float64 for dtype in hand.dtypes):
        return ""
    return "float32 remains in the backward pass when the inputs are float64"


def unless_draws_differ(probe: Probe, case: Case, outcome: Outcome) -> Outcome:
    """float32 cannot be held against float64 where the reference draws other numbers in it."""
    if probe.evidence(case).truth.draws_differ:
        return Outcome(inconclusive="the reference itself differs between float32 and float64")
    return outcome


def worst_of(outcomes: list[Outcome]) -> Outcome:
    """The worst of several outcomes; one that could not decide comes first."""
    for outcome in outcomes:
        if outcome.inconclusive:
            return outcome
    return max(outcomes, key=_size)


def _size(outcome: Outcome) -> float:
    return outcome.worst


def describe_leaves(leaves: Any) -> str:
    """Shapes and dtypes in words."""
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves) or "nothing"
