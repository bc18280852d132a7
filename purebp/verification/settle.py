"""Who is right where the hand-written derivative and autodiff disagree, or autodiff has none.

The function itself is run with 120 digits, and its slopes taken to both sides. Where they agree
there is one derivative, and it is known. Where they do not there is a kink: whatever lies between
them follows a convention, as long as the sum over the kinked entries does too.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64, jit_once
from purebp.verification.by_differences import by_differences
from purebp.verification.cases import Case
from purebp.verification.digits import Sides, UnsupportedError, one_sided
from purebp.verification.layout import as_float64, flat
from purebp.verification.probe import Probe

DIGITS = 1e-11
"""Relative agreement of float64 with the truth that settles who is right."""
CLOSE, FAR = 1e-6, 1e-3
"""Relative agreement with differences that settles it, and disagreement."""
COLUMNS = 160
"""Entries of the arguments that are moved one by one, at most."""


class Settled(NamedTuple):
    """The Jacobian with all that is known of it; hand-written entries where they may stand.

    `convention`: some do so by a convention. `autodiff_wrong`: autodiff has another number where
    the function's own slope is the hand-written one.
    """

    jacobian: np.ndarray
    convention: bool
    autodiff_wrong: np.ndarray


def settle(probe: Probe, case: Case) -> Settled | None:
    """What the slopes say about a case; `None` where the function cannot be run so."""
    if probe.target.declared:
        return None
    found = probe.evidence(case)
    exact, hand = found.truth.jacobian, found.hand64.jacobian
    if exact is None or hand is None or not exact.size > 0 or exact.shape[1] > COLUMNS:
        return None
    sides = probe.kept(("sides", case), lambda: sides_at(probe, case))
    if sides is None:
        return _by_differences(probe, case, exact, hand)
    settled = judge(sides, exact, hand)
    if all(np.isfinite(leaf).all() for leaf in as_float64(found.chosen)):
        return settled
    # At a nan or an infinity that the function hides, autodiff's nan excuses another.
    excused = ~np.isfinite(exact) & ~np.isfinite(hand)
    return settled._replace(jacobian=np.where(excused, hand, settled.jacobian))


def _by_differences(
    probe: Probe, case: Case, exact: np.ndarray, hand: np.ndarray
) -> Settled | None:
    """Without 120 digits: where differences of the function have another slope than autodiff.

    As where a value is made from bits, or stands alone behind a `where`.
    """
    if probe.target.differences or probe.target.numpy is not None:
        return None
    slopes = probe.kept(("differences", case), lambda: _slopes_at(probe, case))
    if slopes is None:
        return None
    with np.errstate(invalid="ignore"):
        size = np.abs(slopes) + np.nan_to_num(np.abs(slopes)).max(axis=1, keepdims=True, initial=0)
        agree = (np.abs(hand - slopes) <= CLOSE * size) & ~(np.abs(exact - slopes) <= FAR * size)
    return Settled(np.where(agree, hand, exact), False, agree) if agree.any() else None


def _slopes_at(probe: Probe, case: Case) -> np.ndarray | None:
    """The Jacobian of the reference by differences, nan where they are not sure."""
    found = probe.evidence(case)
    shapes = [np.shape(leaf) for leaf in found.chosen]
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

    def function(x: Any) -> Any:
        parts = zip(jnp.split(x, ends), shapes, strict=True)
        y = probe.reference_leaves([part.reshape(shape) for part, shape in parts], found.rest)
        return jnp.concatenate([jnp.ravel(leaf) for leaf in y])

    try:
        with enable_x64(True):
            jacobian = jit_once(jax.jacobian(by_differences(function)))
            return np.asarray(jacobian(jnp.asarray(flat(found.chosen))))
    except Exception:  # noqa: BLE001 - whatever somebody's function raises, nothing is settled
        return None


def sides_at(probe: Probe, case: Case) -> Sides | None:
    """The one-sided slopes of the reference; `None` for a step that is not known."""
    found = probe.evidence(case)
    try:
        return one_sided(probe.reference_leaves, as_float64(found.chosen), found.rest)
    except (UnsupportedError, ArithmeticError, KeyError, TypeError, ValueError):
        return None


def judge(sides: Sides, exact: np.ndarray, hand: np.ndarray) -> Settled:
    """Compare a hand-written Jacobian and autodiff's with the slopes."""
    low, high = np.minimum(sides.left, sides.right), np.maximum(sides.left, sides.right)
    smooth, there = sides.smooth, np.isfinite(sides.values)[:, None]
    kinked = there & ~smooth & np.isfinite(low) & np.isfinite(high)
    singular = there & ~(np.isfinite(low) & np.isfinite(high))
    size = np.nan_to_num(np.maximum(np.abs(low), np.abs(high)), posinf=0.0)
    slack = DIGITS * np.maximum(size, size.max(axis=1, keepdims=True, initial=0.0))

    def right(jacobian: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return smooth & (np.abs(jacobian - sides.left) <= slack)

    with np.errstate(invalid="ignore"):
        inside = kinked & (hand >= low - slack) & (hand <= high + slack)
    inside &= _fits_together(sides, hand, kinked, slack)
    overflowing = singular.any(axis=0) & ~np.isfinite(hand)  # 0 times an infinite slope
    allowed = inside | singular | ~there | overflowing
    known = np.where(kinked & ~np.isfinite(exact), (low + high) / 2, exact)
    expected = np.where(allowed, hand, np.where(smooth & there, sides.left, known))
    conventional = bool((inside | singular).any() and np.any((exact != hand) & (inside | singular)))
    return Settled(expected, conventional, there & right(hand) & ~right(exact))


def _fits_together(
    sides: Sides, hand: np.ndarray, kinked: np.ndarray, slack: np.ndarray
) -> np.ndarray:
    """Rows where the sum over the kinked entries is a slope too, if all of them move at once."""
    total = np.where(kinked, hand, 0.0).sum(axis=1)
    ends = np.sort(np.stack([sides.left_together, sides.right_together]), axis=0)
    room = slack.sum(axis=1)
    with np.errstate(invalid="ignore"):
        fits = np.asarray((total >= ends[0] - room) & (total <= ends[1] + room))
    open_ended = np.asarray(~np.isfinite(ends).all(axis=0))
    return (fits | open_ended)[:, None]
