"""The hand-written rules inside of a function: which there are, and the function without them.

A function is traced to a jaxpr, and that is run again, equation by equation, with the calls of
`jax.custom_vjp` and `jax.custom_jvp` functions replaced by their bodies, which autodiff goes
through. Loops and branches are kept, with their programs changed in the same way.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from purebp.autodiff.calls import INLINE, body_of
from purebp.autodiff.straight import CHECKPOINTS, CUSTOM
from purebp.compat import (
    bind_again,
    closed,
    enable_x64,
    interpret,
    like_aval,
    scan_counts,
    traced_from,
)

Function = Callable[..., Any]
Change = Callable[[Any], Function | None]
"""What to run in place of an equation; `None` to run it as it is."""

RULES = CUSTOM
CALLS = INLINE | CHECKPOINTS
KERNELS = "pallas_call"
"""Autodiff goes through no kernel: the rules in it make no difference."""


class Rule(NamedTuple):
    """A function with a derivative of its own, by its name and where it is written."""

    name: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.name} ({Path(self.file).name}:{self.line})" if self.file else self.name


def rules_of(function: Function, *args: Any) -> tuple[Rule, ...]:
    """The rules that a function uses, in the order in which it does; not those inside of rules."""
    every = equations(jax.make_jaxpr(function)(*args))
    calls = (equation for equation in every if equation.primitive.name in RULES)
    return tuple(dict.fromkeys(map(rule_of, calls)))


def open_rules(function: Function, which: Collection[Rule] | None = None) -> Function:
    """The function with the bodies of rules in their place: of those in `which`, or of all.

    >>> import jax.numpy as jnp
    >>> @jax.custom_jvp
    ... def double(x):
    ...     return 2 * x
    >>> _ = double.defjvp(lambda x, dx: (2 * x[0], 7 * dx[0]))
    >>> float(jax.grad(double)(1.0)), float(jax.grad(open_rules(double))(1.0))
    (7.0, 2.0)
    """

    def opened(equation: Any) -> Function | None:
        if equation.primitive.name not in RULES:
            return None
        if which is not None and rule_of(equation) not in which:
            return None
        return lambda *args: run(closed(equation.params["call_jaxpr"]), args, opened)

    return changed(function, opened)


def open_result(function: Function) -> Function:
    """The function, without the rule of the call that its result comes from, if it does from one.

    `f_fwd(x)` often calls `f` for its value: that has the rule that is to be verified.
    """

    def call(*args: Any) -> Any:
        jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        outs = {id(variable) for variable in jaxpr.jaxpr.outvars}

        def opened(equation: Any) -> Function | None:
            results = any(id(variable) in outs for variable in equation.outvars)
            if equation.primitive.name not in RULES or not results:
                return None
            return lambda *args: run(closed(equation.params["call_jaxpr"]), args, _as_it_is)

        if not any(opened(equation) for equation in jaxpr.jaxpr.eqns):
            return function(*args)
        out = run(jaxpr, jax.tree.leaves(args), opened)
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return call


def _as_it_is(equation: Any) -> None:
    return None


def changed(function: Function, change: Change) -> Function:
    """A function whose equations are run as `change` says."""

    def call(*args: Any) -> Any:
        jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*args)
        out = run(jaxpr, jax.tree.leaves(args), change)
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return call


def run(jaxpr: ClosedJaxpr, args: Sequence[Any], change: Change) -> list[Any]:
    """The outputs of a program whose equations are run as `change` says."""
    return interpret(jaxpr, args, lambda equation, given: _step(equation, given, change))


def _step(equation: Any, args: list[Any], change: Change) -> list[Any]:
    instead = change(equation)
    if instead is not None:
        return list(instead(*args))
    primitive, params = equation.primitive, dict(equation.params)
    if primitive.name in CALLS:
        return run(closed(body_of(equation)), args, change)
    if primitive.name not in (*RULES, KERNELS):
        params = {key: _changed_in(value, change) for key, value in params.items()}
    out = bind_again(primitive, args, params)
    return list(out) if primitive.multiple_results else [out]


def _changed_in(value: Any, change: Change) -> Any:
    """A parameter of an equation, with the programs in it changed."""
    if type(value) is tuple:  # branches
        return tuple(_changed_in(part, change) for part in value)  # type: ignore[reportUnknownVariableType]  # of any kind
    if not isinstance(value, Jaxpr | ClosedJaxpr) or not _is_changed(value, change):
        return value
    program = closed(value)

    def body(*args: Any) -> list[Any]:
        return run(program, args, change)

    made = jax.make_jaxpr(body)(*map(like_aval, program.in_avals))
    return made if isinstance(value, ClosedJaxpr) else made.jaxpr


def _is_changed(jaxpr: Any, change: Change) -> bool:
    return any(change(equation) is not None for equation in equations(jaxpr))


def equations(jaxpr: Any) -> Iterator[Any]:
    """All equations of a program, those of its loops and branches too, not those of its rules."""
    for equation in closed(jaxpr).jaxpr.eqns:
        yield equation
        if equation.primitive.name in (*RULES, KERNELS):
            continue
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else (value,):
                if isinstance(part, Jaxpr | ClosedJaxpr):
                    yield from equations(part)


def rule_of(equation: Any) -> Rule:
    """The rule that an equation calls."""
    name, file, line = traced_from(equation.params["call_jaxpr"])
    return Rule(name, file, line)


class Call(NamedTuple):
    """A call of a rule: the values that reached it, and its equation in each precision."""

    values: list[Any]
    equations: list[Any]

    def __call__(self, *args: Any) -> tuple[Any, ...]:
        """The function of the rule on other values, with its rule."""
        dtypes = [jnp.result_type(x) for x in args]
        fitting = [e for e in self.equations if [v.aval.dtype for v in e.invars] == dtypes]
        equation = (fitting or self.equations)[0]
        return tuple(bind_again(equation.primitive, list(args), dict(equation.params)))


def first_call(function: Function, rule: Rule, *args: Any) -> Call | None:
    """The first call of a rule when a function is run on numbers, in a loop at its first step."""
    found = _first_call(function, rule, args)
    with enable_x64(True):
        again = _first_call(function, rule, jax.tree.map(_widened, args))
    if found is None or again is None:
        return None
    return Call(found[1], [found[0], again[0]])


def _widened(x: Any) -> Any:
    for kind, wide in ((jnp.floating, np.float64), (jnp.complexfloating, np.complex128)):
        if jnp.issubdtype(x.dtype, kind):
            return np.asarray(x).astype(wide)
    return x


def _first_call(
    function: Function, rule: Rule, args: tuple[Any, ...]
) -> tuple[Any, list[Any]] | None:
    found = list[tuple[Any, list[Any]]]()

    def watch(equation: Any) -> Function | None:
        if equation.primitive.name in RULES and rule_of(equation) == rule:
            return lambda *values: _noted(found, equation, list(values))
        if equation.primitive.name in STEPS:
            return lambda *values: _after_a_step(equation, list(values), watch)
        return None

    changed(function, watch)(*args)
    return found[0] if found else None


def _noted(found: list[Any], equation: Any, values: list[Any]) -> Any:
    found.append((equation, values))
    return bind_again(equation.primitive, values, dict(equation.params))


def _after_a_step(equation: Any, values: list[Any], change: Change) -> Any:
    step = STEPS[equation.primitive.name](equation.params, values)
    if step is not None:
        run(closed(step[0]), step[1], change)
    return bind_again(equation.primitive, values, dict(equation.params))


def _step_of_scan(params: Mapping[str, Any], values: list[Any]) -> tuple[Any, list[Any]] | None:
    carried = sum(scan_counts(dict(params)))
    place = -1 if params["reverse"] else 0
    each = [xs[place] for xs in values[carried:]] if params["length"] else None
    return None if each is None else (params["jaxpr"], [*values[:carried], *each])


def _step_of_while(params: Mapping[str, Any], values: list[Any]) -> tuple[Any, list[Any]]:
    return params["body_jaxpr"], values[params["cond_nconsts"] :]


def _step_of_cond(params: Mapping[str, Any], values: list[Any]) -> tuple[Any, list[Any]]:
    which = min(max(int(values[0]), 0), len(params["branches"]) - 1)
    return params["branches"][which], values[1:]


STEPS = {"scan": _step_of_scan, "while": _step_of_while, "cond": _step_of_cond}
