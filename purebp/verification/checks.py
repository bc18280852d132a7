"""The checks. Each takes a probe and a case and says what it found; CHECKS is the whole list."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64
from purebp.verification.buffers import check_buffers
from purebp.verification.cases import Case
from purebp.verification.comparison import (
    EPS32,
    EPS64,
    EXTREME,
    ROUNDINGS,
    TINY64,
    Outcome,
    allowed,
    compare,
    compare_gradient,
    describe_leaves,
    digits_lost,
    error_ratio,
    failed,
    is_nothing,
    narrow,
    output_entry,
    own_rounding,
    reconsidered,
    rounding_here,
    unless_draws_differ,
    worst_of,
)
from purebp.verification.differences import closer, slopes
from purebp.verification.discrete import (
    check_cotangents_are_zero,
    check_same_integers,
    of_a_derivative,
)
from purebp.verification.kinks import beyond_conventions, coordinates_at_kinks
from purebp.verification.layout import flat
from purebp.verification.natures import is_key
from purebp.verification.probe import DIFFER, Probe
from purebp.verification.second_order import check_second_order
from purebp.verification.settle import settle
from purebp.verification.target import Target
from purebp.verification.torch_pair import TorchPair
from purebp.verification.transformations import (
    check_jit,
    check_repeat,
    check_sixteen_bits,
    check_vmap,
)
from purebp.verification.unused import check_unused, has_rule

COORDINATES = 48
NONLINEAR = 1e-8
"""A backward pass that is not linear is off by more than this, of its largest number."""


def check_contract(probe: Probe, case: Case) -> Outcome:
    """One cotangent for each argument, with its tree, shape and dtype; fwd's value is the op's."""
    chosen, rest, y_bar = probe.inputs(case)
    if probe.target.numpy is not None:
        probe.target.numpy.try_out(probe.settings, probe.layout.join(chosen, rest))
    primal, bars = jax.eval_shape(probe.pull_leaves, chosen, rest, y_bar)
    y = jax.eval_shape(probe.forward_leaves, chosen, rest)
    wrong = _wrong_dtypes(probe, probe.layout.chosen(probe.layout.dtypes), bars)
    for what, found in (("fwd returns", primal), ("the function returns", y)):
        if [(o.shape, o.dtype) for o in found] != [(o.shape, o.dtype) for o in probe.output]:
            wrong.append(
                f"{what} {describe_leaves(found)}, expected {describe_leaves(probe.output)} "
                f"as {probe.target.reference_name}"
            )
    if not wrong and probe.target.given is not None and probe.target.numpy is None:
        wrong = _wrong_in_bfloat16(probe, chosen, rest, y_bar)
    if wrong:
        return failed("contract", case, wrong[0])
    return Outcome() if probe.output else check_cotangents_are_zero(probe, case)


def _wrong_in_bfloat16(probe: Probe, *inputs: Any) -> list[str]:
    """Cotangents that have another dtype than bfloat16 arguments; none if these are refused."""
    chosen, rest, y_bar = inputs
    low = [jax.ShapeDtypeStruct(x.shape, jnp.bfloat16) for x in chosen]
    try:
        jax.eval_shape(probe.reference_leaves, low, rest)
        bars = jax.eval_shape(probe.pull_leaves, low, rest, y_bar)[1]
    except Exception:  # noqa: BLE001 - a layer may not be made for 16 bits
        return []
    return _wrong_dtypes(probe, [leaf.dtype for leaf in low], bars)


def _wrong_dtypes(probe: Probe, expected: Sequence[Any], bars: Sequence[Any]) -> list[str]:
    """What to say of each cotangent that has not the dtype of its argument."""
    names = probe.layout.chosen(probe.layout.names)
    return [
        f"the cotangent of {name} has dtype {bar.dtype}, expected {dtype}, the dtype of {name}"
        for name, dtype, bar in zip(names, expected, bars, strict=True)
        if bar.dtype != dtype
    ]


def check_forward(probe: Probe, case: Case) -> Outcome:
    """The forward value, in float32 and float64, against the reference in float64."""
    if not probe.output:
        return check_same_integers(probe, case)
    found = probe.evidence(case)
    size = probe.oracle.forward_scale(found.truth, found.chosen, found.rest, case.seed + 3)
    outcomes = [
        compare(
            "forward",
            probe.target.reference_name,
            case,
            output_entry,
            y,
            found.truth.y,
            allowed(probe, eps, size) + _lost_forward(probe, case, found.truth.y, eps),
            label,
        )
        for hand, eps, label in ((found.hand64, EPS64, "float64"), (found.hand32, EPS32, "float32"))
        for y in (hand.y, hand.primal)
    ]
    return unless_draws_differ(probe, case, worst_of(outcomes))


def _lost_forward(probe: Probe, case: Case, y: np.ndarray, eps: float) -> np.ndarray | float:
    """What somebody's forward may lose on extreme inputs: e^(s - t) loses |s| roundings."""
    if probe.target.given is None or case.pattern not in EXTREME:
        return 0.0
    return ROUNDINGS * eps * np.nan_to_num(np.abs(y), posinf=0.0)


