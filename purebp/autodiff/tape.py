"""Backpropagation over a traced program: forward with a tape, and back along it.

Each node keeps what the pullbacks of its wanted operands need. Cotangents add up where a value is
used several times; one that is 0 is `None`, and is never computed with.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from purebp.autodiff.flow import flow_of, rule_for
from purebp.autodiff.rule import Rule, Step
from purebp.compat import closed, in_place, line_of_equation, run_equation
from purebp.errors import CotangentError, NoRuleError


class Node(NamedTuple):
    """One equation that was run, and what it kept."""

    step: Step
    rule: Rule
    saved: Any


class Tape(NamedTuple):
    """A program that was run: its inputs and outputs, those that are live, its nodes in order."""

    invars: Sequence[Any]
    outvars: Sequence[Any]
    live: set[Any]
    nodes: list[Node]


def run_forward(
    program: Any,
    args: Sequence[Any],
    wanted: Sequence[bool],
    arriving: Sequence[bool],
    rules: Mapping[str, Rule | None],
    kept: Mapping[Any, Any] | None = None,
) -> tuple[list[Any], Tape]:
    """The outputs of a program, and the tape.

    `wanted`: which inputs have cotangents; `arriving`: at which outputs one may arrive; `kept`:
    values of variables of the program that are known from an earlier run.
    """
    jaxpr = closed(program)
    inner = jaxpr.jaxpr
    flow = flow_of(inner, wanted, arriving, rules)
    values: dict[Any, Any] = dict(zip(inner.constvars, map(_as_array, jaxpr.consts), strict=True))
    values.update(zip(inner.invars, args, strict=True))
    nodes, repeated = list[Node](), _repeated(inner)
    for equation in inner.eqns:
        arrives = flow.arrives(equation)
        given = [_value(v, values) for v in equation.invars]
        if any(arrives):
            step = Step(equation, flow.wants(equation), arrives, rules, repeated(equation))
            rule = rule_for(equation, rules)
            try:
                outs, saved = rule.forward(step, given)
            except NoRuleError as error:
                error.line = error.line or line_of_equation(equation)
                raise
            if kept:
                outs, saved = _as_kept(equation, outs, saved, kept)
            nodes.append(Node(step, rule, saved))
        else:
            outs = run_equation(equation, given)
        values.update(zip(equation.outvars, outs, strict=True))
    outs = [_value(v, values) for v in inner.outvars]
    return outs, Tape(inner.invars, inner.outvars, flow.live, nodes)


def _repeated(jaxpr: Any) -> Callable[[Any], bool]:
    """Whether the program that an equation calls is called elsewhere in this program too."""
    counts = Counter(id(e.params["jaxpr"]) for e in jaxpr.eqns if "jaxpr" in e.params)
    return lambda equation: counts[id(equation.params.get("jaxpr"))] > 1


def _as_kept(
    equation: Any, outs: list[Any], saved: Any, kept: Mapping[Any, Any]
) -> tuple[list[Any], Any]:
    """What an equation gives and saves, with the values that are known in the place of its own."""
    known = [kept.get(v, out) for v, out in zip(equation.outvars, outs, strict=True)]
    instead = {id(out): value for out, value in zip(outs, known, strict=True)}
    return known, jax.tree.map(lambda leaf: instead.get(id(leaf), leaf), saved)


def _as_array(constant: Any) -> Any:
    """A constant of NumPy as an array of JAX: the rules of users may index it by traced numbers."""
    is_plain = isinstance(constant, np.ndarray) and constant.dtype != jax.dtypes.float0
    return jnp.asarray(constant) if is_plain else constant


def _value(variable: Any, values: Mapping[Any, Any]) -> Any:
    is_written = isinstance(variable, Literal)
    return as_written(variable.val, variable) if is_written else values[variable]


def as_written(x: Any, variable: Any) -> Any:
    """What a variable has; a number that is written into the program becomes an array."""
    if not isinstance(variable, Literal):
        return x
    return jnp.asarray(x, getattr(variable.aval, "dtype"))  # noqa: B009 - not in JAX's stubs


def run_backward(tape: Tape, bars: Sequence[Any]) -> list[Any]:
    """The cotangents of the inputs, `None` where one is 0 or not wanted."""
    sums: dict[Any, Any] = {}
    for variable, bar in zip(tape.outvars, bars, strict=True):
        if not isinstance(variable, Literal) and variable in tape.live:
            _add(sums, variable, bar)
    for step, rule, saved in reversed(tape.nodes):
        equation = step.equation
        arriving = [sums.pop(variable, None) for variable in equation.outvars]
        if all(bar is None for bar in arriving):
            continue
        leaving = rule.backward(step, saved, arriving)
        for variable, bar, use in zip(equation.invars, leaving, step.wanted, strict=True):
            if use and bar is not None:
                _check(equation, variable, bar)
                _add(sums, variable, in_place(variable.aval, bar))
    return [sums.get(variable) for variable in tape.invars]


def _add(sums: dict[Any, Any], variable: Any, bar: Any) -> None:
    """Where a value is used several times its cotangents add up."""
    if bar is not None:
        sums[variable] = sums[variable] + bar if variable in sums else bar


def _check(equation: Any, variable: Any, bar: Any) -> None:
    expected, came = variable.aval, (tuple(bar.shape), jnp.dtype(bar.dtype))
    if came != (tuple(expected.shape), jnp.dtype(expected.dtype)):
        raise CotangentError(
            f"the rule of {equation.primitive.name!r} gave a cotangent of shape {came[0]} and "
            f"dtype {came[1]}, expected {tuple(expected.shape)} and {expected.dtype} (at "
            f"{line_of_equation(equation)})"
        )
