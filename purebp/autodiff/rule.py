"""A row of the table: how the cotangents of one primitive are computed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from purebp.compat import run_equation, zeros_of
from purebp.gate import Gate
from purebp.op import Op

Values = Sequence[Any]
Settings = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From the parameters of an equation to the options of a gate."""
Places = tuple[int | slice, ...]
"""Where in an equation the operands of a gate stand; a slice for one that is a tuple."""


class Step(NamedTuple):
    """An equation that is run.

    `wanted`: of which operands the cotangent is; `arriving`: at which outputs one may come in;
    `rules`: the table, for the equations of a program inside; `repeated`: whether that program is
    called elsewhere too.

    Example:
        >>> import purebp
        >>> def told(step, args):
        ...     print(step.equation.primitive.name, step.wanted)
        ...     return [jnp.sin(args[0])], args
        >>> rule = Rule(told, lambda step, saved, bars: [bars[0] * jnp.cos(saved[0])])
        >>> float(purebp.grad(lambda x: jnp.sin(x), rules={"sin": rule})(0.0))
        sin (True,)
        1.0
    """

    equation: Any
    wanted: tuple[bool, ...]
    arriving: tuple[bool, ...]
    rules: Mapping[str, "Rule | None"]
    repeated: bool


class Rule(NamedTuple):
    """`forward(step, args) -> outputs, saved` and `backward(step, saved, bars) -> cotangents`.

    `bars` has the cotangent of each output, `None` where it is 0; what comes back has one for each
    operand, `None` where it is 0 or not wanted.

    Example:
        >>> import purebp
        >>> clipped = Rule(
        ...     lambda step, args: ([jnp.sin(args[0])], args),
        ...     lambda step, saved, bars: [jnp.clip(bars[0] * jnp.cos(saved[0]), -0.1, 0.1)],
        ... )
        >>> float(purebp.grad(lambda x: jnp.sin(x), rules={"sin": clipped})(0.0))
        0.10000000149011612
    """

    forward: Callable[[Step, Values], tuple[list[Any], Any]]
    backward: Callable[[Step, Any, Values], Values]


def of_gate(gate: Gate, settings: Settings | None = None, places: Places | None = None) -> Rule:
    """The rule that a gate is: its pullbacks, of those operands that are wanted."""
    where = places or tuple(range(len(gate.plan.operands)))
    options = settings or _no_options
    return Rule(partial(_save, gate, where), partial(_pull, gate, options, where))


def _no_options(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {}


def _save(gate: Gate, places: Places, step: Step, args: Values) -> tuple[list[Any], Any]:
    outs = run_equation(step.equation, args)
    out = tuple(outs) if step.equation.primitive.multiple_results else outs[0]
    operands = [tuple(args[p]) if isinstance(p, slice) else args[p] for p in places]
    return outs, gate.plan.save(operands, out, _of_operands(places, step.wanted))


def _pull(
    gate: Gate, settings: Settings, places: Places, step: Step, saved: Any, bars: Values
) -> list[Any]:
    y_bar = bars[0]
    if step.equation.primitive.multiple_results:
        y_bar = tuple(dense(step.equation, bars))
    options = settings(step.equation.params)
    found = gate.plan.pull(saved, y_bar, options, _of_operands(places, step.wanted))
    by_place: list[Any] = [None] * len(step.wanted)
    for place, bar in zip(places, found, strict=True):
        by_place[place] = bar if isinstance(place, int) else bar or [None] * len(by_place[place])
    return by_place


def _of_operands(places: Places, wanted: Sequence[bool]) -> tuple[bool, ...]:
    return tuple(any(wanted[p]) if isinstance(p, slice) else wanted[p] for p in places)


def of_op(op: Op, settings: Settings | None = None) -> Rule:
    """The rule that the pair of an op is, where all its cotangents come from one computation."""
    options = settings or _no_options

    def forward(step: Step, args: Values) -> tuple[list[Any], Any]:
        y, residuals = op.fwd(*args, **options(step.equation.params))
        return list(y) if step.equation.primitive.multiple_results else [y], residuals

    def backward(step: Step, residuals: Any, bars: Values) -> Values:
        several = step.equation.primitive.multiple_results
        return op.bwd(residuals, tuple(dense(step.equation, bars)) if several else bars[0])

    return Rule(forward, backward)


def arrived(step: Step, bars: Values, arriving: Sequence[bool] | None = None) -> list[Any]:
    """The cotangents that may arrive, by default those of the step, as arrays."""
    which = step.arriving if arriving is None else arriving
    return [bar for bar, use in zip(dense(step.equation, bars), which, strict=True) if use]


def dense(equation: Any, bars: Values) -> list[Any]:
    """The cotangents of all outputs, with arrays of zeros for those that are 0."""
    return [
        zeros_of(out.aval) if bar is None else bar
        for out, bar in zip(equation.outvars, bars, strict=True)
    ]
