"""At a kink several gradients are right: those inside the convex hull of the nearby ones.

A Jacobian entry follows a convention if it lies between the entries at nearby points, where these
differ, and if the sum of its row does too: a tie that hands out (1, 1) is outside.
"""

import itertools

import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64
from purebp.verification.cases import Case
from purebp.verification.layout import as_float64
from purebp.verification.probe import Probe

STEP = 1e-7
DRAWS = 16
WIDTH = 1e-2
ROWS = 16
"""Rows of a Jacobian that are looked at one by one."""


def conventional_jacobian(probe: Probe, case: Case) -> np.ndarray | None:
    """The reference's Jacobian, with hand-written entries where these follow a convention.

    `None` if there is no such entry.
    """
    found = _conventions(probe, case)
    return None if found is None else found[1]


def coordinates_at_kinks(probe: Probe, case: Case) -> np.ndarray | None:
    """For each entry of the arguments, whether a hand-written derivative follows a convention.

    Two kinks at one point can cancel in a difference quotient: its sides agree there, on a slope
    that is as little the gradient as any other between them.
    """
    found = _conventions(probe, case)
    return None if found is None else np.asarray(found[0].any(axis=0))


def _conventions(probe: Probe, case: Case) -> tuple[np.ndarray, np.ndarray] | None:
    """Which entries of the hand-written Jacobian follow a convention, and the Jacobian with them.

    `None` if there is no such entry.
    """
    probe = probe.with_jacobian
    if _by_differences(probe) or not probe.has_jacobian:
        return None
    found = probe.evidence(case)
    exact, hand = found.truth.jacobian, found.hand64.jacobian
    if exact is None or hand is None or not exact.size:
        return None
    nearby = np.stack([exact, *_nearby(probe, case, _moves(probe, case))])
    chosen, astray = _inside(nearby, hand)
    if astray.any():  # where many entries tie, no draw may have let the hand's own choice win
        more = _nearby(probe, case, _towards(probe, case, hand[astray.any(axis=1)]))
        chosen, _ = _inside(np.concatenate([nearby, more]), hand)
    return (chosen, np.where(chosen, hand, exact)) if chosen.any() else None


def beyond_conventions(probe: Probe, case: Case) -> tuple[np.ndarray, np.ndarray] | None:
    """Where differences have a kink: entries that lie outside of the pair's own ones next to it.

    With the mean of those. Next to the kink the pair's own Jacobian is checked by differences; at
    it there is nothing else to compare with. `None` if there is no such entry.
    """
    if not _by_differences(probe) or not probe.has_jacobian:
        return None
    found = probe.evidence(case)
    exact, hand = found.truth.jacobian, found.hand64.jacobian
    if exact is None or hand is None or not np.isnan(exact).any():
        return None
    if not all(np.isfinite(each).all() for each in (hand, *as_float64(found.chosen))):
        return None
    nearby = np.stack(_nearby(probe, case, _draws(probe, case), own=True))  # off every tie
    _, astray = _inside(nearby, hand)
    if astray.any():
        towards = _towards(probe, case, hand[astray.any(axis=1)])
        nearby = np.concatenate([nearby, _nearby(probe, case, towards, own=True)])
        _, astray = _inside(nearby, hand)
    astray &= np.isnan(exact)
    return (astray, nearby.mean(axis=0)) if astray.any() else None


def _inside(nearby: np.ndarray, hand: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The entries at a kink that lie between the nearby ones, and those at a kink that do not."""
    low, high = nearby.min(axis=0), nearby.max(axis=0)
    size = np.abs(nearby).max(axis=(0, 2), initial=0.0)[:, None]
    slack = 10 * STEP * size
    kinked = high - low > WIDTH * size
    inside = kinked & (hand >= low - slack) & (hand <= high + slack)
    total = np.where(kinked, hand, 0).sum(axis=1)
    totals = np.where(kinked, nearby, 0).sum(axis=2)
    fits = (total >= totals.min(axis=0) - slack[:, 0]) & (total <= totals.max(axis=0) + slack[:, 0])
    chosen = inside & fits[:, None]
    return chosen, kinked & ~chosen


def _by_differences(probe: Probe) -> bool:
    """Whether the reference has nan where it has a kink."""
    return probe.target.numpy is not None or probe.target.differences


Move = list[np.ndarray]
"""For each array of the arguments which way each entry goes."""


def _nearby(probe: Probe, case: Case, moves: list[Move], *, own: bool = False) -> list[np.ndarray]:
    """The Jacobians of the reference a small step away, or the pair's own."""
    at = probe.own_jacobian_at if own else probe.oracle.jacobian_at
    found = probe.evidence(case)
    exact = as_float64(found.chosen)
    steps = [STEP * max(1.0, float(np.abs(leaf).max(initial=0.0))) for leaf in exact]
    with enable_x64(True):
        return [
            at(
                [jnp.asarray(x + h * m) for x, h, m in zip(exact, steps, move, strict=True)],
                found.rest,
            )
            for move in moves
        ]


def _moves(probe: Probe, case: Case) -> list[Move]:
    """All entries of an array one way, and each entry its own way."""
    leaves = probe.evidence(case).chosen
    signs = list(itertools.product((1.0, -1.0), repeat=min(len(leaves), 4)))
    moves = [
        [np.full(x.shape, s) for x, s in zip(leaves, (*sign, *[1.0] * len(leaves)), strict=False)]
        for sign in signs
    ]
    return moves + _draws(probe, case)


def _draws(probe: Probe, case: Case) -> list[Move]:
    """Each entry its own way, of different lengths: no sum of two moves is 0 again."""
    rng, leaves = np.random.default_rng(case.seed + 5), probe.evidence(case).chosen
    return [[_signed(rng, leaf.shape) for leaf in leaves] for _ in range(DRAWS)]


def _towards(probe: Probe, case: Case, rows: np.ndarray) -> list[Move]:
    """Up and down along some rows of a Jacobian, all at once and one by one."""
    rng, leaves = np.random.default_rng(case.seed + 6), probe.evidence(case).chosen
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    sizes = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    along = rows / np.where(np.isfinite(sizes) & (sizes > 0), sizes, 1.0)
    along = np.nan_to_num(np.stack([along.sum(axis=0), *along[:ROWS]]), posinf=0.0, neginf=0.0)
    return [
        [
            sign * part.reshape(leaf.shape) + 0.1 * _signed(rng, leaf.shape)
            for part, leaf in zip(np.split(row, ends), leaves, strict=True)
        ]
        for row in along
        for sign in (1.0, -1.0)
    ]


def _signed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.0, shape)
