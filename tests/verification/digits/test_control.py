"""Loops, branches and calls against JAX in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp.verification.digits import control
from purebp.verification.digits.values import UnsupportedError
from tests.verification.digits.both_ways import assert_same

X = np.asarray([[0.5, -1.0], [2.0, 0.25], [-0.75, 3.0]])
V = X.ravel()


def power(x):
    return jnp.sin(x) * x


custom_vjp = jax.custom_vjp(power)
custom_vjp.defvjp(lambda x: (power(x), x), lambda x, g: (g * x,))
custom_jvp = jax.custom_jvp(power)
custom_jvp.defjvp(lambda x, dx: (power(*x), dx[0]))
CALLS = {
    "jit": jax.jit(power),
    "checkpoint": jax.checkpoint(power),
    "custom_vjp": custom_vjp,
    "custom_jvp": custom_jvp,
    "closed": lambda x: jax.closure_convert(power, x)[0](x),
    "jit in jit": jax.jit(jax.jit(power)),
    "relu": jax.nn.relu,
    "softmax": jax.nn.softmax,
    "gradient": jax.grad(lambda x: jnp.sum(power(x) ** 2)),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    assert_same(CALLS[name], X)


@pytest.mark.parametrize("reverse", [False, True])
def test_scans(reverse):
    def step(carry, x):
        return carry * 0.5 + x, (carry, jnp.sum(x * carry))

    scan = partial(lax.scan, step, reverse=reverse)
    assert_same(lambda x: scan(jnp.zeros(2), x), X)


@pytest.mark.parametrize("reverse", [False, True])
def test_scans_over_numbers(reverse):
    scan = partial(lax.scan, lambda c, x: (c * x, c + x), reverse=reverse)
    assert_same(lambda x: scan(1.0, x), V)


@pytest.mark.parametrize("loop", [lax.scan, lax.map], ids=["scan", "map"])
def test_a_function_of_each_number(loop):
    function = {lax.scan: lambda x: lax.scan(lambda c, x: (c, jnp.sin(x)), 0, x)[1]}
    assert_same(function.get(loop, partial(lax.map, jnp.sin)), V)


def test_scans_with_integers_and_without_inputs():
    assert_same(lambda x: lax.scan(lambda n, x: (n + 1, x * n), 0, x), X)
    assert_same(lambda x: lax.scan(lambda c, _: (c * 2, None), x, length=3), X)
    assert_same(lambda x: lax.scan(lambda c, n: (c * n, c), x, jnp.arange(3)), X)


def test_a_scan_of_no_steps():
    assert_same(lambda x: lax.scan(lambda c, x: (c + x, x * 2), jnp.ones(2), x), X[:0])


def test_integers_of_a_scan_of_no_steps():
    assert_same(lambda x: lax.scan(lambda n, _: (n + 1, n), 0, x)[1] + 1, X[:0])


def test_while_loops():
    assert_same(
        lambda x: lax.while_loop(lambda c: jnp.sum(c) < 100, lambda c: c * 2 + 1, jnp.abs(x)), X
    )
    assert_same(lambda x: lax.fori_loop(0, 3, lambda i, c: c * x[i] + 1, x[0]), X)
    assert_same(lambda x, n: lax.fori_loop(0, n, lambda i, c: c * x[i], x[0]), X, np.int32(2))


def test_a_batch_of_while_loops():
    each = jax.vmap(lambda x: lax.while_loop(lambda c: c < 10, lambda c: c * 2 + 1, x))
    assert_same(each, np.abs(V))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_branch_follows_the_numbers(sign):
    assert_same(lambda x: lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x), sign * X)


@pytest.mark.parametrize("index", [-7, 0, 1, 2, 9])
def test_one_of_several_branches(index):
    branches = [jnp.sin, jnp.cos, jnp.tan]
    assert_same(lambda x, i: lax.switch(i, branches, x), X, np.int32(index))


def test_both_branches_under_vmap():
    assert_same(jax.vmap(lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x)), V)


def test_a_part_of_many_devices_is_never_taken_for_the_whole():
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:2]), ("i",))
    spec = jax.sharding.PartitionSpec("i")

    @partial(jax.shard_map, mesh=mesh, in_specs=spec, out_specs=spec)
    def shares(x):
        return x / lax.psum(jnp.sum(x), "i")

    with pytest.raises(UnsupportedError):
        assert_same(shares, V)


def test_what_one_device_does_alone_is_never_taken_for_the_whole():
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:2]), ("i",))
    spec = jax.sharding.PartitionSpec("i")
    running = jax.shard_map(jnp.cumsum, mesh=mesh, in_specs=spec, out_specs=spec)
    try:
        assert_same(running, V)
    except UnsupportedError:
        return


def test_a_scan_in_the_wrong_order_is_seen(monkeypatch):
    right = control._scan
    monkeypatch.setattr(
        control, "_scan", lambda run, params, x: right(run, {**params, "reverse": True}, x)
    )
    with pytest.raises(AssertionError):
        assert_same(lambda x: lax.scan(lambda c, x: (c * x + 1, c), jnp.ones(2), x), X)


def test_other_primitives_call_nothing():
    assert control.apply("sin", lambda _, arrays: arrays, {}, []) is None
