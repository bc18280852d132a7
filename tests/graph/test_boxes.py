"""Which gates are in one box: functions, calls, steps; each call of a function apart."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

import purebp
from purebp.graph.view import drawing_of, view_of


def norm(x, g, b):
    return (x - x.mean()) / jnp.sqrt(x.var() + 1e-5) * g + b


def block(p, x):
    return x + jnp.tanh(norm(x, p["g"], p["b"]))


def stacked(params, x):
    for p in params:
        x = block(p, x)
    return jnp.sum(x)


PARAMS = [{"g": jnp.ones(3), "b": jnp.zeros(3), "c": jnp.zeros(3)} for _ in range(3)]
X = jnp.arange(6.0).reshape(2, 3)


def closed_boxes(graph, depth=0):
    view = view_of(drawing_of(graph.nodes, graph.outputs), depth=depth)
    return [box.name for box in view.inside]


def test_a_function_in_a_loop_is_a_box_each_time():
    graph = purebp.trace(stacked, PARAMS, X)
    assert closed_boxes(graph) == ["block"] * 3
    assert closed_boxes(graph, depth=1) == ["norm"] * 3


def test_two_calls_on_one_line_are_two_boxes():
    graph = purebp.trace(lambda x: jnp.sum(norm(x, 1.0, 0.0) + norm(x * 2, 1.0, 0.0)), X)
    assert closed_boxes(graph) == ["norm", "norm"]


def test_what_a_function_does_between_calls_is_in_its_box():
    graph = purebp.trace(stacked, PARAMS, X)
    boxes = {id(gate.boxes[0]) for gate in graph.nodes if gate.boxes}
    assert len(boxes) == len(PARAMS)


def test_calls_and_the_steps_of_loops_are_boxes():
    def step(h, x):
        h = jnp.tanh(h * x)
        return h, h

    @jax.jit
    def head(y):
        return jnp.sum(y**2)

    def model(x):
        return head(lax.scan(step, jnp.ones(3), x)[1])

    graph = purebp.trace(model, X)
    assert closed_boxes(graph) == ["scan", "head"]
    assert closed_boxes(graph, depth=1) == ["step 0", "step 1"]


def test_modules_are_boxes_and_their_plumbing_is_not():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(nn.relu(nn.Dense(4)(x)))

    net = Net()
    params = net.init(jax.random.key(0), X)
    graph = purebp.trace(lambda params: jnp.sum(net.apply(params, X)), params)
    names = {tuple(box.name for box in gate.boxes) for gate in graph.nodes}
    assert {("Net",), ("Net", "Dense")} <= {name[:1] + name[1:2] for name in names}
    assert all(name[:1] in ((), ("Net",)) for name in names)
