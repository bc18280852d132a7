"""A graph as a page: its picture, and the inside of each box, which opens by a click."""

from html import escape
from typing import TYPE_CHECKING

from purebp.graph.picture import picture_of
from purebp.graph.view import Drawing, View, auto_depth, drawing_of, view_of

if TYPE_CHECKING:
    from purebp.graph.graph import Graph

MOST_PANELS = 150
"""Boxes that can be opened; in a larger graph the inner ones stay closed."""

STYLE = """
.purebp { font-family: Verdana, sans-serif; font-size: 13px; color: #24292f; }
.purebp svg { max-width: none; }
.purebp .scroll { overflow: auto; border: 1px solid #d0d7de; border-radius: 6px; margin: 4px 0; }
.purebp details { margin-left: 12px; }
.purebp summary { cursor: pointer; }
.purebp .box { cursor: pointer; }
.purebp .box:hover rect { stroke: #0969da; stroke-width: 2; }
.purebp .value { color: #1a7f37; } .purebp .gradient { color: #c62828; }
"""

SCRIPT = """
document.currentScript?.parentElement.addEventListener("click", event => {
  const box = event.target.closest(".box");
  if (!box) return;
  const panel = event.currentTarget.querySelector(`details[data-box="${box.dataset.box}"]`);
  if (!panel) return;
  panel.open = !panel.open;
  for (let up = panel.parentElement; up; up = up.parentElement)
    if (up.tagName === "DETAILS") up.open = true;
  if (panel.open) panel.scrollIntoView({ behavior: "smooth", block: "nearest" });
});
"""
LEGEND = (
    '<span class="value">values forward</span>, <span class="gradient">gradients backward</span>'
)


def html_of(graph: "Graph", depth: int | None, *, whole: bool = True) -> str:
    """A page, or a piece of one for a notebook."""
    drawing = drawing_of(graph.nodes, graph.outputs)
    view = view_of(drawing, depth=auto_depth(drawing) if depth is None else depth)
    left = [MOST_PANELS]
    hint = "; click a box to open it" if view.inside else ""
    body = (
        f'<div class="purebp"><style>{STYLE}</style><b>{escape(graph.name)}</b>: {LEGEND}{hint}'
        f"{_scrolling(view)}{_panels(view, drawing, left)}"
        f"<script>{SCRIPT}</script></div>"
    )
    if not whole:
        return body
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(graph.name)}</title></head><body>{body}</body></html>\n"
    )


def _scrolling(view: View) -> str:
    return f'<div class="scroll">{picture_of(view)}</div>'


def _panels(view: View, drawing: Drawing, left: list[int]) -> str:
    """A panel for each closed box of a view, and in it those of its own."""
    panels = list[str]()
    for box, gates in view.inside.items():
        if not left[0]:
            break
        left[0] -= 1
        path = gates[0].boxes[: gates[0].boxes.index(box) + 1]
        inner = view_of(drawing, path)
        name = " / ".join(escape(each.name) for each in path)
        panels.append(
            f'<details data-box="{box.number}"><summary>{name} ({len(gates)} gates)</summary>'
            f"{_scrolling(inner)}{_panels(inner, drawing, left)}</details>"
        )
    return "".join(panels)
