"""Measuring a case: what the compiled programs cost, and interleaved times."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from purebp.benchmark.case import Case
from purebp.benchmark.programs import (
    Passes,
    by_autodiff,
    by_hand,
    by_torch,
    cotangent,
    residual_bytes,
)
from purebp.errors import VerificationError

LEAST_SECONDS = 1e-3
SLOWER = 1.05
AGREEMENT = 1e-2


class Costs(NamedTuple):
    """What one compiled program costs. Bytes and seconds.

    XLA counts the flops and bytes of a loop's body once, whatever the number of turns: `loops`.
    """

    flops: float
    accessed: float
    temporary: int
    residuals: int
    compile_seconds: float
    loops: bool = False


class Ratio(NamedTuple):
    """The median of time ratios hand / other over the pairs, and its 95% interval."""

    median: float
    low: float
    high: float
    pairs: int
    hand_seconds: float
    other_seconds: float


@dataclass(frozen=True)
class Row:
    """A measured case.

    `time` is forward and backward pass in one program, `apart` in two with the residuals in
    between; both against autodiff. `torch` is one program against PyTorch, None without it.
    """

    name: str
    op: str
    size: str
    shapes: str
    against: str
    single: bool
    more_memory: str
    hand: Costs
    autodiff: Costs
    time: Ratio | None
    apart: Ratio | None
    torch: Ratio | None

    @property
    def slower(self) -> bool:
        """Slower than autodiff: by the clock from a millisecond on, else by flops and bytes.

        Of programs with loops flops and bytes say little; there it is always the clock.
        """
        if self.time is None:
            return False
        loops = self.hand.loops or self.autodiff.loops
        if loops or self.time.hand_seconds >= LEAST_SECONDS:
            return self.time.low > SLOWER
        more_flops = self.hand.flops > SLOWER * self.autodiff.flops
        return more_flops and self.hand.accessed > SLOWER * self.autodiff.accessed

    @property
    def fatter(self) -> bool:
        """Whether residuals or temporaries are larger than autodiff's, without a reason."""
        return not self.more_memory and (
            self.hand.residuals > self.autodiff.residuals
            or self.hand.temporary > self.autodiff.temporary
        )

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data, for JSON."""
        whole = asdict(self)
        for part in ("hand", "autodiff", "time", "apart", "torch"):
            value = getattr(self, part)
            whole[part] = value and value._asdict()
        return {**whole, "slower": self.slower, "fatter": self.fatter}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The row that `to_dict` wrote."""
        parts = {key: value for key, value in data.items() if key not in ("slower", "fatter")}
        for name in ("hand", "autodiff"):
            parts[name] = Costs(**parts[name])
        for name in ("time", "apart", "torch"):
            parts[name] = parts[name] and Ratio(**parts[name])
        return cls(**parts)


def measure(case: Case, size: str, *, pairs: int = 30, torch: Any = None) -> Row:
    """Compile the case by hand and by autodiff, see that they agree, and compare them.

    `pairs=0` leaves out the clock: what remains is the same on every run.
    """
    args = case.inputs(size)
    y_bar = cotangent(case, args)
    hand, other = by_hand(case), by_autodiff(case)
    _must_fit(case, *(jax.eval_shape(each.forward, args)[0] for each in (hand, other)))
    hand_program, hand_costs = _compile(hand, args, y_bar)
    other_program, other_costs = _compile(other, args, y_bar)
    _must_agree(case, hand_program(args, y_bar), other_program(args, y_bar))
    runs: dict[str, Callable[[], Any]] = {
        "hand": partial(_run, hand_program, args, y_bar),
        "autodiff": partial(_run, other_program, args, y_bar),
    }
    if torch is not None and case.torch is not None:
        runs["torch"] = by_torch(case, torch, args, y_bar)
    two: dict[str, Callable[[], Any]] = {
        "hand": partial(_run, _two_programs(hand), args, y_bar),
        "autodiff": partial(_run, _two_programs(other), args, y_bar),
    }
    times = interleave(runs, pairs) if pairs else {}
    times_apart = interleave(two, pairs) if pairs else {}
    return Row(
        name=case.name,
        op=case.op.name,
        size=size,
        shapes=_shapes(args),
        against=case.against,
        single=case.single,
        more_memory=case.more_memory,
        hand=hand_costs,
        autodiff=other_costs,
        time=_ratio(times, "autodiff"),
        apart=_ratio(times_apart, "autodiff"),
        torch=_ratio(times, "torch"),
    )


