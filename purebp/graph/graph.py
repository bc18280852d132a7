"""A computational graph: one run of a function, its values, and its gradients."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from purebp import autodiff
from purebp.autodiff.api import CustomRules, Rules
from purebp.autodiff.flow import is_inexact
from purebp.autodiff.nonfinite import Birth, first_cotangent, first_value
from purebp.autodiff.straight import Bars, all_bars_of
from purebp.errors import ArgumentError, OptionError, in_words, named
from purebp.graph.html import html_of
from purebp.graph.node import Node
from purebp.graph.picture import picture_of
from purebp.graph.png import png_of
from purebp.graph.record import Recording
from purebp.graph.summary import Summary, summary_of
from purebp.graph.table import table_of
from purebp.graph.view import View, auto_depth, drawing_of, view_of

Function = Callable[..., Any]


class Graph:
    """One run of a function as a graph of gates; made by `purebp.trace`.

    Attributes:
        nodes: the gates, in the order in which they ran.
        inputs: the arrays of the arguments, named after the function's parameters.
        outputs: what the function returned.
        value: the same, in the function's own tree.

    Example:
        >>> import purebp
        >>> g = purebp.trace(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0).backward()
        >>> [float(g[name].cotangent) for name in ("x", "y", "z")]
        [-4.0, -4.0, 3.0]
    """

    def __init__(
        self,
        function: Function,
        args: tuple[Any, ...],
        rules: Rules | None = None,
        custom_rules: CustomRules = "honour",
    ) -> None:
        self._derive = lambda f: autodiff.grad(f, rules=rules, custom_rules=custom_rules)
        self._recording = Recording(function, args)
        self.name = named(function)
        self.nodes: tuple[Node, ...] = tuple(self._recording.gates)
        self.inputs: tuple[Node, ...] = tuple(self._recording.inputs)
        self.outputs: tuple[Node, ...] = tuple(self._recording.outputs)
        self.value = self._recording.value
        every = (*self.inputs, *self._recording.constants, *self.nodes, *self.outputs)
        self._by_name = {node.name: node for node in every}

    def backward(self, *y_bar: Any) -> "Graph":
        """Backpropagation: every node gets the cotangents of its values, every edge its part.

        Args:
            y_bar: the cotangent of what the function returned, in its tree. 1 by default, for a
                function that returns one real number.

        Returns:
            the graph itself.
        """
        y_bars = self._y_bars(y_bar)
        leaves, nodes = all_bars_of(self._recording.line, self._derive, y_bars)
        for node, bar in zip(self.inputs, leaves, strict=True):
            node.bars = (bar,)
        for node, bars in zip(self.nodes, nodes, strict=True):
            node.bars = tuple(bars.arriving)
            for operand, bar in zip(node.operands, bars.leaving, strict=True):
                operand.bar = bar
        for node, bar in zip(self.outputs, y_bars, strict=True):
            node.operands[0].bar = bar if is_inexact(node.value) else None
            node.bars = (node.operands[0].bar,)
        return self

    def _y_bars(self, y_bar: tuple[Any, ...]) -> list[Any]:
        values = [node.value for node in self.outputs]
        if not y_bar:
            if len(values) != 1 or values[0].shape or not is_inexact(values[0]):
                came = in_words(values[0]) if len(values) == 1 else f"{len(values)} arrays"
                raise ArgumentError(
                    f"{self.name} returned {came}; backward() needs one real number, or the "
                    "cotangent of what came: backward(y_bar)"
                )
            return [jnp.ones((), values[0].dtype)]
        bars = jax.tree.leaves(y_bar[0] if len(y_bar) == 1 else y_bar)
        shapes = [jnp.shape(bar) for bar in bars]
        if shapes != [value.shape for value in values]:
            expected = ", ".join(str(value.shape) for value in values)
            came = ", ".join(map(str, shapes))
            raise ArgumentError(
                f"y_bar has shapes {came}; expected those of the output, {expected}"
            )
        return [jnp.asarray(bar, value.dtype) for bar, value in zip(bars, values, strict=True)]

    def __getitem__(self, name: str) -> Node:
        if name not in self._by_name:
            near = get_close_matches(name, self._by_name, 5)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise ArgumentError(f"{self.name} has no node {name!r}{hint}")
        return self._by_name[name]

    def summary(self) -> Summary:
        """Gradient norms by node, what vanishes or explodes, dead ReLUs, the first nan."""
        return summary_of(self)

    def births(self) -> tuple[Birth | None, Birth | None]:
        """Where the first value and the first cotangent that are nan or infinite come from."""
        bars = [Bars(list(n.bars or ()), [each.bar for each in n.operands]) for n in self.nodes]
        return first_value(self._recording.line), first_cotangent(self._recording.line, bars)

    def to_svg(self, depth: int | None = None) -> str:
        """The picture as SVG; `depth` levels of boxes are open, by default as many as are readable.

        Raises:
            MissingPackageError: if the packages of the extra `graph` are not installed.
        """
        return picture_of(self._view(depth))

    def to_html(self, depth: int | None = None) -> str:
        """A page with the picture; its boxes open by a click."""
        return html_of(self, depth)

    def save(self, path: str | Path, depth: int | None = None) -> Path:
        """Write the picture to a file: .svg, .png or .html.

        Raises:
            OptionError: if the name ends otherwise.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".png", ".html"):
            raise OptionError(f"{path.name}: expected a name that ends in .svg, .png or .html")
        if path.suffix == ".png":
            path.write_bytes(png_of(self.to_svg(depth)))
        else:
            text = self.to_svg(depth) if path.suffix == ".svg" else self.to_html(depth)
            path.write_text(text, encoding="utf-8")
        return path

    def _view(self, depth: int | None) -> View:
        drawing = drawing_of(self.nodes, self.outputs)
        return view_of(drawing, depth=auto_depth(drawing) if depth is None else depth)

    def _repr_html_(self) -> str:
        return html_of(self, None, whole=False)

    def __str__(self) -> str:
        return table_of(self)


def trace(
    function: Function,
    *args: Any,
    rules: Rules | None = None,
    custom_rules: CustomRules = "honour",
) -> Graph:
    """Record one run of a function, with the value of every gate.

    The function is run gate by gate, its loops step by step. `backward()` on the result adds the
    gradients. It shows itself in a notebook, `save` writes a picture, `print` a table.

    Args:
        function: of arrays in any trees.
        args: what it is run on; numbers, not traced values.
        rules: as for `purebp.vjp`.
        custom_rules: as for `purebp.vjp`.

    Raises:
        ArgumentError: if it is called under jit.

    >>> g = trace(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0).backward()
    >>> float(g["add"].value), float(g["add"].cotangent)
    (3.0, -4.0)
    >>> float(g["x"].cotangent), float(g["z"].cotangent)
    (-4.0, 3.0)
    >>> [float(slope) for slope in g["mul"].local]
    [-4.0, 3.0]
    """
    return Graph(function, args, rules, custom_rules)
