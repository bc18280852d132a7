"""A program and its backward pass as two: what the first leaves behind for the second.

Both are traced as one program, from the inputs and the cotangents of the outputs; whatever depends
on a cotangent is the backward part. The residuals are the values of the forward part that it uses.
What is computed twice is computed once; what is cheap to compute again from others is computed
again.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import Literal

from purebp.autodiff.keep import fewest_bytes
from purebp.autodiff.tape import run_backward, run_forward
from purebp.compat import closed, like_aval, run_equation

CHEAP = {
    *("broadcast_in_dim", "reshape", "squeeze", "transpose", "convert_element_type", "iota"),
    *("slice", "dynamic_slice", "rev", "split"),
    *("neg", "add", "sub", "mul", "square", "integer_pow", "max", "min", "select_n", "abs", "sign"),
    *("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "xor", "stop_gradient", "copy"),
}
"""Primitives that are computed again rather than kept: a pass over memory costs as much."""


class Split(NamedTuple):
    """The two parts; `inputs` and `bars` are the variables that each begins with.

    `bars_of_inputs` has `None` where a cotangent is 0. `known`: closed-over arrays, by variable.
    """

    known: dict[Any, Any]
    inputs: Sequence[Any]
    bars: Sequence[Any]
    outputs: Sequence[Any]
    bars_of_inputs: Sequence[Any]
    forward: list[Any]
    backward: list[Any]
    residuals: list[Any]

    def run(self, inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The outputs, and the residuals."""
        values = {**self.known, **dict(zip(self.inputs, inputs, strict=True))}
        found = evaluate(self.forward, values, [*self.outputs, *self.residuals])
        return found[: len(self.outputs)], found[len(self.outputs) :]

    def pull(
        self, inputs: Mapping[Any, Any], residuals: Sequence[Any], bars: Sequence[Any]
    ) -> list[Any]:
        """The cotangents of the inputs, but for those that are 0; `inputs` by variable."""
        values = {**self.known, **inputs, **dict(zip(self.residuals, residuals, strict=True))}
        values |= dict(zip(self.bars, bars, strict=True))
        return evaluate(self.backward, values, [v for v in self.bars_of_inputs if v is not None])


def split(
    program: Any,
    wanted: Sequence[bool],
    arriving: Sequence[bool],
    rules: Mapping[str, Any],
    free: Sequence[bool],
) -> Split:
    """Part a program; `free` are the inputs that the backward part has anyway."""
    inner = closed(program).jaxpr
    nonzero = list[bool]()

    def both(inputs: list[Any], bars: list[Any]) -> tuple[list[Any], list[Any]]:
        outs, tape = run_forward(program, inputs, wanted, arriving, rules)
        given = iter(bars)
        found = run_backward(tape, [next(given) if use else None for use in arriving])
        nonzero[:] = [bar is not None for bar in found]
        return outs, [bar for bar in found if bar is not None]

    shapes = [like_aval(v.aval) for v in inner.invars]
    cotangents = [like_aval(v.aval) for v, use in zip(inner.outvars, arriving, strict=True) if use]
    traced = jax.make_jaxpr(both)(shapes, cotangents)
    jaxpr, count = traced.jaxpr, len(shapes)
    inputs, bars = jaxpr.invars[:count], jaxpr.invars[count:]
    equations, outvars = _without_repeats(jaxpr)
    equations = needed_for(outvars, equations)
    outputs, rest = outvars[: len(inner.outvars)], iter(outvars[len(inner.outvars) :])
    late = set(bars)
    forward, backward = list[Any](), list[Any]()
    for equation in equations:
        is_late = any(v in late for v in variables_of(equation))
        (backward if is_late else forward).append(equation)
        late.update(equation.outvars if is_late else ())
    of_inputs = [next(rest) if use else None for use in nonzero]
    known = dict(zip(jaxpr.constvars, traced.consts, strict=True))
    parts = Split(known, inputs, bars, outputs, of_inputs, forward, backward, [])
    available = {*known, *(v for v, use in zip(inputs, free, strict=True) if use)}
    return _with_residuals(parts, late, available)


