"""A view as SVG: values in green, above; gradients in red, below; gates as circles and boxes."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from purebp.graph.labels import local_of, part_of, sign_of, tooltip_of
from purebp.graph.layout import Layout, Route, Size, laid_out
from purebp.graph.node import Box, Node
from purebp.graph.numbers import norm, norm_of_all, short, thumbnail
from purebp.graph.view import Bundle, Edge, Shown, View

VALUE, GRADIENT, LOCAL = "#1a7f37", "#c62828", "#0550ae"
INK, GREY, PALE = "#24292f", "#8c959f", "#f6f8fa"
MARGIN = 12.0
CIRCLE = 44.0
THUMB: Size = (56.0, 28.0)
CHARACTER = 7.0
SAMPLES = 16
FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"


def picture_of(view: View) -> str:
    """The view as one SVG document."""
    sizes = {each: _size(each, view) for each in [*view.around, *view.shown]}
    labels = {edge: _label_size(edge) for edge in view.edges if _has_label(edge)}
    round_ones = {each for each in view.shown if _is_scalar(each)}
    layout = laid_out(view, sizes, labels, round_ones)
    width, height = (side + 2 * MARGIN for side in layout.size)
    parts = [_open_box(box, corners) for box, corners in layout.boxes.items()]
    parts += [_edge(*pair) for pair in zip(view.edges, layout.routes, strict=True)]
    parts += [_thing(each, layout, sizes[each], view) for each in sizes]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{FONT}" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<g transform="translate({MARGIN},{MARGIN})">\n' + "\n".join(parts) + "\n</g>\n</svg>\n"
    )


def _is_scalar(node: Shown) -> bool:
    if not isinstance(node, Node):
        return False
    values = [*node.values, *(operand.value for operand in node.operands)]
    return all(not np.shape(value) for value in values)


def _is_end(each: Shown, view: View) -> bool:
    """Whether it is an argument, an output, or something outside of the box that is drawn."""
    return isinstance(each, Node) and (each.kind != "gate" or each in view.around)


def _size(each: Shown, view: View) -> Size:
    if isinstance(each, Bundle):
        return max(100.0, CHARACTER * len(each.name) + 16), 44.0
    if isinstance(each, Box):
        width = max(90.0, CHARACTER * len(each.name) + 24)
        opaque = view.result(each) is None
        return (width, 46.0) if opaque else (max(2 * THUMB[0] + 24, width), THUMB[1] + 50)
    if _is_end(each, view) and not np.shape(each.values[0]):
        return max(26.0, CHARACTER * len(each.name) + 8), 20.0
    if _is_scalar(each):
        return max(CIRCLE, CHARACTER * len(sign_of(each)) + 14), CIRCLE
    title = each.name if _is_end(each, view) else sign_of(each)
    return max(2 * THUMB[0] + 18, CHARACTER * len(title) + 16), THUMB[1] + 44


def _has_label(edge: Edge) -> bool:
    return not np.shape(edge.value)


def _label_size(edge: Edge) -> Size:
    longest = max(len(short(edge.value)), len(short(edge.bar)))
    return CHARACTER * longest + 6, 30.0


def _thing(each: Shown, layout: Layout, size: Size, view: View) -> str:
    x, y = layout.middles[each]
    title = f"<title>{escape(tooltip_of(each, view))}</title>"
    if isinstance(each, Box):
        drawn = _closed_box(each, view, x, y, size)
        return f'<g class="box" data-box="{each.number}">{title}{drawn}</g>'
    if isinstance(each, Bundle):
        drawn = _bundle(each, x, y, size)
    elif _is_end(each, view) and not np.shape(each.values[0]):
        drawn = _text(x, y + 4, each.name, INK, "bold")
    elif _is_scalar(each):
        drawn = _circle(each, x, y, size)
    else:
        drawn = _array(each, x, y, size, view)
    return f"<g>{title}{drawn}</g>"


def _circle(node: Node, x: float, y: float, size: Size) -> str:
    rx, ry = size[0] / 2, size[1] / 2
    oval = f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" fill="#fff" '
    oval += f'stroke="{INK}"/>' + _text(x, y + 4, sign_of(node), INK, "bold", 13)
    lines = [(part_of(node), GREY), (local_of(node), LOCAL)]
    below = [(text, ink) for text, ink in lines if text]
    return oval + "".join(
        _text(x, y + ry + 9 + 10 * row, text, ink, size=8) for row, (text, ink) in enumerate(below)
    )


def _array(node: Node, x: float, y: float, size: Size, view: View) -> str:
    left, top = x - size[0] / 2, y - size[1] / 2
    fill = PALE if _is_end(node, view) else "#fff"
    frame = _frame(left, top, size, 6, f'fill="{fill}" stroke="{INK}"')
    title = node.name if _is_end(node, view) else sign_of(node)
    parts = [frame, _text(x, top + 14, title, INK, "bold")]
    part = part_of(node) or short(node.values[0])
    parts.append(_text(x, top + 25, part, GREY, size=8))
    return "".join([*parts, *_thumbs(node, x, top + 29)])


def _thumbs(node: Node, x: float, top: float) -> list[str]:
    """The value, and the gradient beside it where there is one."""
    bar = node.bars[0] if node.bars else None
    if bar is None:
        return _thumb(node.values[0], x - THUMB[0] / 2, top, VALUE)
    return [
        *_thumb(node.values[0], x - THUMB[0] - 3, top, VALUE),
        *_thumb(bar, x + 3, top, GRADIENT),
    ]


def _thumb(value: Any, left: float, top: float, ink: str) -> list[str]:
    array = np.asarray(value)
    if not array.shape:
        return [_text(left + THUMB[0] / 2, top + 17, short(array), ink)]
    length = f"|·| {norm(array):.2g}"
    below = _text(left + THUMB[0] / 2, top + THUMB[1] + 9, length, ink, size=8)
    return [thumbnail(array, left, top, *THUMB, ink), below]


def _bundle(bundle: Bundle, x: float, y: float, size: Size) -> str:
    left, top = x - size[0] / 2, y - size[1] / 2
    frame = _frame(left, top, size, 6, f'fill="{PALE}" stroke="{INK}"')
    frame += _text(x, top + 14, bundle.name, INK, "bold")
    frame += _text(x, top + 25, f"{len(bundle.nodes)} arrays", GREY, size=8)
    values = [node.values[0] for node in bundle.nodes]
    bars = [node.bars[0] for node in bundle.nodes if node.bars and node.bars[0] is not None]
    below = _text(x - size[0] / 4, top + 38, f"|·| {norm_of_all(values):.2g}", VALUE, size=8)
    if bars:
        below += _text(x + size[0] / 4, top + 38, f"|·| {norm_of_all(bars):.2g}", GRADIENT, size=8)
    return frame + below


def _closed_box(box: Box, view: View, x: float, y: float, size: Size) -> str:
    left, top = x - size[0] / 2, y - size[1] / 2
    paint = f'fill="{PALE}" stroke="{INK}"'
    frames = "".join(
        _frame(left + d, top + d, (size[0] - 2 * d, size[1] - 2 * d), 8, paint) for d in (0.0, 3.0)
    )
    gates = f"{len(view.inside[box])} gates" if box in view.inside else "outside"
    result = view.result(box)
    title = y if result is None else top + 17
    thumbs = [] if result is None else _thumbs(result, x, top + 33)
    words = _text(x, title, box.name, INK, "bold") + _text(x, title + 12, gates, GREY, size=8)
    return "".join([frames, words, *thumbs])


def _open_box(box: Box, corners: Sequence[float]) -> str:
    left, top, width, height = corners
    paint = 'fill="#57606a" fill-opacity="0.06" stroke="#8c959f" stroke-dasharray="4 3"'
    frame = _frame(left, top, (width, height), 8, paint)
    name = f'<text x="{left + 8:.1f}" y="{top + 14:.1f}" fill="#57606a">{escape(box.name)}</text>'
    return frame + name


def _frame(left: float, top: float, size: Size, radius: float, paint: str) -> str:
    corner, sides = f'x="{left:.1f}" y="{top:.1f}"', f'width="{size[0]:.1f}" height="{size[1]:.1f}"'
    return f'<rect {corner} {sides} rx="{radius}" {paint}/>'


def _edge(edge: Edge, route: Route) -> str:
    start, *rest = route.curve
    curve = f"M{start[0]:.1f},{start[1]:.1f} C" + " ".join(f"{x:.1f},{y:.1f}" for x, y in rest)
    line = f'<path d="{curve}" fill="none" stroke="#57606a"/>'
    return line + _arrow(route.curve[-1], route.tip) + _edge_label(edge, route)


def _arrow(end: Size, tip: Size) -> str:
    along = np.subtract(tip, end)
    side = 0.4 * np.array([-along[1], along[0]])
    corners = [np.asarray(tip), end + side, end - side]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}" fill="#57606a"/>'


def _edge_label(edge: Edge, route: Route) -> str:
    if not _has_label(edge):
        return ""
    x, y = _middle(route.curve)
    back = "" if edge.bar is None else _text(x, y + 13, short(edge.bar), GRADIENT)
    return _text(x, y - 5, short(edge.value), VALUE) + back


def _middle(curve: Sequence[Size]) -> Size:
    """The point half way along Bezier curves that follow each other."""
    t = np.linspace(0.0, 1.0, SAMPLES)[:, None]
    weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
    knots = np.asarray(curve)
    pieces = [knots[first : first + 4] for first in range(0, len(knots) - 1, 3)]
    points = np.concatenate(
        [sum(w * p for w, p in zip(weights, piece, strict=True)) for piece in pieces]
    )
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    x, y = points[int(np.searchsorted(way, way[-1] / 2))]
    return float(x), float(y)


def _text(x: float, y: float, text: str, ink: str, weight: str = "normal", size: float = 11) -> str:
    if not text:
        return ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="middle">{escape(text)}</text>'
    )
