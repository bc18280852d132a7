"""How numbers are compared with an oracle's: entry by entry, in units of the tolerance."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from purebp.verification.cases import Case
from purebp.verification.kinks import conventional_jacobian
from purebp.verification.probe import Evidence, Hand, Probe
from purebp.verification.settle import settle

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)
TINY32 = float(np.finfo(np.float32).tiny)
TINY64 = float(np.finfo(np.float64).tiny)
SIXTEEN_BITS = {name: float(jnp.finfo(name).eps) for name in ("bfloat16", "float16")}
EXTREME = {"tails", "wide", "large", "small", "near constants", "constants"}
LOST, FAINT = 1e-2, 1e-30
ROUNDINGS, SPREAD = 1e4, 64
HUGE = 1e36
"""Beyond this float32 may overflow on the way."""
SMALLEST = {
    EPS64: TINY64,
    EPS32: TINY32,
    SIXTEEN_BITS["bfloat16"]: TINY32,
    SIXTEEN_BITS["float16"]: float(jnp.finfo("float16").smallest_subnormal),
}
"""Below this numbers lose digits; by the unit of rounding."""

Place = Callable[[int], tuple[str, tuple[int, ...]]]


class Failure(NamedTuple):
    """One wrong number: where, what was expected, what came.

    `output`: the entry of the output whose derivative it is; `None` for a sum over all of them.
    """

    check: str
    oracle: str
    argument: str
    element: tuple[int, ...]
    expected: float
    got: float
    tolerance: float
    case: str
    message: str = ""
    output: int | None = None


class Outcome(NamedTuple):
    """The worst error in units of the tolerance; the failure if it is above 1; or a note.

    `vacuous`: there was nothing to compare. `autodiff_wrong`: autodiff has another number, and the
    function's own slope is the hand-written one. `refused`: it does not take such inputs, which
    nobody promised.
    """

    worst: float = 0.0
    failure: Failure | None = None
    inconclusive: str = ""
    convention: bool = False
    vacuous: bool = False
    autodiff_wrong: bool = False
    refused: str = ""


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


def is_nothing(probe: Probe, case: Case) -> bool:
    """Whether both gradients of a whole function are 0 but for rounding."""
    if not probe.target.rules or not probe.output:
        return False
    found = probe.evidence(case)
    largest = max(_largest(found.truth.bars), _largest(found.hand64.bars))
    return 0 < largest <= 1e5 * EPS64 * _largest(found.y_bar)


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


def digits_lost(probe: Probe, case: Case, expected: np.ndarray, eps: float) -> np.ndarray:
    """What somebody's layer may lose on extreme inputs, where it would need care to keep digits.

    A wrong formula shows on ordinary inputs; on extreme ones the question is whether anything is
    left of the number. purebp's own ops have to keep their digits everywhere.
    """
    size = np.nan_to_num(np.abs(expected), posinf=0.0)
    if probe.target.given is None:
        return 0.0 * size
    mixed = 0.0
    if not _is_diagonal(probe, case):
        much = 1e4 if case.pattern in EXTREME else 4 if case.pattern == "normal" else 64
        mixed = much * eps * max(_largest(expected), _usual_size(probe, case))
    return mixed + (LOST * size + FAINT if case.pattern in EXTREME else 0.0 * size)


def own_rounding(probe: Probe, case: Case, eps: float) -> np.ndarray | float:
    """What somebody's pair loses to its own rounding, for each column of the Jacobian.

    Large terms that cancel leave as much, and more than the slopes tell if these are 0. In
    float32 it counts on extreme inputs only, and where terms are added up at all.
    """
    target = probe.target
    if target.given is None or target.numpy is not None or not probe.has_jacobian:
        return 0.0
    if eps != EPS64 and (case.pattern not in EXTREME or _is_diagonal(probe, case)):
        return 0.0
    return SPREAD * eps * probe.own_rounding(case)


def rounding_here(
    probe: Probe, autodiff: np.ndarray, exact: np.ndarray, eps: float
) -> np.ndarray | float:
    """What autodiff loses to rounding at this very point, where the exact number is known.

    The points nearby may all round well, by luck.
    """
    if not probe.target.tolerance.conditioned:
        return 0.0
    lost = np.nan_to_num(np.abs(autodiff - exact), nan=0.0, posinf=0.0)
    most = ROUNDINGS * EPS64 * _largest(autodiff)
    usual = ROUNDINGS * EPS64 * _largest(probe.evidence(probe.first).truth.scale)
    return 3 * np.minimum(lost, max(most, usual)) * eps / EPS64


def _largest(numbers: np.ndarray) -> float:
    return float(np.nan_to_num(np.abs(numbers), posinf=0.0).max(initial=0.0))


def _usual_size(probe: Probe, case: Case) -> float:
    """The size of cotangents on ordinary values, for sums that cancel on special ones."""
    usual = probe.evidence(probe.first).truth.jacobian
    if usual is None:
        return 0.0
    return _largest(usual) * _largest(probe.evidence(case).y_bar)


def _is_diagonal(probe: Probe, case: Case) -> bool:
    """Whether each output depends on one entry of each argument: nothing is added up.

    On ordinary values and on those of the case: by chance few may matter on either. Of an
    argument that does not matter at all, as keys of which all but one are masked, it is not known.
    """
    usual, here = (probe.evidence(each).truth.jacobian for each in (probe.first, case))
    if usual is None or here is None:
        return False
    sizes = [math.prod(shape) for shape in probe.layout.chosen(probe.layout.shapes)]
    blocks = np.split((usual != 0) | (here != 0), np.cumsum(sizes)[:-1], axis=1)
    return all(block.any() and (block.sum(axis=1) <= 1).all() for block in blocks)


def compare_gradient(check: str, probe: Probe, case: Case, hand: Hand, eps: float) -> Outcome:
    """The cotangents against autodiff of the reference, with the conventions at kinks."""
    found = probe.evidence(case)
    oracle, place = f"jax.vjp of {probe.target.reference_name}", probe.layout.place
    lost = digits_lost(probe, case, found.truth.bars, eps)
    tolerance = allowed(probe, eps, found.truth.scale) + lost
    right = within_range(probe, eps, found.truth.bars)
    outcome = compare(check, oracle, case, place, hand.bars, right, tolerance)

    def against(jacobian: np.ndarray, oracle: str) -> Outcome:
        expected = within_range(probe, eps, jacobian.T @ found.y_bar)
        more = allowed(probe, eps, np.abs(jacobian).T @ np.abs(found.y_bar))
        more = more + digits_lost(probe, case, expected, eps)
        more = more + rounding_here(probe, found.truth.bars, expected, eps)
        more = more + own_rounding(probe, case, eps) * np.abs(found.y_bar).sum()
        largest = LOST * _largest(expected) + 1e3 * eps * _largest(found.y_bar)
        wider = np.where(np.isnan(tolerance), largest, tolerance) + more
        return compare(check, oracle, case, place, hand.bars, expected, wider)

    return reconsidered(probe, case, outcome, against)


def within_range(probe: Probe, eps: float, expected: np.ndarray) -> np.ndarray:
    """Without the numbers that float32 need not reach in somebody's layer."""
    if probe.target.given is None or eps == EPS64:
        return expected
    return np.where(np.abs(expected) > HUGE, np.nan, expected)


def has_holes(found: Evidence) -> bool:
    """Whether autodiff has no number where the function has one."""
    finite = np.isfinite(found.truth.y).all()
    return bool(finite and not np.isfinite(found.truth.bars).all())


def reconsidered(
    probe: Probe, case: Case, outcome: Outcome, against: Callable[[np.ndarray, str], Outcome]
) -> Outcome:
    """The outcome, or a better founded one where autodiff is at a kink, has no number or is wrong.

    `against(jacobian, oracle)` compares with another Jacobian.
    """
    holes = has_holes(probe.evidence(case))
    if outcome.failure is None and not holes:
        return outcome
    lenient = None if holes else conventional_jacobian(probe, case)
    if lenient is not None:
        second = against(lenient, "the gradients nearby")
        if second.failure is None:
            return Outcome(second.worst, convention=True)
    settled = settle(probe, case)
    if settled is None:
        return outcome
    third = against(settled.jacobian, "the function's own slopes, in 120 digits")
    if third.failure is not None:
        return third
    wrong = bool(settled.autodiff_wrong.any())
    return Outcome(third.worst, convention=settled.convention, autodiff_wrong=wrong)


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