def _without_repeats(jaxpr: Any) -> tuple[list[Any], list[Any]]:
    """The equations and outputs of a program that computes nothing twice."""
    first, same = dict[Any, list[Any]](), dict[Any, Any]()
    equations = list[Any]()

    def new(operand: Any) -> Any:
        return operand if isinstance(operand, Literal) else same.get(operand, operand)

    for written in jaxpr.eqns:
        equation = written.replace(invars=[new(v) for v in written.invars])
        key = _what_it_computes(equation)
        if key is not None and key in first:
            same.update(zip(equation.outvars, first[key], strict=True))
            continue
        equations.append(equation)
        if key is not None:
            first[key] = equation.outvars
    return equations, [new(v) for v in jaxpr.outvars]


def _what_it_computes(equation: Any) -> Any:
    """Equal for equations with the same outputs; `None` where that cannot be told."""
    operands = [
        (str(v.aval), np.asarray(v.val).tobytes()) if isinstance(v, Literal) else v
        for v in equation.invars
    ]
    key = (equation.primitive, *operands, *sorted(equation.params.items(), key=itemgetter(0)))
    try:
        hash(key)
    except TypeError:
        return None
    return None if equation.effects else key


def _with_residuals(parts: Split, late: set[Any], available: set[Any]) -> Split:
    """Choose what is kept, and put what is cheap in front of the backward part."""
    made = {v: equation for equation in parts.forward for v in equation.outvars}
    used = [v for equation in parts.backward for v in variables_of(equation)]
    used += _variables(parts.bars_of_inputs)
    early = {*parts.inputs, *made} - available
    needed = [v for v in dict.fromkeys(used) if v in early and v not in late]
    again = {
        v: [each for each in variables_of(equation) if each in early]
        for v, equation in made.items()
        if equation.primitive.name in CHEAP
    }
    kept = fewest_bytes(needed, again, bytes_of)
    missing, front = set(needed) - set(kept), list[Any]()
    for equation in reversed(parts.forward):
        if any(v in missing for v in equation.outvars):
            front.append(equation)
            missing.update(v for v in variables_of(equation) if v in early and v not in kept)
    return parts._replace(backward=[*reversed(front), *parts.backward], residuals=kept)


def needed_for(
    wanted: Sequence[Any], equations: Sequence[Any], *, with_effects: bool = True
) -> list[Any]:
    """The equations that some variables hang on, and those that do something else, as printing."""
    used, needed = set(_variables(wanted)), list[Any]()
    for equation in reversed(equations):
        acts = with_effects and equation.effects
        if acts or any(v in used for v in equation.outvars):
            needed.append(equation)
            used.update(variables_of(equation))
    return needed[::-1]


def _variables(operands: Iterable[Any]) -> list[Any]:
    return [v for v in operands if v is not None and not isinstance(v, Literal)]


def variables_of(equation: Any) -> list[Any]:
    """The operands of an equation that are no constants written into it."""
    return [v for v in equation.invars if not isinstance(v, Literal)]


def bytes_of(variable: Any) -> int:
    """The size of an array."""
    return math.prod(variable.aval.shape) * getattr(variable.aval.dtype, "itemsize", 8)


def evaluate(
    equations: Sequence[Any], values: Mapping[Any, Any], wanted: Sequence[Any]
) -> list[Any]:
    """The wanted variables, by running equations on the values of others."""
    found = dict(values)
    for equation in equations:
        if equation.outvars and all(v in found for v in equation.outvars):
            continue
        given = [v.val if isinstance(v, Literal) else found[v] for v in equation.invars]
        found.update(zip(equation.outvars, run_equation(equation, given), strict=True))
    return [v.val if isinstance(v, Literal) else found[v] for v in wanted]
