"""A graph as a table of text: one line for each gate."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from purebp.graph.labels import part_of
from purebp.graph.node import Node
from purebp.graph.numbers import root_mean_square, short

if TYPE_CHECKING:
    from purebp.graph.graph import Graph

WIDTH = 120


def table_of(graph: "Graph") -> str:
    """The arguments, the gates in the order in which they ran, and the outputs."""
    table = Table(title=graph.name, title_justify="left", box=None, pad_edge=False)
    for column in ("node", "from", "value", "gradient", "role", "line"):
        table.add_column(column, overflow="fold")
    for node in (*graph.inputs, *graph.nodes, *graph.outputs):
        sources = [source.name for each in node.operands for source, _ in each.sources]
        row = (node.name, ", ".join(sources), _all(node.values), _bars(node), part_of(node))
        table.add_row(*map(Text, row), Text(node.line))
    return "\n".join(lines_of(table))


def lines_of(table: Table, width: int = WIDTH) -> list[str]:
    """A table as plain lines."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def _bars(node: Node) -> str:
    return "" if node.bars is None else _all(node.bars)


def _all(values: tuple[Any, ...]) -> str:
    return ", ".join(_one(value) for value in values)


def _one(value: Any) -> str:
    if value is None:
        return "-"
    if not value.shape:
        return short(value)
    return f"{short(value)} rms {root_mean_square(value):.2g}"