def check_gradient_float64(probe: Probe, case: Case) -> Outcome:
    """Each entry of each cotangent in float64 against `jax.vjp` of the reference."""
    found = probe.evidence(case)
    if left := narrow(found.hand64):
        return Outcome(inconclusive=left)
    return compare_gradient("gradient float64", probe, case, found.hand64, EPS64)


def check_gradient_float32(probe: Probe, case: Case) -> Outcome:
    """Each entry of each cotangent in float32 against `jax.vjp` of the reference in float64."""
    found = probe.evidence(case)
    outcome = compare_gradient("gradient float32", probe, case, found.hand32, EPS32)
    return unless_draws_differ(probe, case, outcome)


def check_jacobian(probe: Probe, case: Case) -> Outcome:
    """The full Jacobian against `jax.jacobian` of the reference, in float64, entry by entry."""
    found = probe.evidence(case)
    if found.truth.jacobian is None:
        return Outcome(inconclusive="the Jacobian is too large to be built")
    if left := narrow(found.hand64):
        return Outcome(inconclusive=left)
    expected, got = found.truth.jacobian, found.hand64.jacobian
    assert got is not None
    scale = np.abs(expected) + found.truth.spread
    scale = scale + scale.max(axis=1, keepdims=True, initial=0.0)
    if probe.target.rules:  # a whole function, as in Probe
        scale = scale + 1.0
    if probe.target.differences:  # as in Probe: they are as good as the output is large
        scale = scale + DIFFER * (1 + scale)
    tolerance = allowed(probe, EPS64, scale) + digits_lost(probe, case, expected, EPS64)
    oracle = f"jax.jacobian of {probe.target.reference_name}"
    outcome = _compare_jacobian(probe, case, got, expected, tolerance, oracle)
    beyond = None if outcome.failure is not None else beyond_conventions(probe, case)
    if beyond is not None:
        astray, beside = beyond
        room = np.where(astray, 0.0, np.inf)
        return _compare_jacobian(
            probe, case, got, beside, room, "its own slopes beside the kink, their mean"
        )

    def against(jacobian: np.ndarray, oracle: str) -> Outcome:
        size = np.nan_to_num(np.abs(jacobian), posinf=0.0)
        more = allowed(probe, EPS64, size + size.max(axis=1, keepdims=True, initial=0.0))
        more = (
            more
            + rounding_here(probe, expected, jacobian, EPS64)
            + own_rounding(probe, case, EPS64)
        )
        wider = np.nan_to_num(tolerance) + more + digits_lost(probe, case, jacobian, EPS64)
        return _compare_jacobian(probe, case, got, jacobian, wider, oracle)

    return reconsidered(probe, case, outcome, against)


