"""What of a graph is drawn: gates, boxes that are closed, and the edges between them.

Left out are gates that hand on the same numbers or give integers, what depends on no argument,
and boxes of one gate.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from purebp.autodiff.flow import is_inexact
from purebp.graph.node import Box, Node, Operand
from purebp.graph.roles import WIRES

MOST = 40
"""How many gates and boxes a picture shows before boxes are closed."""

FEW = 3
"""So many arguments of one container, that go to one place, are drawn as one."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Several arguments that are drawn as one."""

    name: str
    nodes: list[Node]


Shown = Node | Box | Bundle


@dataclass(eq=False)
class Edge:
    """A value that goes from one thing that is drawn to another, and the cotangents back.

    `sources`: the gates and arguments that it comes from.
    """

    start: Shown
    end: Shown
    operands: list[Operand]
    sources: set[Node]

    @property
    def value(self) -> Any:
        """What goes forward."""
        return self.operands[0].value

    @property
    def bar(self) -> Any:
        """What goes back: the sum of what comes from all gates in a closed box."""
        bars = [operand.bar for operand in self.operands if operand.bar is not None]
        return sum(bars[1:], bars[0]) if bars else None


@dataclass(eq=False)
class View:
    """Things to draw: what is in which open box, closed boxes with their gates, and edges.

    `around` are values from outside of the box that is looked into, and what is made of its own.
    """

    shown: dict[Shown, tuple[Box, ...]] = field(default_factory=dict[Shown, tuple[Box, ...]])
    inside: dict[Box, list[Node]] = field(default_factory=dict[Box, list[Node]])
    edges: list[Edge] = field(default_factory=list[Edge])
    around: list[Shown] = field(default_factory=list[Shown])

    def result(self, box: Box) -> Node | None:
        """The gate whose array alone comes out of a closed box."""
        sources = {each for edge in self.edges if edge.start is box for each in edge.sources}
        only = sources.pop() if len(sources) == 1 else None
        whole = only is not None and len(only.values) == 1 and np.ndim(only.values[0]) > 0
        return only if whole else None


class Drawing(NamedTuple):
    """All that a picture shows if every box is open: gates, and who hands what to whom.

    `several`: the boxes of several gates.
    """

    gates: list[Node]
    links: list[tuple[Node, Operand, Node]]
    several: set[Box]


def drawing_of(gates: Sequence[Node], outputs: Sequence[Node]) -> Drawing:
    """What there is to draw; of a function of integers alone its last gates."""
    needed = {source for each in outputs for source, _ in each.operands[0].sources}
    drawn = [gate for gate in gates if is_drawn(gate)]
    drawn = drawn or [gate for gate in gates if gate in needed]
    known = dict[Node, list[Node]]()
    links = [
        (source, operand, node)
        for node in [*drawn, *outputs]
        for operand in node.operands
        for source in _origins(operand, known)
    ]
    counts = Counter(box for gate in drawn for box in gate.boxes)
    return Drawing(drawn, links, {box for box, count in counts.items() if count > 1})


def view_of(drawing: Drawing, root: tuple[Box, ...] = (), depth: int = 0) -> View:
    """The inside of a box (of the whole, if `root` is empty), opened so many levels deep."""
    view = View()
    place = _placed(view, drawing, root, depth)
    edges = _edges(place, drawing.links)
    if root:
        edges = [edge for edge in edges if edge.start in view.shown or edge.end in view.shown]
    view.edges = _bundled(edges)
    ends = [end for edge in view.edges for end in (edge.start, edge.end)]
    view.around = list(dict.fromkeys(end for end in ends if end not in view.shown))
    return view


