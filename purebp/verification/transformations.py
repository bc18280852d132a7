"""The same gradient in other circumstances: in 16 bits, without jit, under vmap, called twice."""

import math
from typing import Any

import numpy as np

from purebp.errors import DtypeError
from purebp.verification.cases import Case, patterns_of
from purebp.verification.comparison import (
    EPS32,
    SIXTEEN_BITS,
    TINY32,
    Outcome,
    allowed,
    compare,
    digits_lost,
    slack,
    worst_of,
)
from purebp.verification.layout import flat
from purebp.verification.low_precision import (
    SixteenBits,
    autodiff_in,
    in_sixteen_bits,
    runs_in,
)
from purebp.verification.probe import Probe

SOME = 8
HIDING = ("some nan", "some infinite", "all false", "a row false", "infinite where masked")
"""Patterns of values that a function may hide."""


def check_sixteen_bits(probe: Probe, case: Case) -> Outcome:
    """In 16 bits against float64 at the same inputs.

    purebp's own ops keep a tolerance of a few roundings, in bfloat16 and float16, or refuse these.
    Somebody's layer, in the dtype of the example or else in bfloat16, may be three times as far off
    as autodiff of the same function is, and some roundings of its largest number.
    """
    given = probe.target.given
    if given is None:
        return worst_of([_in(probe, case, dtype) for dtype in SIXTEEN_BITS])
    return _in(probe, case, given.low or "bfloat16")


def _in(probe: Probe, case: Case, dtype: str) -> Outcome:
    try:
        found = in_sixteen_bits(probe, case, dtype)
        tolerance = _tolerance(probe, case, dtype, found)
    except DtypeError:
        return Outcome()
    except Exception:
        given = probe.target.given
        if given is None or (given.low and runs_in(probe, case, dtype)):
            raise
        return Outcome(refused=f"it does not run in {dtype}")
    if found.truth.draws_differ:
        return Outcome()
    oracle, place = f"jax.vjp of {probe.target.reference_name}, float64", probe.layout.place
    return compare("16 bits", oracle, case, place, found.bars, found.truth.bars, tolerance, dtype)


def _tolerance(probe: Probe, case: Case, dtype: str, found: SixteenBits) -> np.ndarray:
    eps = SIXTEEN_BITS[dtype]
    if probe.target.given is None:
        return allowed(probe, eps, found.truth.scale)
    error = np.abs(autodiff_in(probe, case, dtype) - found.truth.bars)
    size = _largest_of_each(probe, np.abs(found.truth.bars))
    cancelled = np.where(size == 0, digits_lost(probe, case, found.truth.bars, eps), 0.0)
    return 3 * _largest_of_each(probe, error) + SOME * eps * size + cancelled


def _largest_of_each(probe: Probe, numbers: np.ndarray) -> np.ndarray:
    """The largest number of each argument, for each of its entries."""
    sizes = [math.prod(shape) for shape in probe.layout.chosen(probe.layout.shapes)]
    parts = np.split(np.nan_to_num(numbers, posinf=0.0), np.cumsum(sizes)[:-1])
    return np.repeat([np.max(part, initial=0.0) for part in parts], sizes)


def check_jit(probe: Probe, case: Case) -> Outcome:
    """Run without `jax.jit`: the same gradient as with it."""
    chosen, rest, y_bar = probe.inputs(case)
    _, bars = probe.pull_leaves(chosen, rest, y_bar)
    found = probe.evidence(case)
    lost = digits_lost(probe, case, found.truth.bars, EPS32)
    tolerance = 2 * (allowed(probe, EPS32, found.truth.scale) + lost)
    oracle, place = "the compiled backward pass", probe.layout.place
    outcome = compare("jit", oracle, case, place, flat(bars), found.hand32.bars, tolerance)
    hiding = [case._replace(pattern=p) for p in HIDING if p in patterns_of(probe.target)]
    return worst_of([outcome, *(_stays_finite(probe, hidden) for hidden in hiding)])


def _stays_finite(probe: Probe, case: Case) -> Outcome:
    """Whether a number is one without `jax.jit` too: the compiler makes 0 of nan times 0."""
    if probe.target.numpy is not None:
        return Outcome()
    found = probe.evidence(case).hand32
    compiled = found.bars
    if not np.isfinite(found.y).all() or not np.isfinite(compiled).any():
        return Outcome()
    bars = flat(probe.pull_leaves(*probe.inputs(case))[1])
    lost = np.where(np.isfinite(compiled), compiled, np.nan)
    tolerance = np.full(lost.shape, np.inf)
    oracle, message = "the compiled backward pass", "it is not finite without it"
    return compare("jit", oracle, case, probe.layout.place, bars, lost, tolerance, message)


def check_repeat(probe: Probe, case: Case) -> Outcome:
    """Called twice, and with the inputs unchanged, the backward pass gives the same bits."""
    chosen, rest, y_bar = probe.inputs(case)
    first, second = (flat(probe.pull(chosen, rest, y_bar)[1]) for _ in range(2))
    zero = np.zeros(first.shape)
    return compare("repeat", "the first call", case, probe.layout.place, second, first, zero)


def check_vmap(probe: Probe, case: Case) -> Outcome:
    """Under `jax.vmap`, all arguments batched and all but the first: the same gradients."""
    chosen, rest, y_bar = probe.inputs(case)
    other = probe.inputs(case._replace(seed=case.seed + 11))[0]
    bars = [np.stack([bar, -2 * np.asarray(bar)]) for bar in y_bar]
    pairs = [np.stack(pair) for pair in zip(chosen, other, strict=True)]
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
            expected = probe.pull_quickly(single, rest, [bar[index] for bar in bars])[1]
            size = np.concatenate([_largest(leaf) for leaf in expected])
            if probe.target.rules:
                size = np.full(size.shape, size.max(initial=0.0))
            tolerance = 16 * EPS32 * (size + np.abs(flat(expected))) * slack(probe, case) + TINY32
            tolerance += 4 * digits_lost(probe, case, flat(expected), EPS32)
            values = flat([np.asarray(leaf)[index] for leaf in got])
            outcome = compare(
                "vmap", "one by one", case, probe.layout.place, values, flat(expected), tolerance
            )
            outcomes.append(outcome)
    return worst_of(outcomes)


def _largest(leaf: Any) -> np.ndarray:
    """The largest magnitude of an array, for each of its entries."""
    return np.full(leaf.size, np.max(np.abs(np.asarray(leaf, np.float64)), initial=0.0))
