"""The checks. Each takes a probe and a case and says what it found; CHECKS is the whole list."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64
from purebp.verification.cases import Case
from purebp.verification.differences import slopes
from purebp.verification.kinks import conventional_jacobian
from purebp.verification.layout import flat
from purebp.verification.probe import Hand, Probe

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)
TINY32 = float(np.finfo(np.float32).tiny)
TINY64 = float(np.finfo(np.float64).tiny)
COORDINATES = 48


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
    """The worst error in units of the tolerance; the failure if it is above 1; or a note."""

    worst: float = 0.0
    failure: Failure | None = None
    inconclusive: str = ""
    convention: bool = False


def check_contract(probe: Probe, case: Case) -> Outcome:
    """One cotangent for each argument, with its tree, shape and dtype; fwd's value is the op's."""
    chosen, rest, y_bar = probe.inputs(case)
    primal, bars = jax.eval_shape(probe.pull_leaves, chosen, rest, y_bar)
    y = jax.eval_shape(probe.forward_leaves, chosen, rest)
    wrong = [
        f"the cotangent of {name} has dtype {bar.dtype}, expected {dtype}, the dtype of {name}"
        for name, dtype, bar in zip(
            probe.layout.chosen(probe.layout.names),
            probe.layout.chosen(probe.layout.dtypes),
            bars,
            strict=True,
        )
        if bar.dtype != dtype
    ]
    for what, found in (("fwd returns", primal), ("the function returns", y)):
        if [(o.shape, o.dtype) for o in found] != [(o.shape, o.dtype) for o in probe.output]:
            wrong.append(
                f"{what} {_signature(found)}, expected {_signature(probe.output)} "
                f"as {probe.target.reference_name}"
            )
    if not wrong:
        return Outcome()
    return Outcome(np.inf, _message("contract", case, wrong[0]))


def check_forward(probe: Probe, case: Case) -> Outcome:
    """The forward value, in float32 and float64, against the reference in float64."""
    found = probe.evidence(case)
    truth = found.truth
    size = np.abs(truth.y)
    if truth.jacobian is not None:
        size = size + np.abs(truth.jacobian) @ np.abs(flat(found.chosen))
    outcomes = [
        _compare_output("forward", probe, case, y, truth.y, size, eps, label)
        for hand, eps, label in ((found.hand64, EPS64, "float64"), (found.hand32, EPS32, "float32"))
        for y in (hand.y, hand.primal)
    ]
    return _unless_draws_differ(probe, case, _worst(outcomes))


def check_gradient_float64(probe: Probe, case: Case) -> Outcome:
    """Each entry of each cotangent in float64 against `jax.vjp` of the reference."""
    found = probe.evidence(case)
    if left := _narrow(found.hand64):
        return Outcome(inconclusive=left)
    return _compare_gradient("gradient float64", probe, case, found.hand64, EPS64)


def check_gradient_float32(probe: Probe, case: Case) -> Outcome:
    """Each entry of each cotangent in float32 against `jax.vjp` of the reference in float64."""
    found = probe.evidence(case)
    outcome = _compare_gradient("gradient float32", probe, case, found.hand32, EPS32)
    return _unless_draws_differ(probe, case, outcome)


def check_jacobian(probe: Probe, case: Case) -> Outcome:
    """The full Jacobian against `jax.jacobian` of the reference, in float64, entry by entry."""
    found = probe.evidence(case)
    if found.truth.jacobian is None:
        return Outcome(inconclusive="the Jacobian is too large to be built")
    if left := _narrow(found.hand64):
        return Outcome(inconclusive=left)
    expected, got = found.truth.jacobian, found.hand64.jacobian
    assert got is not None
    scale = np.abs(expected) + found.truth.spread
    scale = scale + scale.max(axis=1, keepdims=True, initial=0.0)
    tolerance = _allowed(probe, EPS64, scale)
    ratio = _ratio(got, expected, tolerance)
    if not ratio.size or ratio.max() <= 1:
        return Outcome(float(ratio.max(initial=0.0)))
    lenient = conventional_jacobian(probe, case)
    if lenient is not None and (_ratio(got, lenient, tolerance) <= 1).all():
        return Outcome(convention=True)
    row, column = np.unravel_index(int(ratio.argmax()), ratio.shape)
    argument, element = probe.layout.place(int(column))
    failure = Failure(
        "jacobian",
        "jax.jacobian of " + probe.target.reference_name,
        argument,
        element,
        float(expected[row, column]),
        float(got[row, column]),
        float(tolerance[row, column]),
        case.describe(),
        f"derivative of output entry {int(row)}",
    )
    return Outcome(float(ratio.max()), failure)


def check_linearity(probe: Probe, case: Case) -> Outcome:
    """Linear in the cotangent: zero gives zero, and 2 y1 - y2 gives 2 bwd(y1) - bwd(y2)."""
    found = probe.evidence(case)
    hand = found.hand64
    if left := _narrow(hand):
        return Outcome(inconclusive=left)
    size = found.truth.scale
    if found.truth.jacobian is not None:
        magnitude = 2 * np.abs(found.y_bar) + np.abs(found.y_bar2)
        size = (np.abs(found.truth.jacobian) + found.truth.spread).T @ magnitude
    size = size + 2 * np.abs(hand.bars) + np.abs(hand.other)
    tolerance = 2 * _allowed(probe, EPS64, size)
    return _worst(
        [
            _compare_entries(
                "linearity", probe, case, hand.zero, 0 * size, tolerance, "bwd(0) = 0"
            ),
            _compare_entries(
                "linearity",
                probe,
                case,
                hand.combined,
                2 * hand.bars - hand.other,
                tolerance,
                "bwd(2 y1 - y2) = 2 bwd(y1) - bwd(y2)",
            ),
        ]
    )


def check_finite_differences(probe: Probe, case: Case) -> Outcome:
    """Each entry against finite differences of the forward pass itself, with their error bars."""
    found = probe.evidence(case)
    if left := _narrow(found.hand64):
        return Outcome(inconclusive=left)
    x, size = flat(found.chosen), found.truth.scale
    rng = np.random.default_rng(case.seed)
    indices = np.sort(rng.permutation(x.size)[:COORDINATES])
    if not indices.size:
        return Outcome()
    magnitude = float(np.abs(found.y_bar) @ np.abs(found.truth.y) + size @ np.abs(x))
    with enable_x64(True):
        estimate = slopes(probe.scalar_forward(found.rest, found.y_bar), x, indices, magnitude)
    seen = np.abs(estimate.values) + np.abs(found.hand64.bars[indices])
    wanted = 1e-5 * (size[indices] + seen) + TINY64
    sure = np.isfinite(estimate.bars) & (estimate.bars <= wanted)
    if not sure.any():
        return Outcome(
            inconclusive="the error bars of the differences are too wide at these inputs"
        )
    expected, got = np.full(x.size, np.nan), found.hand64.bars
    expected[indices[sure]] = estimate.values[sure]
    tolerance = np.full(x.size, np.inf)
    tolerance[indices[sure]] = 3 * estimate.bars[sure] + 8 * _allowed(
        probe, EPS64, size[indices[sure]]
    )
    return _compare_entries(
        "finite differences", probe, case, got, expected, tolerance, "central differences, float64"
    )


def check_jit(probe: Probe, case: Case) -> Outcome:
    """Run without `jax.jit`: the same gradient as with it."""
    chosen, rest, y_bar = probe.inputs(case)
    _, bars = probe.pull_leaves(chosen, rest, y_bar)
    return _same_as_jit("jit", probe, case, flat(bars), "the compiled backward pass")


def check_repeat(probe: Probe, case: Case) -> Outcome:
    """Called twice, and with the inputs unchanged, the backward pass gives the same bits."""
    chosen, rest, y_bar = probe.inputs(case)
    first, second = (flat(probe.run_jit(chosen, rest, y_bar)[1][1]) for _ in range(2))
    zero = np.zeros(first.shape)
    return _compare_entries("repeat", probe, case, second, first, zero, "the first call")


def check_vmap(probe: Probe, case: Case) -> Outcome:
    """Under `jax.vmap`, all arguments batched and all but the first: the same gradients."""
    chosen, rest, y_bar = probe.inputs(case)
    other = probe.inputs(case._replace(seed=case.seed + 11))[0]
    bars = [jnp.stack([bar, -2 * bar]) for bar in y_bar]
    pairs = [jnp.stack(pair) for pair in zip(chosen, other, strict=True)]
    everything: list[int | None] = [0] * len(pairs)
    unbatched = [None, *everything[1:]] if len(pairs) > 1 else everything
    outcomes = list[Outcome]()
    for axes in (everything, unbatched):
        given = [
            pair if axis == 0 else one for pair, one, axis in zip(pairs, chosen, axes, strict=True)
        ]
        got = probe.batched_jit(tuple(axes))(given, rest, bars)
        for index in range(2):
            single = [g[index] if axis == 0 else g for g, axis in zip(given, axes, strict=True)]
            expected = probe.run_jit(single, rest, [bar[index] for bar in bars])[1][1]
            size = flat(
                [jnp.full(leaf.shape, jnp.max(jnp.abs(leaf), initial=0.0)) for leaf in expected]
            )
            tolerance = 16 * EPS32 * (size + np.abs(flat(expected))) * _slack(probe, case) + TINY32
            values = flat([leaf[index] for leaf in got])
            outcomes.append(
                _compare_entries(
                    "vmap", probe, case, values, flat(expected), tolerance, "one by one"
                )
            )
    return _worst(outcomes)


def _allowed(probe: Probe, eps: float, size: np.ndarray) -> np.ndarray:
    tolerance = probe.target.tolerance
    relative = tolerance.factor * eps if tolerance.rtol is None else tolerance.rtol
    smallest = 8 * (TINY32 if eps == EPS32 else TINY64)
    return relative * size + tolerance.atol + smallest


CHECKS: dict[str, Callable[[Probe, Case], Outcome]] = {
    "contract": check_contract,
    "forward": check_forward,
    "gradient float32": check_gradient_float32,
    "gradient float64": check_gradient_float64,
    "jacobian": check_jacobian,
    "linearity": check_linearity,
    "finite differences": check_finite_differences,
    "jit": check_jit,
    "vmap": check_vmap,
    "repeat": check_repeat,
}
ONCE = frozenset({"contract", "jit", "vmap", "repeat"})
"""Checks that compile or run a program of their own: once for each variant is enough."""


def _same_as_jit(check: str, probe: Probe, case: Case, got: np.ndarray, oracle: str) -> Outcome:
    found = probe.evidence(case)
    tolerance = 2 * _allowed(probe, EPS32, found.truth.scale)
    return _compare_entries(check, probe, case, got, found.hand32.bars, tolerance, oracle)


def _slack(probe: Probe, case: Case) -> np.ndarray:
    """How much worse conditioned the gradient is than its own size, at least 1."""
    truth = probe.evidence(case).truth
    largest = np.max(np.abs(truth.bars), initial=0.0)
    return np.maximum(1.0, np.nan_to_num(truth.scale / max(float(largest), TINY32)))


def _compare_gradient(check: str, probe: Probe, case: Case, hand: Hand, eps: float) -> Outcome:
    found = probe.evidence(case)
    tolerance = _allowed(probe, eps, found.truth.scale)
    outcome = _compare_entries(check, probe, case, hand.bars, found.truth.bars, tolerance)
    if outcome.failure is None:
        return outcome
    lenient = conventional_jacobian(probe, case)
    if lenient is None:
        return outcome
    expected = lenient.T @ found.y_bar
    tolerance = tolerance + _allowed(probe, eps, np.abs(lenient).T @ np.abs(found.y_bar))
    second = _compare_entries(check, probe, case, hand.bars, expected, tolerance)
    return outcome if second.failure is not None else Outcome(second.worst, convention=True)


def _compare_entries(
    check: str,
    probe: Probe,
    case: Case,
    got: np.ndarray,
    expected: np.ndarray,
    tolerance: np.ndarray,
    oracle: str = "",
) -> Outcome:
    if expected.size and np.isnan(expected).all():
        return Outcome(inconclusive="the oracle has no number at these inputs")
    ratio = _ratio(got, expected, tolerance)
    worst = float(ratio.max(initial=0.0))
    if worst <= 1:
        return Outcome(worst)
    index = int(ratio.argmax())
    argument, element = probe.layout.place(index)
    name = oracle or f"jax.vjp of {probe.target.reference_name}"
    failure = Failure(
        check,
        name,
        argument,
        element,
        float(expected[index]),
        float(got[index]),
        float(tolerance[index]),
        case.describe(),
    )
    return Outcome(worst, failure)


def _compare_output(
    check: str,
    probe: Probe,
    case: Case,
    got: np.ndarray,
    expected: np.ndarray,
    size: np.ndarray,
    eps: float,
    label: str,
) -> Outcome:
    tolerance = _allowed(probe, eps, size)
    ratio = _ratio(got, expected, tolerance)
    worst = float(ratio.max(initial=0.0))
    if worst <= 1:
        return Outcome(worst)
    index = int(ratio.argmax())
    failure = Failure(
        check,
        probe.target.reference_name,
        "output",
        (index,),
        float(expected[index]),
        float(got[index]),
        float(tolerance[index]),
        case.describe(),
        label,
    )
    return Outcome(worst, failure)


def _ratio(got: np.ndarray, expected: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """|got - expected| / tolerance; 0 for equal values, inf for a finite and a non-finite one.

    Where the oracle has no number (nan) there is nothing to compare with.
    """
    with np.errstate(all="ignore"):
        ratio = np.abs(got - expected) / tolerance
    ratio = np.where(np.isfinite(got) & np.isfinite(expected), ratio, np.inf)
    return np.where((got == expected) | np.isnan(expected), 0.0, ratio)


def _narrow(hand: Hand) -> str:
    """Say so if float32 remains where everything should be float64."""
    if all(dtype == np.float64 for dtype in hand.dtypes):
        return ""
    return "float32 remains in the backward pass when the inputs are float64"


def _unless_draws_differ(probe: Probe, case: Case, outcome: Outcome) -> Outcome:
    """A failure says nothing if the reference itself draws other numbers in float64."""
    exact = probe.evidence(case).truth.y
    if outcome.failure is None or not exact.size:
        return outcome
    with np.errstate(all="ignore"):
        gap = np.abs(probe.reference32(case) - exact) / (np.abs(exact) + np.sqrt(np.mean(exact**2)))
    if not np.nanmedian(gap) > 1e-2:
        return outcome
    return Outcome(inconclusive="the reference itself differs between float32 and float64")


def _worst(outcomes: list[Outcome]) -> Outcome:
    for outcome in outcomes:
        if outcome.inconclusive:
            return outcome
    return max(outcomes, key=_worst_of)


def _worst_of(outcome: Outcome) -> float:
    return outcome.worst


def _message(check: str, case: Case, message: str) -> Failure:
    nan = float("nan")
    return Failure(check, "", "", (), nan, nan, nan, case.describe(), message)


def _signature(leaves: Any) -> str:
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves) or "nothing"
