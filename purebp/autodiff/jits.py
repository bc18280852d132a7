"""The rule of `jit`: the call is kept, as two compiled programs, or opened.

It is kept where that is less work: for numbers, which go through what was compiled before, and
where the same program is called more than once, so that it is derived and lowered once. What XLA
computes is the same.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jax
from jax import lax
from jax.sharding import Sharding

from purebp.autodiff.calls import body_of, opened
from purebp.autodiff.rule import Rule, Step, Values, arrived
from purebp.autodiff.split import split, variables_of
from purebp.compat import closed, is_known, is_reference

SMALL = 8
"""Calls of fewer equations are opened: to call them twice is more work."""


class Halves(NamedTuple):
    """A program in two compiled parts.

    `forward` goes from the inputs to the outputs and the residuals, `backward` from the `used`
    inputs, the residuals and the cotangents to those of the inputs for which `moves` is true.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    used: list[int]
    moves: list[bool]


class Kept(NamedTuple):
    """What a call that is kept leaves behind."""

    halves: Halves
    used: list[Any]
    residuals: list[Any]


_HALVES: WeakKeyDictionary[Any, dict[Any, Halves | None]] = WeakKeyDictionary()


def _forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    body, params = body_of(step.equation), step.equation.params
    args = _placed(args, params["in_shardings"])
    halves = _halves_of(step, body) if _is_kept(step, body, args) else None
    if halves is None:
        outs, saved = opened.forward(step, args)
    else:
        outs, residuals = halves.forward(*args)
        saved = Kept(halves, [args[k] for k in halves.used], residuals)
    return _placed(outs, params["out_shardings"]), saved


def _backward(step: Step, saved: Any, bars: Values) -> Values:
    params = step.equation.params
    bars = _placed(bars, params["out_shardings"])
    if isinstance(saved, Kept):
        found = iter(saved.halves.backward(saved.used, saved.residuals, arrived(step, bars)))
        bars = [next(found) if moves else None for moves in saved.halves.moves]
    else:
        bars = opened.backward(step, saved, bars)
    return _placed(bars, params["in_shardings"])


jit = Rule(_forward, _backward)


def _placed(values: Values, shardings: Sequence[Any]) -> list[Any]:
    """Each value, or cotangent, where the user wants that argument or output to be."""
    return [
        lax.with_sharding_constraint(x, where)
        if isinstance(where, Sharding) and x is not None
        else x
        for x, where in zip(values, shardings, strict=True)
    ]


def _is_kept(step: Step, body: Any, args: Values) -> bool:
    jaxpr = closed(body).jaxpr
    if len(jaxpr.eqns) < SMALL or jaxpr.effects or any(is_reference(v.aval) for v in jaxpr.invars):
        return False
    return step.repeated or all(map(is_known, args))


def _halves_of(step: Step, body: Any) -> Halves | None:
    """The two parts, derived once; `None` where they hang on something that is traced outside."""
    made = _HALVES.setdefault(body, {})
    key = (step.wanted, step.arriving, frozenset(step.rules.items()))
    if key not in made:
        made[key] = _derived(step, body)
    return made[key]


def _derived(step: Step, body: Any) -> Halves | None:
    wanted, name = step.wanted, step.equation.params["name"]
    parts = split(body, wanted, step.arriving, step.rules, [True] * len(wanted))
    if not all(map(is_known, parts.known.values())):
        return None
    needed = {v for equation in parts.backward for v in variables_of(equation)}
    needed.update(v for v in parts.bars_of_inputs if v is not None)
    used = [k for k, v in enumerate(parts.inputs) if v in needed]

    def forward(*inputs: Any) -> tuple[list[Any], list[Any]]:
        return parts.run(inputs)

    def backward(inputs: list[Any], residuals: list[Any], bars: list[Any]) -> list[Any]:
        given = {parts.inputs[k]: x for k, x in zip(used, inputs, strict=True)}
        return parts.pull(given, residuals, bars)

    forward.__name__, backward.__name__ = f"{name}_fwd", f"{name}_bwd"
    moves = [v is not None for v in parts.bars_of_inputs]
    return Halves(jax.jit(forward), jax.jit(backward), used, moves)
