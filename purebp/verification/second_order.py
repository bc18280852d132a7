"""The derivative of the backward pass itself: grad of grad, against the reference's."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64, jit_once
from purebp.verification.cases import Case
from purebp.verification.comparison import EPS64, Outcome, compare, failed
from purebp.verification.layout import as_float64, flat, widen
from purebp.verification.probe import Probe
from purebp.verification.torch_checks import wrong_twice
from purebp.verification.torch_pair import TorchPair

PATTERNS = ("normal", "zeros", "ties", "tails")
NEAR = 1e-6
SINGULAR = 1e4
"""A second derivative that changes by this nearby has no end: as that of |z| at 0."""
LOST = 1e-3
"""A second derivative that changes by less than this of its size nearby changes by rounding."""
SLACK = 1e6
"""Roundings that a second derivative may lose."""


def check_second_order(probe: Probe, case: Case) -> Outcome:
    """The slope of v . bwd(y_bar) in the arguments, in float64.

    Where the reference's own jumps nearby any value between is as good. A backward pass that
    cannot be differentiated must say so: an error is no failure.
    """
    pair = probe.target.numpy
    if isinstance(pair, TorchPair):
        chosen, rest, y_bar = probe.inputs(case)
        args = [np.asarray(arg) for arg in probe.layout.join(chosen, rest)]
        message = wrong_twice(pair, probe.settings, args, as_float64(y_bar))
        return failed("second order", case, message) if message else Outcome()
    worst = Outcome()
    for seed, pattern in enumerate(PATTERNS):
        outcome = _at(probe, case._replace(pattern=pattern, seed=seed))
        if outcome.failure is not None or outcome.inconclusive:
            return outcome
        worst = max(worst, outcome, key=lambda found: found.worst)
    return worst


def _at(probe: Probe, case: Case) -> Outcome:
    chosen, rest, y_bar = probe.inputs(case)
    rng = np.random.default_rng(case.seed + 9)
    wide, bars = widen(chosen), widen(y_bar)
    along = [rng.standard_normal(leaf.shape) for leaf in chosen]
    hand, plain = probe.kept("second order", lambda: _programs(probe))
    found = probe.evidence(case)
    if not np.allclose(found.hand64.bars, found.truth.bars, rtol=1e-6, atol=1e-9, equal_nan=True):
        return Outcome()  # a convention at a kink, or wrong already
    with enable_x64(True):
        try:
            got = flat(hand(wide, rest, bars, along))
        except Exception as error:  # noqa: BLE001 - whatever refuses is an answer
            return Outcome(inconclusive=f"not differentiable twice: {type(error).__name__}")
        try:
            nearby = [flat(plain(wide, rest, bars, along))]
        except Exception as error:  # noqa: BLE001 - JAX has no second derivative of the reference
            return Outcome(inconclusive=f"the reference is not differentiable twice: {error!r:.60}")
        for _ in range(4):
            moved = [
                jnp.asarray(x + NEAR * max(1.0, np.abs(x).max(initial=0)) * _signs(rng, x.shape))
                for x in as_float64(wide)
            ]
            nearby.append(flat(plain(moved, rest, bars, along)))
    low, high = np.min(nearby, axis=0), np.max(nearby, axis=0)
    jump = high - low
    room = np.where(jump > SINGULAR * (1 + np.abs(found.hand64.bars)), jump, 0.0)
    expected = np.clip(got, low - room, high + room)
    size = np.abs(nearby).max(axis=0)
    first = np.abs(probe.evidence(case).hand64.bars).max(initial=0.0)
    tolerance = SLACK * EPS64 * (size + size.max(initial=0.0) + first) + 1e-300
    # Beside a point that is set apart, as 0 of sin(x)/x, the reference's own loses its digits.
    spread = np.ptp(nearby[1:], axis=0)
    tolerance = tolerance + np.where(spread <= LOST * (size + first), 3 * spread, 0.0)
    oracle = "the second derivative of " + probe.target.reference_name
    return compare("second order", oracle, case, probe.layout.place, got, expected, tolerance)


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.0, shape)


def _programs(probe: Probe) -> tuple[Any, Any]:
    """(the hand-written pass, the reference's), each differentiated once more."""

    def of_hand(chosen: Any, rest: Any, y_bar: Any, along: Any) -> Any:
        return _slope(lambda c, b: probe.pull_bars(c, rest, b), chosen, y_bar, along)

    def of_reference(chosen: Any, rest: Any, y_bar: Any, along: Any) -> Any:
        def bars(c: Any, b: Any) -> Any:
            return jax.vjp(lambda c: probe.reference_leaves(c, rest), c)[1](b)[0]

        return _slope(bars, chosen, y_bar, along)

    return jit_once(of_hand), jit_once(of_reference)


def _slope(bars: Any, chosen: Any, y_bar: Any, along: Any) -> Any:
    """The gradient in the arguments where y_bar depends on them too, as it does in a loss."""

    def inner(c: Any, b: Any) -> Any:
        found = bars(c, b)
        return sum(jnp.vdot(v, bar) for v, bar in zip(along, found, strict=True))

    in_arguments, in_y_bar = jax.grad(inner, (0, 1))(chosen, y_bar)
    through = bars(chosen, in_y_bar)
    return [first + second for first, second in zip(in_arguments, through, strict=True)]