def _compare_jacobian(
    probe: Probe,
    case: Case,
    got: np.ndarray,
    expected: np.ndarray,
    tolerance: np.ndarray,
    oracle: str,
) -> Outcome:
    columns = expected.shape[1]

    def place(index: int) -> tuple[str, tuple[int, ...]]:
        return probe.layout.place(index % columns)

    flattened = (got.ravel(), expected.ravel(), tolerance.ravel())
    outcome = compare("jacobian", oracle, case, place, *flattened)
    if outcome.failure is None:
        return outcome
    row = int(error_ratio(*flattened).argmax()) // columns
    failure = outcome.failure._replace(message=f"derivative of output entry {row}", output=row)
    return outcome._replace(failure=failure)


def check_linearity(probe: Probe, case: Case) -> Outcome:
    """Linear in the cotangent: zero gives zero, and 2 y1 - y2 gives 2 bwd(y1) - bwd(y2)."""
    found = probe.evidence(case)
    hand = found.hand64
    if left := narrow(hand):
        return Outcome(inconclusive=left)
    size = found.truth.scale
    if found.truth.jacobian is not None:
        magnitude = 2 * np.abs(found.y_bar) + np.abs(found.y_bar2)
        size = (np.abs(found.truth.jacobian) + found.truth.spread).T @ magnitude
        size = probe.layout.modulus(size)
    size = size + 2 * np.abs(hand.bars) + np.abs(hand.other)
    if probe.target.given is not None:  # what cancels inside of somebody's layer is not known
        size = size + NONLINEAR * size.max(initial=0.0) / EPS64
    tolerance = 2 * allowed(probe, EPS64, size)
    place, sum_of_two = probe.layout.place, 2 * hand.bars - hand.other
    rule = "bwd(2 y1 - y2) = 2 bwd(y1) - bwd(y2)"
    return worst_of(
        [
            compare("linearity", "bwd(0) = 0", case, place, hand.zero, 0 * size, tolerance),
            compare("linearity", rule, case, place, hand.combined, sum_of_two, tolerance),
        ]
    )


def check_finite_differences(probe: Probe, case: Case) -> Outcome:
    """Each entry against finite differences of the forward pass itself, with their error bars."""
    found = probe.evidence(case)
    if left := narrow(found.hand64):
        return Outcome(inconclusive=left)
    x, size = flat(found.chosen), found.truth.scale
    rng = np.random.default_rng(case.seed)
    moved = np.flatnonzero(~(probe.constant & (found.truth.bars == 0)))
    indices = np.sort(rng.permutation(moved)[:COORDINATES])
    if not indices.size:
        return Outcome()
    magnitude = float(np.abs(found.y_bar) @ np.abs(found.truth.y) + size @ np.abs(x))
    scalar = probe.scalar_forward(found.rest, found.y_bar)
    with enable_x64(True):
        estimate = slopes(scalar, x, indices, magnitude)
    slope = size[indices] + np.abs(estimate.values)
    seen = slope + np.abs(found.hand64.bars[indices])
    # A constant has no slope to compare its error bar with: there the size of f is the unit.
    wanted = 1e-5 * np.where(slope == 0, estimate.units, seen) + TINY64
    sure = np.isfinite(estimate.bars) & (estimate.bars <= wanted)
    if not sure.any():
        return Outcome(
            inconclusive="the error bars of the differences are too wide at these inputs"
        )
    expected, got = np.full(x.size, np.nan), found.hand64.bars
    expected[indices[sure]] = estimate.values[sure]
    tolerance = np.full(x.size, np.inf)
    tolerance[indices[sure]] = 3 * estimate.bars[sure] + 8 * allowed(
        probe, EPS64, size[indices[sure]]
    )
    tolerance = tolerance + digits_lost(probe, case, np.nan_to_num(expected), EPS64)
    if any(is_key(leaf) for leaf in found.rest):
        # Noise is drawn in float32, and may differ by a unit between two compiled programs.
        tolerance = tolerance + 16 * EPS32 * np.abs(np.nan_to_num(expected))
    judge = partial(
        compare, "finite differences", "central differences, float64", case, probe.layout.place
    )
    outcome = judge(got, expected, tolerance)
    if outcome.failure is None:
        return outcome
    with enable_x64(True):
        near = slopes(scalar, x, indices, magnitude, closer(estimate, got[indices], x[indices]))
    hidden = ~(near.bars <= 0.1 * np.abs(got[indices]))
    seen = np.abs(near.values - got[indices]) <= 3 * near.bars
    unresolved = (near.steps < estimate.steps) & (hidden | seen)
    tolerance[indices] = np.where(unresolved, np.inf, tolerance[indices])
    outcome = judge(got, expected, tolerance)
    if outcome.failure is None:
        return outcome
    kinked = coordinates_at_kinks(probe, case)
    if kinked is not None:
        second = judge(got, expected, np.where(kinked, np.inf, tolerance))
        if second.failure is None:
            return Outcome(second.worst, convention=True)
    settled = settle(probe, case)
    if settled is None:
        return outcome
    exact = settled.jacobian.T @ found.y_bar
    room = allowed(probe, EPS64, size + np.abs(exact))
    room = room + own_rounding(probe, case, EPS64) * np.abs(found.y_bar).sum()
    agree = np.abs(got - exact) <= room
    third = judge(got, expected, np.where(agree, np.inf, tolerance))
    return outcome if third.failure is not None else Outcome(third.worst, convention=True)


