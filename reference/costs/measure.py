"""One program's gradient by purebp.grad and by jax.grad: cost, memory, compilation, clock.

XLA counts the flops of a loop's body once, whatever the number of turns. The flops of a program
with loops are those of a short version of it whose loops are unrolled. (A `while` cannot be: of
odeint's solver it is one turn.)
"""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
from jax import lax

import purebp
from purebp.autodiff import Rule
from purebp.benchmark.measure import Ratio, interleave, ratio_of
from purebp.errors import VerificationError

NEAR = 1e-3
Program = tuple[Callable[..., Any], tuple[Any, ...]]
"""A loss and its arguments."""


class Compiled(NamedTuple):
    """A compiled gradient and what it costs."""

    run: Callable[..., Any]
    flops: float
    temporary: int
    loops: bool


class Found(NamedTuple):
    """Figures of one program: purebp.grad / jax.grad, and both as they are."""

    name: str
    hand: dict[str, float]
    other: dict[str, float]
    time: Ratio | None

    @property
    def ratios(self) -> dict[str, float | None]:
        """By what `BOUNDS` names; `None` where it was not measured."""
        found = {name: _over(self.hand[name], self.other[name]) for name in self.hand}
        return {**found, "time": self.time and self.time.median}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        clock = self.time and self.time._asdict()
        return {"name": self.name, "purebp": self.hand, "jax": self.other, "time": clock}


def measure(
    name: str,
    program: Program,
    short: Program,
    pairs: int,
    compiles: int,
    rules: Mapping[str, Rule | None] | None = None,
) -> Found:
    """Compile both, see that they agree, compare them. `pairs=0` leaves out the clock.

    `short` is the same program with few steps, for its flops; `rules` go to purebp.grad.
    """
    loss, args = program
    makers = {"hand": partial(purebp.value_and_grad, rules=rules), "other": jax.value_and_grad}
    compiled = {key: _compiled(make(loss), args) for key, make in makers.items()}
    _must_agree(name, *(each.run(*args) for each in compiled.values()))
    flops = {key: each.flops for key, each in compiled.items()}
    if any(each.loops for each in compiled.values()):
        with mock.patch.object(lax, "scan", partial(_unrolled, lax.scan)):
            flops = {key: _compiled(make(short[0]), short[1]).flops for key, make in makers.items()}
    seconds: dict[str, list[float]] = {key: [] for key in makers}
    for _ in range(compiles):
        for key, make in makers.items():
            seconds[key].append(_seconds_to_compile(make(loss), args))
    figures = {
        key: {
            "flops": flops[key],
            "temporary": float(each.temporary),
            **({"compile": statistics.median(seconds[key])} if compiles else {}),
        }
        for key, each in compiled.items()
    }
    clock = None
    if pairs:
        runs = {key: partial(_run, each.run, args) for key, each in compiled.items()}
        times = interleave(runs, pairs)
        clock = ratio_of(times["hand"], times["other"])
    return Found(name, figures["hand"], figures["other"], clock)


def _compiled(function: Callable[..., Any], args: tuple[Any, ...]) -> Compiled:
    run = jax.jit(function).lower(*args).compile()
    cost: Any = run.cost_analysis() or {}
    memory: Any = run.memory_analysis()
    temporary = int(getattr(memory, "temp_size_in_bytes", 0))
    return Compiled(run, float(cost.get("flops", 0)), temporary, " while(" in (run.as_text() or ""))


def _unrolled(scan: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return scan(*args, **{**options, "unroll": True})


def _seconds_to_compile(function: Callable[..., Any], args: tuple[Any, ...]) -> float:
    jax.clear_caches()
    start = time.perf_counter()
    jax.jit(function).lower(*args).compile()
    return time.perf_counter() - start


def _run(program: Callable[..., Any], args: tuple[Any, ...]) -> None:
    jax.block_until_ready(program(*args))


def _must_agree(name: str, hand: Any, other: Any) -> None:
    for a, b in zip(jax.tree.leaves(hand), jax.tree.leaves(other), strict=True):
        error, size = float(jnp.linalg.norm(a - b)), float(jnp.linalg.norm(b))
        if not error <= NEAR * size + 1e-6:
            raise VerificationError(f"{name}: a gradient of norm {size:.3g} differs by {error:.3g}")


def _over(one: float, other: float) -> float | None:
    if other:
        return one / other
    return None if one else 1.0
