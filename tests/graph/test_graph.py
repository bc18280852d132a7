"""The graphs of the lecture, with their numbers; and what a graph knows and refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import purebp
from purebp.errors import ArgumentError, OptionError

W = jnp.array([[0.1, 0.5], [-0.3, 0.8]])


def neuron(w0, x0, w1, x1, w2):
    return 1 / (1 + jnp.exp(-(w0 * x0 + w1 * x1 + w2)))


def loop(w, xs):
    def step(h, x):
        h = jnp.tanh(w * h + x)
        return h, h

    h, ys = lax.scan(step, 0.0, xs)
    return h + jnp.sum(ys)


PROGRAMS = {
    "neuron": (neuron, (2.0, -1.0, -3.0, -2.0, -3.0)),
    "square": (lambda w, x: jnp.sum((w @ x) ** 2), (W, jnp.array([0.2, 0.4]))),
    "loop": (loop, (0.5, jnp.array([1.0, 2.0, -1.0]))),
    "rule": (lambda x: jnp.sum(jax.nn.relu(x) * x), (jnp.array([-1.0, 2.0]),)),
    "call": (lambda x: 2 * jax.jit(jnp.var)(x), (jnp.array([1.0, 2.0, 4.0]),)),
    "branch": (lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x), (2.0,)),
    "same twice": (lambda a, b: a * b, (jnp.asarray(3.0),) * 2),
    "tree": (lambda p: p["a"] * jnp.sum(p["b"][0]), ({"a": 2.0, "b": (jnp.ones(3),)},)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients_are_those_of_the_function(name):
    function, args = PROGRAMS[name]
    graph = purebp.trace(function, *args).backward()
    np.testing.assert_allclose(graph.value, function(*args), rtol=1e-6)
    expected = jax.tree.leaves(jax.grad(function, tuple(range(len(args))))(*args))
    for node, bar in zip(graph.inputs, expected, strict=True):
        np.testing.assert_allclose(node.cotangent, bar, rtol=1e-5, err_msg=node.name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_add_up_where_a_value_branches(name):
    function, args = PROGRAMS[name]
    graph = purebp.trace(function, *args).backward()
    users = [*graph.nodes, *graph.outputs]
    for node in graph.nodes:
        edges = [e for user in users for e in user.operands if e.sources == ((node, 0),)]
        whole = all(edge.value.shape == node.value.shape for edge in edges)
        if node.cotangent is not None and edges and whole and name != "loop":
            total = sum(edge.bar for edge in edges if edge.bar is not None)
            np.testing.assert_allclose(total, node.cotangent, rtol=1e-5, err_msg=node.name)


def test_each_edge_is_the_cotangent_times_the_local_gradient():
    graph = purebp.trace(neuron, 2.0, -1.0, -3.0, -2.0, -3.0).backward()
    for node in graph.nodes:
        for operand, slope in zip(node.operands, node.local, strict=True):
            if slope is not None:
                np.testing.assert_allclose(operand.bar, node.cotangent * slope, rtol=1e-5)


def test_the_first_example_of_the_lecture():
    graph = purebp.trace(lambda x, y, z: (x + y) * z, -2.0, 5.0, -4.0).backward()
    assert (float(graph["add"].value), float(graph.value)) == (3, -12)
    assert float(graph["add"].cotangent) == -4
    assert [float(graph[name].cotangent) for name in "xyz"] == [-4, -4, 3]


def test_the_switcher_of_the_lecture():
    graph = purebp.trace(lambda x, y: x * y, 3.0, 4.0).backward(jnp.asarray(5.0))
    assert [float(graph[name].cotangent) for name in "xy"] == [20, 15]
    assert graph["mul"].role.part == "switcher"


def test_the_neuron_of_the_lecture_node_by_node_and_as_one_gate():
    args = (2.0, -1.0, -3.0, -2.0, -3.0)
    graph = purebp.trace(neuron, *args).backward()
    assert [node.operation for node in graph.nodes] == [
        *("mul", "mul", "add", "add", "neg", "exp", "add", "div")
    ]
    got = [round(float(node.cotangent), 2) for node in graph.inputs]
    assert round(float(graph.value), 2) == 0.73
    assert got == [-0.20, 0.39, -0.39, -0.59, 0.20]

    def closed(w0, x0, w1, x1, w2):
        return jax.nn.sigmoid(w0 * x0 + w1 * x1 + w2)

    again = purebp.trace(closed, *args).backward()
    assert [round(float(node.cotangent), 2) for node in again.inputs] == got


def test_the_vectors_of_the_lecture():
    graph = purebp.trace(lambda w, x: jnp.sum((w @ x) ** 2), W, jnp.array([0.2, 0.4])).backward()
    np.testing.assert_allclose(graph["dot_general"].value, [0.22, 0.26], rtol=1e-6)
    np.testing.assert_allclose(graph.value, 0.116, rtol=1e-6)
    np.testing.assert_allclose(graph["w"].cotangent, [[0.088, 0.176], [0.104, 0.208]], rtol=1e-5)
    np.testing.assert_allclose(graph["x"].cotangent, [-0.112, 0.636], rtol=1e-5)
    matrix, vector = graph["dot_general"].local
    assert matrix.shape == (2, 2, 2)
    np.testing.assert_allclose(vector, W)


def test_a_local_gradient_that_would_be_huge_is_not_built():
    graph = purebp.trace(lambda x: jnp.sum(x @ x), jnp.ones((64, 64)))
    with pytest.raises(ArgumentError, match="4096 x 4096 entries; it is never built"):
        _ = graph["dot_general"].local


def test_a_wrong_custom_rule_shows_and_can_be_opened():
    @jax.custom_vjp
    def double(x):
        return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda _, y_bar: (7 * y_bar,))
    assert float(purebp.trace(double, 1.0).backward()["x"].cotangent) == 7
    opened = purebp.trace(double, 1.0, custom_rules="open").backward()
    assert float(opened["x"].cotangent) == 2


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda g: g["x"].cotangent, r"x: no gradients yet; call backward\(\)"),
        (lambda g: g["sin_7"], r"no node 'sin_7'; did you mean sin\?"),
        (lambda g: g.backward(), r"returned an array of shape \(2,\); backward\(\) needs one real"),
        (lambda g: g.backward(jnp.ones(3)), r"y_bar has shapes \(3,\); expected .* \(2,\)"),
        (lambda g: g["x"].local, "x: a local gradient is that of a gate"),
        (lambda g: g.save("f.gif"), r"f.gif: expected a name that ends in .svg, .png or .html"),
    ],
)
def test_what_is_refused(run, message):
    graph = purebp.trace(jnp.sin, jnp.ones(2))
    with pytest.raises((ArgumentError, OptionError), match=message):
        run(graph)


def test_it_is_refused_under_jit():
    with pytest.raises(ArgumentError, match="traced; call it with numbers"):
        jax.jit(lambda x: purebp.trace(jnp.sin, x).value)(1.0)


def test_a_table_has_a_line_for_each_node():
    args = jnp.ones(3), jnp.float32(2.0)
    text = str(purebp.trace(lambda x, y: jnp.sum(x) * y, *args).backward())
    rows = [line.split() for line in text.splitlines()]
    assert ["x", "3", "rms", "1", "3", "rms", "2"] in rows
    (row,) = (row for row in rows if row[0] == "mul")
    assert row[:6] == ["mul", "reduce_sum,", "y", "6", "1", "switcher"]
    assert "test_graph.py:" in row[6]


def test_complex_numbers_keys_and_integers_are_shown():
    def function(key, n, z):
        return jnp.sum(jnp.abs(z * jax.random.normal(key, (2,)))) * n

    graph = purebp.trace(function, jax.random.key(0), 3, jnp.array([1 + 1j, 2j])).backward()
    assert graph["key"].cotangent is None
    assert graph["n"].cotangent is None
    assert graph["z"].cotangent.dtype == jnp.complex64
    assert "complex64" not in str(graph)  # shapes and sizes only
    assert graph.to_svg().count("<svg") == 1


def test_sixteen_bits_are_shown_and_a_page_is_the_same_each_time():
    def function(x):
        return jnp.sum(jnp.tanh(x) * x)

    x = jnp.linspace(-1, 1, 40, dtype=jnp.bfloat16)
    pages = [purebp.trace(function, x).backward().to_html() for _ in range(2)]
    assert pages[0] == pages[1]
    assert "bfloat16" not in str(purebp.trace(function, x))
    assert pages[0].count("<rect") > 20