def _two_programs(passes: Passes) -> Callable[..., Any]:
    forward, backward = jax.jit(passes.forward), jax.jit(passes.backward)

    def run(args: Any, y_bar: Any) -> Any:
        y, kept = forward(args)
        return y, backward(kept, y_bar)

    return run


def interleave(runs: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds a call, in rounds: each round times every program, in an order that alternates.

    A program that takes less than a millisecond is called several times for each figure. Each
    figure comes after a call that is not timed, so that no program pays for what its neighbour
    left behind: PyTorch's threads spin on for a while, and take a tenth off the next one.
    """
    fastest = min(_seconds(run, 1) for _ in range(2) for run in runs.values())
    repeats = max(1, math.ceil(LEAST_SECONDS / fastest))
    fastest = min(_seconds(run, repeats) for run in runs.values())
    repeats = max(1, math.ceil(LEAST_SECONDS / fastest))
    times: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            times[name].append(_seconds(runs[name], repeats))
    return times


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The interval of order statistics that holds the median with this confidence.

    The number of values below the median is binomial with p = 1/2, whatever their distribution.
    """
    ordered, n = sorted(values), len(values)
    outside, rank = 0.0, 0
    while rank < n // 2:
        outside += math.comb(n, rank) / 2**n
        if 2 * outside > 1 - confidence:
            break
        rank += 1
    low = max(rank - 1, 0)
    return ordered[low], ordered[n - 1 - low]


def ratio_of(hand: Sequence[float], other: Sequence[float]) -> Ratio:
    """The ratio of paired times."""
    ratios = [a / b for a, b in zip(hand, other, strict=True)]
    return Ratio(
        statistics.median(ratios),
        *median_interval(ratios),
        len(ratios),
        statistics.median(hand),
        statistics.median(other),
    )


def _ratio(times: Mapping[str, Sequence[float]], other: str) -> Ratio | None:
    return ratio_of(times["hand"], times[other]) if other in times else None


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    run()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def _run(program: Callable[..., Any], args: Any, y_bar: Any) -> None:
    jax.block_until_ready(program(args, y_bar))


def _compile(passes: Passes, args: Any, y_bar: Any) -> tuple[Callable[..., Any], Costs]:
    start = time.perf_counter()
    compiled = jax.jit(passes.together).lower(args, y_bar).compile()
    seconds = time.perf_counter() - start
    cost: Any = compiled.cost_analysis() or {}
    memory: Any = compiled.memory_analysis()
    costs = Costs(
        flops=float(cost.get("flops", 0)),
        accessed=float(cost.get("bytes accessed", 0)),
        temporary=int(getattr(memory, "temp_size_in_bytes", 0)),
        residuals=residual_bytes(passes, args),
        compile_seconds=seconds,
        loops=" while(" in (compiled.as_text() or ""),
    )
    return compiled, costs


def _must_fit(case: Case, hand: Any, other: Any) -> None:
    shapes = [[leaf.shape for leaf in jax.tree.leaves(each)] for each in (hand, other)]
    if shapes[0] != shapes[1]:
        raise VerificationError(
            f"{case.name}: the baseline ({case.against}) returns arrays of other shapes: "
            f"{shapes[1]}, expected {shapes[0]}"
        )


def _must_agree(case: Case, hand: Any, other: Any) -> None:
    for a, b in zip(jax.tree.leaves(hand), jax.tree.leaves(other), strict=True):
        if not jnp.issubdtype(b.dtype, jnp.inexact):
            continue
        error, scale = float(jnp.linalg.norm(a - b)), float(jnp.linalg.norm(b))
        if not error <= AGREEMENT * scale + 1e-6 * math.sqrt(b.size):
            raise VerificationError(
                f"{case.name}: the baseline ({case.against}) computes something else: an array of "
                f"shape {b.shape} differs by {error:.3g}, its norm is {scale:.3g}"
            )


def _shapes(args: tuple[Any, ...]) -> str:
    shown = [leaf for leaf in jax.tree.leaves(args) if leaf.ndim]
    if len(shown) <= 4:
        return ", ".join(f"{list(leaf.shape)}" for leaf in shown)
    total = sum(leaf.size for leaf in shown)
    return f"{len(shown)} arrays, {total:,} numbers"