def _placed(view: View, drawing: Drawing, root: tuple[Box, ...], depth: int) -> dict[Node, Shown]:
    """For each gate what stands for it: itself, or the closed box that it is in.

    Outside of the root boxes are closed.
    """
    place = dict[Node, Shown]()
    for gate in drawing.gates:
        common = sum(1 for one, other in zip(gate.boxes, root, strict=False) if one is other)
        path = [box for box in gate.boxes[common:] if box in drawing.several]
        if common < len(root):
            place[gate] = path[0] if path else gate
            continue
        place[gate] = path[depth] if len(path) > depth else gate
        if len(path) > depth:
            view.inside.setdefault(path[depth], []).append(gate)
        view.shown.setdefault(place[gate], tuple(path[:depth]))
    return place


def _edges(place: Mapping[Node, Shown], links: Sequence[tuple[Node, Operand, Node]]) -> list[Edge]:
    """From each value to what uses it; a closed box uses a value once."""
    edges = dict[Any, Edge]()
    for source, operand, node in links:
        start, end = place.get(source, source), place.get(node, node)
        if start is not end:
            key = (start, end, id(operand.value) if isinstance(end, Box) else id(operand))
            edge = edges.setdefault(key, Edge(start, end, [], set()))
            edge.sources.add(source)
            if operand not in edge.operands:
                edge.operands.append(operand)
    return list(edges.values())


def _bundled(edges: Sequence[Edge]) -> list[Edge]:
    """Arguments of one container that go to one place alone, as the weights of a layer, as one."""
    ends = dict[Shown, set[Shown]]()
    for edge in edges:
        ends.setdefault(edge.start, set()).add(edge.end)
    groups = dict[Any, list[Node]]()
    for start, places in ends.items():
        if isinstance(start, Node) and start.kind == "input" and len(places) == 1:
            argument = re.split(r"[.\[]", start.name)[0]
            groups.setdefault((argument, *places), []).append(start)
    bundle_of = dict[Shown, Bundle]()
    for nodes in groups.values():
        if len(nodes) >= FEW:
            bundle = Bundle(_common([node.name for node in nodes]), nodes)
            bundle_of.update(dict.fromkeys(nodes, bundle))
    found = dict[Any, Edge]()
    for edge in edges:
        start = bundle_of.get(edge.start, edge.start)
        key = (start, edge.end) if isinstance(start, Bundle) else edge
        whole = found.setdefault(key, Edge(start, edge.end, [], set()))
        whole.operands += edge.operands
        whole.sources |= edge.sources
    return list(found.values())


def _common(names: Sequence[str]) -> str:
    """The container: `params.layers[0]`, of `params.layers[0].w` and `params.layers[0].b`."""
    parts = [re.findall(r"^[^.\[]+|\.[^.\[]+|\[[^\]]*\]", name) for name in names]
    same = itertools.takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False))
    return "".join(each[0] for each in same)


def auto_depth(drawing: Drawing) -> int:
    """The most levels that can be opened while the picture stays readable."""
    deepest = max((len(gate.boxes) for gate in drawing.gates), default=0)
    fits = (d for d in range(deepest, 0, -1) if len(view_of(drawing, (), d).shown) <= MOST)
    return next(fits, 0)


def is_drawn(node: Node) -> bool:
    """Whether a gate depends on an argument, gives real numbers, and does something to them."""
    return node.varies and any(map(is_inexact, node.values)) and not is_wire(node)


def is_wire(node: Node) -> bool:
    """Whether a gate hands on the numbers that it got."""
    if node.operation not in WIRES or len(node.values) != 1:
        return False
    moving = [operand for operand in node.operands if operand.sources]
    return len(moving) == 1 and math.prod(moving[0].value.shape) == math.prod(node.value.shape)


def _origins(operand: Operand, known: dict[Node, list[Node]]) -> list[Node]:
    """The gates and arguments that a value comes from; what is not drawn is left out."""
    found = list[Node]()
    for source, _ in operand.sources:
        if source not in known:
            passed = source.kind == "gate" and not is_drawn(source)
            inner = [each for wire in source.operands for each in _origins(wire, known)]
            known[source] = inner if passed else [source]
        found += known[source] if source.varies else []
    return list(dict.fromkeys(found))
