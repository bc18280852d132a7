"""Backpropagation over a traced program: forward with a tape, and back along it.

Each node keeps what the pullbacks of its wanted operands need. Cotangents add up where a value is
used several times; one that is 0 is `None`, and is never computed with.
"""

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from purebp.autodiff.flow import flow_of, is_inexact, rule_for
from purebp.autodiff.rule import Rule, Step
from purebp.compat import closed, in_place, line_of_equation, run_equation
from purebp.errors import CotangentError, NoRuleError, in_words


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
            with _at(equation):
                outs, saved = rule.forward(step, given)
                _check(equation, equation.outvars, outs)
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
        with _at(equation):
            leaving = rule.backward(step, saved, arriving)
            _check(equation, equation.invars, leaving, step.wanted)
        for variable, bar, use in zip(equation.invars, leaving, step.wanted, strict=True):
            if use and bar is not None:
                _add(sums, variable, in_place(variable.aval, bar))
    return [sums.get(variable) for variable in tape.invars]


def _add(sums: dict[Any, Any], variable: Any, bar: Any) -> None:
    """Where a value is used several times its cotangents add up."""
    if bar is not None:
        sums[variable] = sums[variable] + bar if variable in sums else bar


IN_THE_RULE = "in the rule of"


@contextmanager
def _at(equation: Any) -> Generator[None]:
    """An error in the rule of an equation is told with the line of the user that called it."""
    try:
        yield
    except NoRuleError as error:
        error.line = error.line or line_of_equation(equation)
        raise
    except CotangentError:
        raise
    except Exception as error:
        if not any(note.startswith(IN_THE_RULE) for note in getattr(error, "__notes__", ())):
            name, line = equation.primitive.name, line_of_equation(equation)
            error.add_note(f"{IN_THE_RULE} {name!r}, at {line}")
        raise


def _check(
    equation: Any, variables: Sequence[Any], values: Any, wanted: Sequence[bool] | None = None
) -> None:
    """What a rule gave fits the outputs of its equation; with `wanted`, the operands."""
    what = "an output" if wanted is None else "a cotangent"
    gave = f"the rule of {equation.primitive.name!r} gave"
    if not isinstance(values, list | tuple) or len(values) != len(variables):
        raise CotangentError(
            f"{gave} {in_words(values)}, expected a list of {len(variables)}: {what} each (at "
            f"{line_of_equation(equation)})"
        )
    for place, variable in enumerate(variables):
        value: Any = values[place]
        is_none = wanted is not None and (value is None or not wanted[place])
        if is_none or not is_inexact(variable.aval):
            continue
        expected, came = _kind(variable.aval), _kind(value)
        if came != expected:
            raise CotangentError(
                f"{gave} {what} of {came}, expected {expected} (at {line_of_equation(equation)})"
            )


def _kind(x: Any) -> str:
    """The shape and dtype, in words."""
    dtype = getattr(x, "dtype", None) or jnp.result_type(x)
    return f"shape {tuple(jnp.shape(x))} and dtype {jnp.dtype(dtype)}"
