"""Random programs: purebp.grad against jax.grad, and against differences in float64."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax

import purebp
from purebp.autodiff import Rule
from purebp.compat import enable_x64, jit_once

RTOL = 1e-9
STEP = 1e-6
ROWS = jnp.asarray([2, 0, 2])


class Node(NamedTuple):
    """A step of a program: what is done, with which of the values that there are."""

    name: str
    first: int
    second: int


def wide(x):
    """Any value as one of shape (3, 4), by broadcasting."""
    return jnp.broadcast_to(x if x.ndim < 2 or x.shape[0] in (1, 3) else x.T, (3, 4))


def recurrence(x, y):
    def step(carry, row):
        carry = jnp.tanh(carry + row * y[0])
        return carry, carry * row

    last, rows = lax.scan(step, y[1], x)
    return rows + last


def halves(x, y):
    return lax.cond(jnp.sum(x) > 0, lambda x, y: jnp.sin(x) * y, lambda x, y: x - y**2, x, y)


def branching_loop(x, y):
    def step(carry, k):
        return lax.switch(k % 3, [jnp.sin, lambda c: 0.5 * c, lambda c: c * y], carry), None

    return lax.scan(step, x, jnp.arange(4))[0]


@jax.jit
def block(x, y):
    """Large enough to be kept where it is called twice."""
    h = jnp.tanh(x * y[0]) + jnp.exp(-jnp.square(y))
    return jnp.sin(h) / (1 + jnp.sum(h * h)) + x


STEPS = {
    "sin": lambda x, _: jnp.sin(x),
    "tanh": lambda x, _: jnp.tanh(x),
    "bell": lambda x, _: jnp.exp(-jnp.square(x)),
    "softmax": lambda x, _: jax.nn.softmax(x, axis=-1),
    "add": jnp.add,
    "subtract": jnp.subtract,
    "multiply": lambda x, y: jnp.tanh(x) * y,
    "divide": lambda x, y: x / (2 + jnp.sin(y)),
    "maximum": jnp.maximum,
    "where": lambda x, y: jnp.where(x > y, x * y, y),
    "rows": lambda x, _: jnp.sum(x, axis=0),
    "mean": lambda x, _: jnp.mean(x, axis=1, keepdims=True),
    "largest": lambda x, _: jnp.max(x, axis=1, keepdims=True),
    "number": lambda x, _: jnp.sum(x * x) / 12,
    "take": lambda x, _: x[ROWS],
    "slice": lambda x, y: jnp.concatenate([x[1:], y[:1]]),
    "set": lambda x, y: x.at[ROWS[:2]].add(y[0]),
    "product": lambda x, y: jnp.sin(x @ y.T) @ x / 3,
    "cumulative": lambda x, _: jnp.cumsum(x, axis=1) / 4,
    "sorted": lambda x, _: jnp.sort(x, axis=1),
    "scan": recurrence,
    "cond": halves,
    "switch in scan": branching_loop,
    "jit": jax.jit(lambda x, y: jnp.sin(x) + y),
    "jit twice": lambda x, y: block(block(x, y), block(y, x)),
    "checkpoint": jax.checkpoint(lambda x, y: jnp.sin(jnp.sin(x) * y)),
    "vmap": jax.vmap(lambda x, y: x * jnp.dot(x, y) / 4),
}

PROGRAMS = st.lists(
    st.builds(Node, st.sampled_from(list(STEPS)), st.integers(0, 9), st.integers(0, 9)),
    min_size=1,
    max_size=8,
)


def loss_of(program):
    def loss(x, y, s):
        values = [x, y, s]
        for node in program:
            pair = (wide(values[k % len(values)]) for k in (node.first, node.second))
            values.append(STEPS[node.name](*pair))
        return sum(jnp.sum(jnp.sin(value)) for value in values)

    return loss


def arguments(seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((3, 4)), rng.standard_normal(4), rng.standard_normal()


@given(PROGRAMS, st.integers(0, 2**16))
@settings(suppress_health_check=list(HealthCheck), max_examples=15)
def test_a_gradient_is_that_of_jax_and_of_differences(program, seed):
    loss, args = loss_of(program), arguments(seed)
    along = [np.cos(np.arange(np.size(x)) + seed).reshape(np.shape(x)) for x in args]

    def derive(args, along):
        ours, plain = (d(loss, (0, 1, 2))(*args) for d in (purebp.grad, jax.grad))
        steps = jnp.asarray([-2.0, -1.0, 1.0, 2.0]) * STEP
        moved = [
            loss(*(x + step * move for x, move in zip(args, along, strict=True))) for step in steps
        ]
        return ours, plain, jnp.stack(moved)

    with enable_x64(True):
        found = jit_once(derive)(tuple(map(jnp.asarray, args)), along)
    ours, plain, moved = jax.tree.map(np.asarray, found)
    for came, expected in zip(ours, plain, strict=True):
        atol = RTOL * (1 + np.max(np.abs(expected)))
        np.testing.assert_allclose(came, expected, rtol=RTOL, atol=atol)
    slope = sum(np.sum(bar * move) for bar, move in zip(ours, along, strict=True))
    size = 1 + sum(np.sum(np.abs(bar * move)) for bar, move in zip(ours, along, strict=True))
    inner, outer = (moved[2] - moved[1]) / (2 * STEP), (moved[3] - moved[0]) / (4 * STEP)
    if abs(inner - outer) < 1e-6 * size:  # else a kink or a jump lies between
        assert abs(slope - inner) < 1e-5 * size


def test_a_wrong_rule_is_found():
    """A planted bug: the derivative of sin without its factor."""
    wrong = Rule(lambda _, args: ([jnp.sin(args[0])], None), lambda *given: [given[-1][0]])
    loss, args = loss_of([Node("sin", 0, 0)]), arguments(0)
    bars = purebp.grad(loss, rules={"sin": wrong})(*args)
    assert not np.allclose(bars, jax.grad(loss)(*args))
