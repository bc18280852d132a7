"""One run of a function as nodes: where each value comes from, and the boxes it is in."""

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from purebp.autodiff.straight import Line, line_of
from purebp.graph.boxes import boxes_of
from purebp.graph.node import Node, Operand

Function = Callable[..., Any]
Sources = tuple[tuple[Node, int], ...]


class Recording:
    """The line of a run, and its nodes: arguments, gates (one for each of the line), outputs."""

    def __init__(self, function: Function, args: tuple[Any, ...]) -> None:
        # Each argument is an array of its own: an array is known by its identity.
        self.line: Line = line_of(function, *jax.tree.map(jnp.array, args), by_parts=True)
        self._names = Counter[str]()
        self._sources: dict[int, Sources] = {}
        self.constants = list[Node]()
        self.inputs = [
            self._made(Node(self._named(name), "input", "input", (leaf,)))
            for name, leaf in zip(names_of(function, args), self.line.leaves, strict=True)
        ]
        self._parts = {id(new): old for new, old in self.line.parts}
        self.gates = list[Node]()
        for node, inside in zip(self.line.nodes, boxes_of(self.line.nodes), strict=True):
            operands = self._operands(node.args, node.equation.invars)
            varies = any(source.varies for each in operands for source, _ in each.sources)
            made = Node(
                self._named(node.name),
                "gate",
                node.name,
                tuple(node.outs),
                operands,
                node.line.rpartition("/")[2],
                inside,
                varies,
                node.equation,
            )
            self.gates.append(self._made(made))
        self.value = jax.tree.unflatten(self.line.tree, self.line.outs)
        outs = self._operands(self.line.outs, [None] * len(self.line.outs))
        names = ["output"] if len(outs) == 1 else [f"output {k}" for k in range(len(outs))]
        self.outputs = [
            Node(self._named(name), "output", "output", (operand.value,), (operand,))
            for name, operand in zip(names, outs, strict=True)
        ]

    def _named(self, name: str) -> str:
        """The name itself, and with a number from the second on."""
        self._names[name] += 1
        again = self._names[name]
        return name if again == 1 else f"{name}_{again}"

    def _made(self, node: Node) -> Node:
        for place, value in enumerate(node.values):
            self._sources[id(value)] = ((node, place),)
        return node

    def _operands(self, values: Sequence[Any], variables: Sequence[Any]) -> tuple[Operand, ...]:
        return tuple(
            Operand(value, () if isinstance(variable, Literal) else self._from(value))
            for value, variable in zip(values, variables, strict=True)
        )

    def _from(self, value: Any) -> Sources:
        """Where a value comes from; one that no node has made is a constant."""
        if id(value) not in self._sources:
            if id(value) in self._parts:
                found = [source for old in self._parts[id(value)] for source in self._from(old)]
                self._sources[id(value)] = tuple(dict.fromkeys(found))
            else:
                constant = Node(
                    self._named("constant"), "constant", "constant", (value,), varies=False
                )
                self.constants.append(self._made(constant))
        sources = self._sources[id(value)]
        for node, _ in sources:
            node.uses += 1
        return sources


def names_of(function: Function, args: tuple[Any, ...]) -> list[str]:
    """A name for each array of the arguments: `x`, `params.w`, `batch[0]`."""
    try:
        bound = inspect.signature(function).bind(*args)
    except (TypeError, ValueError):
        given = [(f"arg {place}", arg) for place, arg in enumerate(args)]
    else:
        given = list(_named_arguments(bound))
    return [name + _keys(path) for name, arg in given for path, _ in jax.tree.leaves_with_path(arg)]


def _named_arguments(bound: inspect.BoundArguments) -> Any:
    for name, arg in bound.arguments.items():
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((f"{name}[{place}]", each) for place, each in enumerate(arg))
        else:
            yield name, arg


def _keys(path: Sequence[Any]) -> str:
    texts = [jax.tree_util.keystr((key,), simple=True) for key in path]
    return "".join(f"[{text}]" if text.isdigit() else f".{text}" for text in texts)
