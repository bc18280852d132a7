"""The pictures: what is in them, what is left out, and that they are files that open."""

import struct
import xml.etree.ElementTree as ET

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.errors import MissingPackageError
from purebp.graph.layout import laid_out
from purebp.graph.picture import picture_of
from purebp.graph.view import MOST, auto_depth, drawing_of, is_wire, view_of
from tests.graph.test_boxes import PARAMS, X, stacked
from tests.graph.test_graph import W, neuron

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return [node.text for node in ET.fromstring(svg).iter(f"{SVG}text")]


def test_the_picture_of_the_lecture():
    graph = purebp.trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0).backward()
    shown = texts(graph.to_svg())
    for text in ("w0", "2", "-0.20", "1.37", "-0.53", "0.73", "+ 1", "1/x", "exp", "output"):
        assert text in shown, text
    assert shown.count("switcher") == 2  # the two products; 1/x has nothing to switch
    assert "∂ -1, 2" in shown
    colours = {node.get("fill") for node in ET.fromstring(graph.to_svg()).iter(f"{SVG}text")}
    assert {"#1a7f37", "#c62828"} <= colours


def test_before_the_backward_pass_there_are_no_gradients():
    svg = purebp.trace(lambda x, y: x * y, 3.0, 4.0).to_svg()
    assert "#c62828" not in svg


def test_small_arrays_are_written_out_and_others_are_drawn():
    graph = purebp.trace(lambda w, x: jnp.sum((w @ x) ** 2), W, jnp.array([0.2, 0.4])).backward()
    assert {"0.088", "0.176", "-0.112", "0.636"} <= set(texts(graph.to_svg()))
    large = purebp.trace(lambda x: jnp.sum(jnp.sin(x)), jnp.arange(1000.0)).backward()
    assert large.to_svg().count("<rect") > 20
    odd = purebp.trace(lambda x: jnp.sum(jnp.log(x)), jnp.array([[1.0, -1, 0, 2, 3]])).backward()
    assert "#000" in odd.to_svg()


def test_nothing_overlaps():
    graph = purebp.trace(stacked, PARAMS, X).backward()
    view = view_of(drawing_of(graph.nodes, graph.outputs), depth=1)
    things = [*view.around, *view.shown]
    sizes = dict.fromkeys(things, (80.0, 40.0))
    layout = laid_out(view, sizes, {}, set())
    places = np.array([layout.middles[each] for each in things])
    for k, (x, y) in enumerate(places):
        others = np.delete(places, k, axis=0)
        assert np.all((abs(others[:, 0] - x) >= 79) | (abs(others[:, 1] - y) >= 39))
    for each, path in view.shown.items():
        for box in path:
            left, top, width, height = layout.boxes[box]
            x, y = layout.middles[each]
            assert left < x < left + width
            assert top < y < top + height


def test_wires_and_what_depends_on_nothing_are_left_out():
    def function(x):
        mask = jnp.arange(6) > 2
        return jnp.sum(jnp.where(mask, jnp.reshape(x, 6)[None], 0.0) * 2)

    graph = purebp.trace(function, X)
    drawing = drawing_of(graph.nodes, graph.outputs)
    assert [gate.operation for gate in drawing.gates] == ["select_n", "mul", "reduce_sum"]
    assert any(is_wire(node) for node in graph.nodes)
    view = view_of(drawing)
    assert {(e.start.name, e.end.name) for e in view.edges if e.start.name == "x"} == {
        ("x", view.edges[0].end.name)
    }


def test_the_weights_of_a_box_are_one():
    graph = purebp.trace(lambda p, x: jnp.sum(three(p, x) * three(p, x)), THREE, X)
    shown = texts(graph.to_svg(depth=0))
    assert "p" in shown or "p.w" in shown
    graph = purebp.trace(lambda layers, x: jnp.sum(three(layers[0], x)), [THREE], X).backward()
    view = view_of(drawing_of(graph.nodes, graph.outputs))
    names = {edge.start.name: edge for edge in view.edges}
    assert "layers[0]" in names
    assert "3 arrays" in texts(picture_of(view))


THREE = {"w": jnp.eye(3), "g": jnp.ones(3), "b": jnp.zeros(3)}


def three(p, x):
    return jnp.tanh(x @ p["w"]) * p["g"] + p["b"]


def test_the_picture_of_a_large_graph_is_closed_until_it_can_be_read():
    graph = purebp.trace(stacked, PARAMS * 8, X)
    drawing = drawing_of(graph.nodes, graph.outputs)
    assert auto_depth(drawing) == 0
    assert len(view_of(drawing).shown) <= MOST < len(drawing.gates)
    assert len(view_of(drawing, depth=9).shown) == len(drawing.gates)


def test_the_gradient_into_a_closed_box_is_the_sum_of_its_gates():
    def twice(x):
        return jnp.sin(x) + jnp.cos(x)

    graph = purebp.trace(lambda x: 2.0 * twice(3.0 * x), 1.0).backward()
    view = view_of(drawing_of(graph.nodes, graph.outputs))
    (edge,) = (edge for edge in view.edges if edge.end.name == "twice")
    np.testing.assert_allclose(edge.bar, 2 * (jnp.cos(3.0) - jnp.sin(3.0)), rtol=1e-5)


@pytest.mark.parametrize("ending", ["svg", "png", "html"])
def test_a_file_of_each_kind(tmp_path, ending):
    graph = purebp.trace(stacked, PARAMS, X).backward()
    data = graph.save(tmp_path / f"f.{ending}").read_bytes()
    if ending == "png":
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", data[16:24])
        assert width > height > 100
    else:
        assert b"block" in data
        assert data.startswith(b"<svg" if ending == "svg" else b"<!doctype html>")


def test_each_closed_box_has_a_panel_that_opens():
    graph = purebp.trace(stacked, PARAMS, X).backward()
    page = graph.to_html(depth=0)
    boxes = {part.split('"')[0] for part in page.split('<g class="box" data-box="')[1:]}
    panels = {part.split('"')[0] for part in page.split('<details data-box="')[1:]}
    assert len(boxes) >= 6  # three blocks and their norms
    assert boxes == panels
    assert graph._repr_html_().startswith('<div class="purebp">')


def test_around_an_open_box_are_the_boxes_next_to_it():
    graph = purebp.trace(stacked, PARAMS, X).backward()
    drawing = drawing_of(graph.nodes, graph.outputs)
    first, second, _ = view_of(drawing).inside
    view = view_of(drawing, (second,))
    assert {"norm"} == {box.name for box in view.inside}
    assert first in view.around
    assert "outside" in texts(picture_of(view))


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pygraphviz", None)
    with pytest.raises(MissingPackageError, match=r"pygraphviz.*install 'purebp\[graph\]'"):
        purebp.trace(jnp.sin, 1.0).to_svg()


def test_integers_alone_are_drawn_too():
    assert "argmax" in texts(purebp.trace(jnp.argmax, jnp.arange(3.0)).to_svg())


def test_thousands_of_gates():
    def long(x):
        return jax.lax.scan(lambda h, _: (jnp.sin(h) * 1.01, None), x, None, length=1000)[0]

    graph = purebp.trace(long, 1.0).backward()
    assert len(graph.nodes) == 2000
    assert "scan" in texts(graph.to_svg())
    assert len(graph.to_html()) < 10_000_000
