"""Where the things of a view lie: the layered layout of Graphviz, which pygraphviz brings."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from purebp.graph.node import Box
from purebp.graph.view import Edge, Shown, View
from purebp.packages import load

Size = tuple[float, float]
POINTS = 72.0
"""To the inch: Graphviz takes sizes in inches and gives places in points."""
TITLE = 16.0
"""The height of the name of an open box."""


class Route(NamedTuple):
    """The way of an edge: points of Bezier curves that follow each other, where its arrow ends."""

    curve: list[Size]
    tip: Size


class Layout(NamedTuple):
    """The size of the picture, the middle of each thing, the routes, the corners of open boxes."""

    size: Size
    middles: dict[Shown, Size]
    routes: list[Route]
    boxes: dict[Box, tuple[float, float, float, float]]


def laid_out(
    view: View,
    sizes: Mapping[Shown, Size],
    labels: Mapping[Edge, Size],
    round_ones: Collection[Shown],
) -> Layout:
    """Lay a view out from left to right."""
    pygraphviz = load("pygraphviz", needed_by="the picture of a graph", extra="graph")
    graph = pygraphviz.AGraph(
        directed=True, strict=False, rankdir="LR", nodesep="0.3", ranksep="0.35", splines="true"
    )
    graph.node_attr.update(fixedsize="true", label="")
    graph.edge_attr.update(arrowsize="0.6")
    names = {each: f"n{number}" for number, each in enumerate(sizes)}
    for each, (width, height) in sizes.items():
        shape = "ellipse" if each in round_ones else "box"
        size = {"width": str(width / POINTS), "height": str(height / POINTS)}
        graph.add_node(names[each], shape=shape, **size)
    for number, edge in enumerate(view.edges):
        label = {"label": _blank(*labels[edge])} if edge in labels else {}
        graph.add_edge(names[edge.start], names[edge.end], f"e{number}", **label)
    clusters = _add_boxes(graph, view, names)
    graph.layout(prog="dot")
    left, bottom, right, top = _numbers(graph.graph_attr["bb"])

    def turned(x: float, y: float) -> Size:
        return x - left, top - y

    middles = {each: turned(*_numbers(graph.get_node(n).attr["pos"])) for each, n in names.items()}
    routes = [
        _route(graph.get_edge(names[edge.start], names[edge.end], f"e{number}").attr, turned)
        for number, edge in enumerate(view.edges)
    ]
    boxes = dict[Box, tuple[float, float, float, float]]()
    for box, cluster in clusters.items():
        x0, y0, x1, y1 = _numbers(cluster.graph_attr["bb"])
        boxes[box] = (*turned(x0, y1), x1 - x0, y1 - y0)
    return Layout((right - left, top - bottom), middles, routes, boxes)


def _add_boxes(graph: Any, view: View, names: Mapping[Shown, str]) -> dict[Box, Any]:
    """A cluster for each open box, within that of the box that it is in."""
    clusters = dict[Box, Any]()
    for each, path in view.shown.items():
        outer = graph
        for box in path:
            if box not in clusters:
                blank = _blank(8.0 * len(box.name) + 8, TITLE)
                clusters[box] = outer.add_subgraph(
                    [], name=f"cluster_{len(clusters)}", label=blank, labeljust="l"
                )
            outer = clusters[box]
        if path:
            outer.add_node(names[each])
    return clusters


def _blank(width: float, height: float) -> str:
    """A label that keeps a place free."""
    size = f'FIXEDSIZE="TRUE" WIDTH="{width:.0f}" HEIGHT="{height:.0f}"'
    return f'<<TABLE BORDER="0" {size}><TR><TD></TD></TR></TABLE>>'


def _route(attributes: Any, turned: Any) -> Route:
    end, *points = attributes["pos"].split()
    tip = turned(*_numbers(end.removeprefix("e,")))
    return Route([turned(*_numbers(point)) for point in points], tip)


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]
