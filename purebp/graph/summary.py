"""How gradients fare in a graph: their sizes, what vanishes, what is dead, what is not finite."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

from purebp.autodiff.nonfinite import Birth
from purebp.graph.node import Node
from purebp.graph.numbers import norm, root_mean_square
from purebp.graph.table import lines_of
from purebp.graph.view import is_drawn

if TYPE_CHECKING:
    from purebp.graph.graph import Graph

VANISHING, EXPLODING = 1e-5, 1e5
"""By the root mean square of entries: next to the largest nearer to the output, and to its own."""
RELUS = frozenset({"relu", "relu6"})
SHOWN = 30


class Row(NamedTuple):
    """The gradient of one node: its norm, its ordinary entry, and what is noteworthy about it."""

    name: str
    line: str
    norm: float
    rms: float
    note: str


class Dead(NamedTuple):
    """A ReLU: the share of its outputs that are 0, and of its units that are 0 for every row."""

    name: str
    line: str
    zeros: float
    units: float


class Summary(NamedTuple):
    """What is noteworthy about a run; prints as a table.

    `value` and `cotangent` say where the first nan or infinity is born; `None` if none is.

    Example:
        >>> import purebp
        >>> g = purebp.trace(lambda x: jnp.log(x).sum(), jnp.array([1.0, 0.0])).backward()
        >>> g.summary().value.primitive
        'log'
    """

    rows: tuple[Row, ...]
    dead: tuple[Dead, ...]
    value: Birth | None
    cotangent: Birth | None

    def __str__(self) -> str:
        table = Table(box=None, pad_edge=False)
        for column in ("gradient of", "norm", "rms", "", "line"):
            table.add_column(column, overflow="fold")
        noted = [row for row in self.rows if row.note]
        rows = self.rows if len(self.rows) <= SHOWN else noted[:SHOWN]
        for row in rows:
            cells = (row.name, f"{row.norm:.3g}", f"{row.rms:.3g}", row.note, row.line)
            table.add_row(*map(Text, cells))
        lines = lines_of(table, width=110)
        if len(self.rows) > SHOWN:
            lines.append(f"of {len(self.rows)} nodes {len(noted)} noteworthy")
        lines += [
            f"{each.name}: {each.zeros:.0%} of its outputs are 0, {each.units:.0%} of its units "
            f"are dead, at {each.line}"
            for each in self.dead
        ]
        lines += [str(birth) for birth in (self.value, self.cotangent) if birth is not None]
        return "\n".join(lines)


def summary_of(graph: "Graph") -> Summary:
    """The summary of a graph; gradients are there after a backward pass only."""
    bars = _bars([*graph.inputs, *filter(is_drawn, graph.nodes)])
    sizes = {node: root_mean_square(bar) for node, bar in bars.items()}
    start = max(map(root_mean_square, _bars(graph.outputs).values()), default=0.0)
    largest, notes = 0.0, dict[Node, str]()
    for node in reversed(sizes):  # from the output on; the arguments, which come first, at the end
        notes[node] = _note(sizes[node], largest, start)
        largest = np.fmax(largest, sizes[node])
    rows = tuple(
        Row(node.name, node.line, norm(bars[node]), size, notes[node])
        for node, size in sizes.items()
    )
    dead = tuple(_dead(node) for node in graph.nodes if is_relu(node))
    return Summary(rows, dead, *graph.births())


def _bars(nodes: Iterable[Node]) -> dict[Node, Any]:
    """The cotangents of the nodes that have one."""
    bars = {node: node.bars[0] for node in nodes if node.bars is not None}
    return {node: bar for node, bar in bars.items() if bar is not None}


def is_relu(node: Node) -> bool:
    """Whether a gate is a ReLU, by its name or as the larger of 0 and something."""
    if node.operation in RELUS:
        return True
    written = [each.value for each in node.operands if not each.sources]
    return node.operation == "max" and len(written) == 1 and not np.any(written[0])


def _dead(node: Node) -> Dead:
    zero = np.asarray(node.values[0]) == 0
    units = zero.reshape(-1, zero.shape[-1]).all(axis=0) if zero.ndim > 1 else zero
    return Dead(node.name, node.line, float(zero.mean()), float(units.mean()))


def _note(size: float, largest: float, start: float) -> str:
    if not np.isfinite(size):
        return "not finite"
    if size == 0:
        return "zero"
    if size > EXPLODING * start:
        return "exploding"
    return "vanishing" if size < VANISHING * largest else ""
