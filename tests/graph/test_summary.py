"""The summary: vanishing and exploding gradients, dead ReLUs, the first nan."""

import jax
import jax.numpy as jnp

import purebp


def deep(weights, x):
    for w in weights:
        x = jax.nn.sigmoid(x @ w)
    return jnp.sum(x)


X = jnp.ones((2, 4))


def notes(graph):
    return {row.name: row.note for row in graph.summary().rows}


def test_gradients_vanish_in_a_deep_net_of_sigmoids():
    weights = [0.1 * jnp.eye(4)] * 12
    found = notes(purebp.trace(deep, weights, X).backward())
    assert found["weights[0]"] == "vanishing"
    assert found["weights[11]"] == ""


def test_gradients_explode():
    def growing(x):
        for _ in range(10):
            x = 10.0 * x
        return x

    graph = purebp.trace(growing, 1.0).backward()
    assert notes(graph)["x"] == "exploding"
    assert notes(graph)["mul_10"] == ""
    assert "exploding" in str(graph.summary())


def test_dead_relus_are_counted():
    for relu in (jax.nn.relu, lambda x: jnp.maximum(x, 0.0)):
        graph = purebp.trace(lambda b, r=relu: jnp.sum(r(X + b)), jnp.array([1.0, -2, -3, 4]))
        (dead,) = graph.summary().dead
        assert (dead.zeros, dead.units) == (0.5, 0.5)
        assert "50% of its outputs are 0, 50% of its units are dead" in str(graph.summary())


def test_the_first_nan_has_its_line_and_a_cure():
    summary = purebp.trace(lambda x: jnp.sqrt(x) * 2, 0.0).backward().summary()
    assert summary.value is None
    assert summary.cotangent is not None
    assert summary.cotangent.primitive == "sqrt"
    assert "test_summary.py" in summary.cotangent.line
    assert "add a small number under the root" in str(summary)
    summary = purebp.trace(jnp.log, 0.0).summary()
    assert summary.value is not None
    assert summary.value.primitive == "log"
    assert summary.rows == ()


def test_integers_among_the_outputs_have_no_gradient():
    graph = purebp.trace(lambda x: (jnp.sum(x), jnp.argmax(x)), jnp.array([1.0, 3.0]))
    graph.backward((jnp.float32(1.0), jnp.int32(0)))
    assert notes(graph)["x"] == ""


def test_a_long_summary_shows_what_is_noteworthy():
    weights = [0.1 * jnp.eye(4)] * 30
    text = str(purebp.trace(deep, weights, X).backward().summary())
    assert "nodes 4" not in text
    assert len(text.splitlines()) < 40
