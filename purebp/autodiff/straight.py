"""A function as a straight line of nodes: its loops step by step, the branches that are taken.

For looking at each value and each cotangent of a run, not for speed.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from purebp.autodiff.calls import INLINE, body_of
from purebp.autodiff.flow import is_inexact
from purebp.autodiff.tape import as_written
from purebp.compat import (
    closed,
    custom_call,
    interpret,
    is_known,
    line_of_equation,
    run_equation,
    scan_counts,
    traced_from,
)
from purebp.errors import ArgumentError, in_words, named
from purebp.op import opened

Function = Callable[..., Any]
See = Callable[[Any, list[Any], "Way"], list[Any]]
"""What is done for an equation: from its operands, and the way to it, to its outputs."""
Choose = Callable[[Any], Any]
"""Which branch, or whether a loop goes on: reads a value, or remembers what it was."""

CHECKPOINTS = {"remat2", "checkpoint", "remat"}
CUSTOM = {"custom_jvp_call", "custom_vjp_call"}


@dataclass(frozen=True, eq=False)
class Call:
    """One call, step of a loop or branch that was entered, and the equation that stands for it."""

    name: str
    equation: Any


class Way(NamedTuple):
    """How a program is run, and where: the calls it is in, and the last line of the user's.

    `same` is told of a value that is cut out of others or put together from them. `programs` are
    those of the composed ops that are run by their parts; `None` if none are run so. `own`: within
    one, whose lines are purebp's and not the user's.
    """

    see: See
    choose: Choose
    same: Callable[[Any, Sequence[Any]], None]
    programs: dict[int, Any] | None = None
    where: str = ""
    own: bool = False
    calls: tuple[Call, ...] = ()

    def entering(self, name: str, equation: Any) -> "Way":
        """The way within a call."""
        return self._replace(calls=(*self.calls, Call(name, equation)))


class Node(NamedTuple):
    """An equation that was run: the values of its operands and outputs, and the user's line.

    `calls`: those that it is in, the outermost first.
    """

    equation: Any
    args: list[Any]
    outs: list[Any]
    line: str
    calls: tuple[Call, ...]

    @property
    def name(self) -> str:
        """The primitive, or the name of the function that has a rule of its own."""
        if self.equation.primitive.name in CUSTOM:
            return traced_from(self.equation.params["call_jaxpr"])[0]
        return self.equation.primitive.name


class Line(NamedTuple):
    """A run of a function: its program, arguments, nodes, and what was chosen on the way.

    `parts`: values that are cut out of others or put together from them, with those. `tree` is that
    of the outputs. `programs`: as in `Way`.
    """

    program: Any
    leaves: list[Any]
    nodes: list[Node]
    chosen: list[int]
    outs: list[Any]
    parts: list[tuple[Any, tuple[Any, ...]]]
    tree: Any
    programs: dict[int, Any] | None

    def again(self, see: Callable[[Any, list[Any]], list[Any]], leaves: Sequence[Any]) -> list[Any]:
        """The outputs of another run along the same line."""
        left = iter(self.chosen)

        def seen(equation: Any, given: list[Any], way: Way) -> list[Any]:
            return see(equation, given)

        return _run(self.program, leaves, Way(seen, lambda _: next(left), _forget, self.programs))


class Bars(NamedTuple):
    """The cotangents at a node: those that come in at its outputs, those that go to its operands.

    `None` where there is no derivative.
    """

    arriving: list[Any]
    leaving: list[Any]


def line_of(function: Function, *args: Any, by_parts: bool = False) -> Line:
    """Run a function on numbers, node by node; ops that are made of ops `by_parts`, or whole."""
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(args)]
    if not all(map(is_known, leaves)):
        raise ArgumentError("the arguments are traced; call it with numbers, outside of jax.jit")
    tree = jax.tree.structure(args)
    flat = jax.make_jaxpr(lambda *x: function(*jax.tree.unflatten(tree, x)), return_shape=True)
    program, shapes = flat(*leaves)
    nodes, chosen = list[Node](), list[int]()
    parts = list[tuple[Any, tuple[Any, ...]]]()

    def see(equation: Any, given: list[Any], way: Way) -> list[Any]:
        outs = [_fresh(y, given) for y in run_equation(equation, given)]
        nodes.append(Node(equation, given, outs, way.where, way.calls))
        return outs

    def same(new: Any, old: Sequence[Any]) -> None:
        parts.append((new, tuple(old)))

    def choose(value: Any) -> int:
        chosen.append(int(value))
        return chosen[-1]

    programs = dict[int, Any]() if by_parts else None
    outs = _run(program, leaves, Way(see, choose, same, programs))
    return Line(program, leaves, nodes, chosen, outs, parts, jax.tree.structure(shapes), programs)


def bars_of(line: Line, derive: Callable[[Function], Function]) -> list[Bars]:
    """The cotangents at every node, where that of the output is 1."""
    return all_bars_of(line, derive, [jnp.ones(y.shape, y.dtype) for y in line.outs])[1]


def all_bars_of(
    line: Line, derive: Callable[[Function], Function], y_bars: Sequence[Any]
) -> tuple[list[Any], list[Bars]]:
    """The cotangents of the arguments, and those at every node.

    A zero is added to every argument, operand and output, but not to constants: a rule may close
    over them, and has no cotangent for them. `derive` gives the gradient in the zeros.
    """
    zeros = _zeros(line)

    def of_zeros(zeros: Any) -> Any:
        to_leaves, to_nodes = zeros
        left = iter(to_nodes)

        def see(equation: Any, given: list[Any]) -> list[Any]:
            to_args, to_outs = next(left)
            return _plus(run_equation(equation, _plus(given, to_args)), to_outs)

        outs = line.again(see, _plus(line.leaves, to_leaves))
        pairs = zip(outs, y_bars, strict=True)
        return sum(jnp.sum(y * bar) for y, bar in pairs if is_inexact(y))

    leaves, nodes = derive(of_zeros)(([_zero(x) for x in line.leaves], zeros))
    return leaves, [Bars(outs, args) for args, outs in nodes]


def _fresh(y: Any, given: Sequence[Any]) -> Any:
    """An output that is an array of its own, even where it is an operand that is handed on."""
    return jnp.array(y) if any(y is x for x in given) else y


def _forget(new: Any, old: Sequence[Any]) -> None:
    pass


def _zeros(line: Line) -> list[tuple[list[Any], list[Any]]]:
    """For each node the zeros of its operands and outputs, where they depend on the arguments."""
    depends = {id(leaf) for leaf in line.leaves}
    parts = {id(new): old for new, old in line.parts}

    def varies(x: Any) -> bool:
        return id(x) in depends or any(map(varies, parts.get(id(x), ())))

    found = list[tuple[list[Any], list[Any]]]()
    for node in line.nodes:
        moving = [varies(x) for x in node.args]
        if any(moving):
            depends |= {id(y) for y in node.outs}
        to_args = [_zero(x) if moves else None for x, moves in zip(node.args, moving, strict=True)]
        found.append((to_args, [_zero(y) if any(moving) else None for y in node.outs]))
    return found


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
        line = "" if way.own else line_of_equation(equation)
        inside = way._replace(where=line or way.where)
        name = equation.primitive.name
        if name in INLINE or name in CHECKPOINTS:
            called = equation.params.get("name", name)
            return _run(body_of(equation), arrays, inside.entering(called, equation))
        if way.programs is not None and name == "custom_vjp_call":
            found = _by_parts(equation, arrays, way.programs)
            if found is not None:
                return _run(*found, inside._replace(own=True))
        if name in PARTS:
            return PARTS[name](equation, arrays, inside.entering(name, equation))
        return way.see(equation, arrays, inside)

    outs = closed(program).jaxpr.outvars
    return [as_written(y, v) for y, v in zip(interpret(program, args, each), outs, strict=True)]


def _by_parts(
    equation: Any, given: list[Any], programs: dict[int, Any]
) -> tuple[Any, list[Any]] | None:
    """The program of a composed op, in which its parts are called, and its operands."""
    found = custom_call(equation)
    if found is None or not hasattr(found[0], "by_parts"):
        return None
    backward, tree, constants = found
    leaves = given[constants:]
    if id(equation) not in programs:
        with opened():
            arguments = jax.tree.unflatten(tree, leaves)
            programs[id(equation)] = jax.make_jaxpr(backward.by_parts)(*arguments)
    return programs[id(equation)], leaves


def _scan(equation: Any, given: list[Any], way: Way) -> list[Any]:
    params = equation.params
    constants, carried = scan_counts(dict(params))
    end = constants + carried
    consts, carry, xs = given[:constants], given[constants:end], given[end:]
    steps = range(params["length"] or 0)
    rows = list[list[Any]]()
    for step in _in_order(steps, reverse=params["reverse"]):
        rows_in = [x[step] for x in xs]
        for row, x in zip(rows_in, xs, strict=True):
            way.same(row, [x])
        inside = way.entering(f"step {step}", equation)
        outs = _run(params["jaxpr"], [*consts, *carry, *rows_in], inside)
        carry = outs[:carried]
        rows.append(outs[carried:])
    in_order = _in_order(rows, reverse=params["reverse"])
    columns = list(zip(*in_order, strict=True))
    stacked = [jnp.stack(column) for column in columns]
    for y, column in zip(stacked, columns, strict=True):
        way.same(y, column)
    kinds = closed(params["jaxpr"]).jaxpr.outvars[carried:]
    empty = [jnp.zeros((0, *v.aval.shape), v.aval.dtype) for v in kinds]
    return [*carry, *(stacked if rows else empty)]


def _in_order(steps: Sequence[Any], *, reverse: bool) -> Iterator[Any]:
    return iter(reversed(steps)) if reverse else iter(steps)


def _while(equation: Any, given: list[Any], way: Way) -> list[Any]:
    params = equation.params
    first, end = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    of_cond, consts, carry = given[:first], given[first:end], given[end:]
    for turn in itertools.count():
        inside = way.entering(f"turn {turn}", equation)
        if not way.choose(_run(params["cond_jaxpr"], [*of_cond, *carry], inside)[0]):
            return carry
        carry = _run(params["body_jaxpr"], [*consts, *carry], inside)
    return carry


def _cond(equation: Any, given: list[Any], way: Way) -> list[Any]:
    branches = equation.params["branches"]
    which = min(max(way.choose(given[0]), 0), len(branches) - 1)
    return _run(branches[which], given[1:], way.entering(f"branch {which}", equation))


PARTS = {"scan": _scan, "while": _while, "cond": _cond}