CHECKS: dict[str, Callable[[Probe, Case], Outcome]] = {
    "contract": check_contract,
    "forward": check_forward,
    "gradient float32": partial(of_a_derivative, check_gradient_float32),
    "gradient float64": partial(of_a_derivative, check_gradient_float64),
    "jacobian": partial(of_a_derivative, check_jacobian),
    "linearity": partial(of_a_derivative, check_linearity),
    "finite differences": partial(of_a_derivative, check_finite_differences),
    "16 bits": partial(of_a_derivative, check_sixteen_bits),
    "jit": partial(of_a_derivative, check_jit),
    "vmap": partial(of_a_derivative, check_vmap),
    "unused": partial(of_a_derivative, check_unused),
    "second order": partial(of_a_derivative, check_second_order),
    "repeat": partial(of_a_derivative, check_repeat),
    "buffers": check_buffers,
}
ONCE = frozenset(
    {"contract", "16 bits", "jit", "vmap", "unused", "second order", "repeat", "buffers"}
)
"""Checks that compile or run a program of their own: once for each variant is enough."""
PROGRAMS = frozenset(CHECKS) - {"contract", "forward", "repeat", "buffers"}
NOTHING = "the gradient of the function is 0 but for rounding: sums of normalised rows are constant"


def out_of_range(name: str, probe: Probe, case: Case) -> Outcome | None:
    """Why somebody's layer is not held to a check at inputs that it may not be made for."""
    if name in PROGRAMS and is_nothing(probe, case):
        return Outcome(inconclusive=NOTHING)
    if probe.target.given is None or name in ONCE:
        return None
    found = probe.evidence(case)
    if not np.isfinite(found.truth.y).all():
        return Outcome(inconclusive="the function is not finite at some of these inputs")
    if name in ("forward", "gradient float32") and not np.isfinite(found.rounded).all():
        return Outcome(inconclusive="the function overflows in float32 at some of these inputs")
    return None


def checks_of(target: Target) -> list[str]:
    """The names of the checks that a target has to pass."""
    without = {
        "16 bits": not target.sixteen_bits and (target.given is None or target.numpy is not None),
        "second order": target.sixteen_bits
        or target.once
        or target.declared
        or (target.numpy is not None and not isinstance(target.numpy, TorchPair)),
        "finite differences": target.declared,
        "unused": not has_rule(target),
        "buffers": target.numpy is None,
    }
    return [name for name in CHECKS if not without.get(name)]
