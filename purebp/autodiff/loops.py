"""The rule of `scan`: a loop that runs back, over what the loop forward left behind.

Only what the backward body uses is stacked: not the constants of the loop, nor what depends on
them alone, nor the inputs, which are there anyway, nor what is cheap to compute again. Products
that are only added up wait until after the loop.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
from jax import lax

from purebp.autodiff.flow import flow_of
from purebp.autodiff.rule import Rule, Step, Values, arrived
from purebp.autodiff.split import Split, evaluate, split, variables_of
from purebp.autodiff.sums import Sums, sums_of
from purebp.compat import closed, scan_counts, vary_as, zeros_of


class Loop(NamedTuple):
    """A scan: how many operands are constants and are carried, and its body in two parts.

    `arriving`: at which outputs of the body a cotangent may arrive. `fixed`: the residuals that are
    the same at every step; `stacked`: those that are not. `sums`: the backward part, and what of
    it waits until after the loop.
    """

    constants: int
    carried: int
    arriving: tuple[bool, ...]
    parts: Split
    fixed: list[Any]
    stacked: list[Any]
    sums: Sums

    def parted(self, operands: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """The constants, what is carried, and what is gone through."""
        first, second = self.constants, self.constants + self.carried
        return list(operands[:first]), list(operands[first:second]), list(operands[second:])


class Kept(NamedTuple):
    """What a loop leaves behind: constants, inputs, and residuals that are fixed or stacked."""

    loop: Loop
    consts: list[Any]
    xs: list[Any]
    fixed: list[Any]
    stacked: list[Any]


def _forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    loop, params = _loop_of(step), step.equation.params
    consts, init, xs = loop.parted(args)
    const_vars, carry_vars, x_vars = loop.parted(loop.parts.inputs)
    before = {**loop.parts.known, **_by(const_vars, consts)}
    early = _early(loop.parts.forward, before)
    fixed = evaluate(early, before, loop.fixed)
    around = {**before, **_by(loop.fixed, fixed)}

    def body(carry: list[Any], each: list[Any]) -> tuple[list[Any], Any]:
        values = {**around, **_by(carry_vars, carry), **_by(x_vars, each)}
        outs = evaluate(loop.parts.forward, values, [*loop.parts.outputs, *loop.stacked])
        return outs[: loop.carried], outs[loop.carried :]

    final, rest = lax.scan(body, init, xs, **_how(params, reverse=params["reverse"]))
    outs = len(loop.arriving) - loop.carried
    return [*final, *rest[:outs]], Kept(loop, consts, xs, fixed, rest[outs:])


def _backward(step: Step, kept: Kept, bars: Values) -> Values:
    loop, params = kept.loop, step.equation.params
    const_vars, _, x_vars = loop.parted(loop.parts.inputs)
    of_consts, of_carry, of_xs = loop.parted(loop.parts.bars_of_inputs)
    moving = loop.arriving[: loop.carried]
    arriving = arrived(step, bars, loop.arriving)
    count = sum(moving)
    around = {
        **loop.parts.known,
        **_by(const_vars, kept.consts),
        **_by(loop.fixed, kept.fixed),
    }
    sums = loop.sums
    rows = _by([*x_vars, *loop.stacked], [*kept.xs, *kept.stacked])
    rows |= _by(loop.parts.bars[count:], arriving[count:])
    added = [v for v in of_consts if v is not None and not sums.wait_for(v)]
    factors = [v for v in sums.factors if v not in rows]
    handed = [v for v in (*_chosen(of_carry, moving), *of_xs) if v is not None]
    wanted = [*added, *handed, *factors]

    def body(carry: Any, each: Any) -> tuple[Any, Any]:
        totals, carried_bars = carry
        xs, stacked, y_bars = each
        values = {**around, **_by(x_vars, xs), **_by(loop.stacked, stacked)}
        values |= _by(loop.parts.bars, [*carried_bars, *y_bars])
        found = iter(evaluate(sums.within, values, wanted))
        more = [total + next(found) for total in totals]
        before = [
            zeros_of(jax.typeof(bar)) if v is None else vary_as(jax.typeof(bar), next(found))
            for v, bar in zip(_chosen(of_carry, moving), carried_bars, strict=True)
        ]
        return (more, before), list(found)

    zeros = [zeros_of(v.aval) for v in added]
    back = _how(params, reverse=not params["reverse"])
    start = (zeros, arriving[:count])
    (totals, first), found = lax.scan(
        body, start, (kept.xs, kept.stacked, arriving[count:]), **back
    )
    late = [v for v in of_consts if sums.wait_for(v)]
    ends = len(found) - len(factors)
    after = iter(sums.totals({**rows, **_by(factors, found[ends:])}, late))
    within = iter(totals)
    return [
        *(None if v is None else next(after if sums.wait_for(v) else within) for v in of_consts),
        *_put(first, moving),
        *_filled(of_xs, found[:ends]),
    ]


scan = Rule(_forward, _backward)


def _loop_of(step: Step) -> Loop:
    """The plan: what is carried on takes part as soon as something at an earlier step does."""
    params = step.equation.params
    body = closed(params["jaxpr"])
    constants, carried = scan_counts(dict(params))
    end = constants + carried
    wanted, arriving = list(step.wanted), list(step.arriving)
    while True:
        flow = flow_of(body.jaxpr, wanted, arriving, step.rules)
        active = [v in flow.active for v in _or_none(body.jaxpr.outvars[:carried])]
        live = [v in flow.live for v in body.jaxpr.invars[constants:end]]
        more = _either(wanted[constants:end], active), _either(arriving[:carried], live)
        if more == (wanted[constants:end], arriving[:carried]):
            break
        wanted[constants:end], arriving[:carried] = more
    arriving = [
        use and v in flow.live
        for use, v in zip(arriving, _or_none(body.jaxpr.outvars), strict=True)
    ]
    free = [not constants <= place < end for place in range(len(wanted))]
    parts = split(body, wanted, arriving, step.rules, free)
    before = {*parts.known, *parts.inputs[:constants]}
    same = {v for equation in _early(parts.forward, before) for v in equation.outvars}
    fixed = [v for v in parts.residuals if v in same]
    stacked = [v for v in parts.residuals if v not in same]
    count = sum(arriving[:carried])
    sums = sums_of(
        parts.backward,
        parts.bars_of_inputs[:constants],
        parts.bars_of_inputs[constants:],
        {*stacked, *parts.inputs[end:], *parts.bars[count:]},
        set(parts.bars[:count]),
    )
    return Loop(constants, carried, tuple(arriving), parts, fixed, stacked, sums)


def _or_none(variables: Sequence[Any]) -> list[Any]:
    """Variables; `None` for constants, which nothing depends on."""
    return [None if hasattr(v, "val") else v for v in variables]


def _either(one: Sequence[bool], other: Sequence[bool]) -> list[bool]:
    return [a or b for a, b in zip(one, other, strict=True)]


def _early(equations: Iterable[Any], known: Iterable[Any]) -> list[Any]:
    """The equations that depend on nothing but what is known."""
    have, early = set(known), list[Any]()
    for equation in equations:
        if not equation.effects and all(v in have for v in variables_of(equation)):
            early.append(equation)
            have.update(equation.outvars)
    return early


def _how(params: Any, *, reverse: bool) -> dict[str, Any]:
    length = params.get("length")
    return {"reverse": reverse, "unroll": params["unroll"]} | (
        {} if length is None else {"length": length}
    )


def _by(variables: Sequence[Any], values: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(variables, values, strict=True))


def _chosen(values: Sequence[Any], which: Sequence[bool]) -> list[Any]:
    return [value for value, use in zip(values, which, strict=True) if use]


def _put(values: Sequence[Any], which: Sequence[bool]) -> list[Any]:
    left = iter(values)
    return [next(left) if use else None for use in which]


def _filled(variables: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """A value for each variable, `None` for `None`."""
    return _put(values, [v is not None for v in variables])
