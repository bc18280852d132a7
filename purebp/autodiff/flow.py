"""Which values of a program depend on its inputs, and which of these a cotangent reaches.

A value is active if it depends on an input whose cotangent is wanted, and live if it is active
and something depends on it whose cotangent arrives. Where a program is called inside, all its
outputs count as depending on all its operands.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import Literal

from purebp.compat import is_reference, line_of_equation
from purebp.errors import NoRuleError

COMPLEX_SIGN = "sign of complex numbers"
"""The row for x / |x|: that of real numbers is flat, and has the same primitive."""


class Flow(NamedTuple):
    """The variables of a program that are active, and those that are live."""

    active: set[Any]
    live: set[Any]

    def wants(self, equation: Any) -> tuple[bool, ...]:
        """For each operand of an equation whether its cotangent is wanted."""
        return tuple(not isinstance(v, Literal) and v in self.active for v in equation.invars)

    def arrives(self, equation: Any) -> tuple[bool, ...]:
        """For each output of an equation whether a cotangent may arrive."""
        return tuple(v in self.live for v in equation.outvars)


def flow_of(
    jaxpr: Any, wanted: Sequence[bool], arriving: Sequence[bool], rules: Mapping[str, Any]
) -> Flow:
    """The flow through a program: which inputs have cotangents, and which outputs get one."""
    active = {v for v, use in zip(jaxpr.invars, wanted, strict=True) if use and is_inexact(v.aval)}
    for equation in jaxpr.eqns:
        moving = [v for v in equation.outvars if is_inexact(v.aval)]
        uses = any(v in active for v in equation.invars if not isinstance(v, Literal))
        if uses and any(is_reference(v.aval) for v in (*equation.invars, *equation.outvars)):
            raise refused(equation, NO_REFERENCES)
        if uses and moving and rule_for(equation, rules) is not None:
            active.update(moving)
    live = {
        v
        for v, use in zip(jaxpr.outvars, arriving, strict=True)
        if use and not isinstance(v, Literal) and v in active
    }
    for equation in reversed(jaxpr.eqns):
        if any(v in live for v in equation.outvars):
            operands = [v for v in equation.invars if not isinstance(v, Literal)]
            live.update(v for v in operands if v in active)
    return Flow(active, live)


NO_REFERENCES = (
    "it writes to a mutable array (a Ref), which has no rule; return a new array instead, in a "
    "loop as what is carried on"
)


def is_inexact(x: Any) -> bool:
    """Whether an array, or a value of a type, has derivatives."""
    return hasattr(x, "dtype") and bool(jnp.issubdtype(x.dtype, jnp.inexact))


def refused(equation: Any, reason: str) -> NoRuleError:
    """The error for what has no derivative that could be computed, with the user's line."""
    message = f"the primitive {equation.primitive.name!r} is not differentiated: {reason}"
    return NoRuleError(message, line_of_equation(equation))


def rule_for(equation: Any, rules: Mapping[str, Any]) -> Any:
    """The rule of an equation; `None` where its derivative is 0."""
    name = equation.primitive.name
    if name == "sign" and jnp.issubdtype(equation.invars[0].aval.dtype, jnp.complexfloating):
        name = COMPLEX_SIGN
    if name not in rules:
        message = (
            f"the primitive {name!r} has no rule; give one with "
            f"rules={{{name!r}: Rule(forward, backward)}}, or None where its derivative is 0"
        )
        raise NoRuleError(message, line_of_equation(equation))
    return rules[name]
