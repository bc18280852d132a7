"""A function as a straight line of nodes: its loops step by step, the branches that are taken.

For looking at each value and each cotangent of a run, not for speed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from purebp.autodiff.calls import INLINE, body_of
from purebp.autodiff.flow import is_inexact
from purebp.autodiff.tape import as_written
from purebp.compat import (
    closed,
    interpret,
    is_known,
    line_of_equation,
    run_equation,
    scan_counts,
    traced_from,
)
from purebp.errors import ArgumentError, in_words, named

Function = Callable[..., Any]
See = Callable[[Any, list[Any], str], list[Any]]
"""What is done for an equation: from its operands, and the user's line, to its outputs."""
Choose = Callable[[Any], Any]
"""Which branch, or whether a loop goes on: reads a value, or remembers what it was."""

CHECKPOINTS = {"remat2", "checkpoint", "remat"}
CUSTOM = {"custom_jvp_call", "custom_vjp_call"}


class Way(NamedTuple):
    """How a program is run; `where` is the line of the call it is in, for those without one."""

    see: See
    choose: Choose
    where: str = ""


class Node(NamedTuple):
    """An equation that was run: the values of its operands and outputs, and the user's line."""

    equation: Any
    args: list[Any]
    outs: list[Any]
    line: str

    @property
    def name(self) -> str:
        """The primitive, or the name of the function that has a rule of its own."""
        if self.equation.primitive.name in CUSTOM:
            return traced_from(self.equation.params["call_jaxpr"])[0]
        return self.equation.primitive.name


class Line(NamedTuple):
    """A run of a function: its program, arguments, nodes, and what was chosen on the way."""

    program: Any
    leaves: list[Any]
    nodes: list[Node]
    chosen: list[int]
    outs: list[Any]

    def again(self, see: See) -> list[Any]:
        """The outputs of another run along the same line."""
        left = iter(self.chosen)
        return _run(self.program, self.leaves, Way(see, lambda _: next(left)))


class Bars(NamedTuple):
    """The cotangents at a node: those that come in at its outputs, those that go to its operands.

    `None` where there is no derivative.
    """

    arriving: list[Any]
    leaving: list[Any]


def line_of(function: Function, *args: Any) -> Line:
    """Run a function on numbers, node by node."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(args)]
    if not all(map(is_known, leaves)):
        raise ArgumentError("the arguments are traced; call it with numbers, outside of jax.jit")
    tree = jax.tree.structure(args)
    program = jax.make_jaxpr(lambda *flat: function(*jax.tree.unflatten(tree, flat)))(*leaves)
    nodes, chosen = list[Node](), list[int]()

    def see(equation: Any, given: list[Any], where: str) -> list[Any]:
        outs = run_equation(equation, given)
        nodes.append(Node(equation, given, outs, where))
        return outs

    def choose(value: Any) -> int:
        chosen.append(int(value))
        return chosen[-1]

    outs = _run(program, leaves, Way(see, choose))
    return Line(program, leaves, nodes, chosen, outs)


def bars_of(line: Line, derive: Callable[[Function], Function]) -> list[Bars]:
    """The cotangents at every node, where that of the output is 1.

    A zero is added to every operand and every output; `derive` gives the gradient in them.
    """
    zeros = [([_zero(x) for x in n.args], [_zero(y) for y in n.outs]) for n in line.nodes]

    def of_zeros(zeros: Any) -> Any:
        left = iter(zeros)

        def see(equation: Any, given: list[Any], where: str) -> list[Any]:
            to_args, to_outs = next(left)
            return _plus(run_equation(equation, _plus(given, to_args)), to_outs)

        return sum(jnp.sum(y) for y in line.again(see) if is_inexact(y))

    return [Bars(outs, args) for args, outs in derive(of_zeros)(zeros)]


def _zero(x: Any) -> Any:
    return jnp.zeros(x.shape, x.dtype) if is_inexact(x) else None


def _plus(values: Sequence[Any], zeros: Sequence[Any]) -> list[Any]:
    return [x if zero is None else x + zero for x, zero in zip(values, zeros, strict=True)]


def one_number(function: Function, line: Line) -> None:
    """Refuse a function that does not return one real number."""
    (y, *others) = line.outs or [None]
    if others or not is_inexact(y) or y.shape or jnp.issubdtype(y.dtype, jnp.complexfloating):
        came = f"{len(line.outs)} arrays" if others else in_words(y)
        raise ArgumentError(f"{named(function)} returned {came}, expected one real number; sum it")


def _run(program: Any, args: Sequence[Any], way: Way) -> list[Any]:
    def each(equation: Any, given: list[Any]) -> list[Any]:
        arrays = [as_written(x, v) for x, v in zip(given, equation.invars, strict=True)]
        inside = way._replace(where=line_of_equation(equation) or way.where)
        name = equation.primitive.name
        if name in INLINE or name in CHECKPOINTS:
            return _run(body_of(equation), arrays, inside)
        if name in PARTS:
            return PARTS[name](equation.params, arrays, inside)
        return way.see(equation, arrays, inside.where)

    outs = closed(program).jaxpr.outvars
    return [as_written(y, v) for y, v in zip(interpret(program, args, each), outs, strict=True)]


def _scan(params: Any, given: list[Any], way: Way) -> list[Any]:
    constants, carried = scan_counts(dict(params))
    end = constants + carried
    consts, carry, xs = given[:constants], given[constants:end], given[end:]
    steps = range(params["length"] or 0)
    rows = list[list[Any]]()
    for step in _in_order(steps, reverse=params["reverse"]):
        outs = _run(params["jaxpr"], [*consts, *carry, *(x[step] for x in xs)], way)
        carry = outs[:carried]
        rows.append(outs[carried:])
    in_order = _in_order(rows, reverse=params["reverse"])
    stacked = [jnp.stack(column) for column in zip(*in_order, strict=True)]
    kinds = closed(params["jaxpr"]).jaxpr.outvars[carried:]
    empty = [jnp.zeros((0, *v.aval.shape), v.aval.dtype) for v in kinds]
    return [*carry, *(stacked if rows else empty)]


def _in_order(steps: Sequence[Any], *, reverse: bool) -> Iterator[Any]:
    return iter(reversed(steps)) if reverse else iter(steps)


def _while(params: Any, given: list[Any], way: Way) -> list[Any]:
    first, end = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    of_cond, consts, carry = given[:first], given[first:end], given[end:]
    while way.choose(_run(params["cond_jaxpr"], [*of_cond, *carry], way)[0]):
        carry = _run(params["body_jaxpr"], [*consts, *carry], way)
    return carry


def _cond(params: Any, given: list[Any], way: Way) -> list[Any]:
    branches = params["branches"]
    which = min(max(way.choose(given[0]), 0), len(branches) - 1)
    return _run(branches[which], given[1:], way)


PARTS = {"scan": _scan, "while": _while, "cond": _cond}
