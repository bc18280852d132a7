"""Gradients over eight devices: shard_map and its collectives, and arrays that are sharded.

The reference is jax.grad of the same program.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import purebp

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.standard_normal((16, 8)), jnp.float32)
W = jnp.asarray(RNG.standard_normal((8, 4)) / 3, jnp.float32)


def mesh_of(kind):
    return jax.make_mesh((4, 2), ("i", "j"), axis_types=(kind,) * 2)


AUTO = mesh_of(AxisType.Auto)
RING = [(k, (k + 1) % 4) for k in range(4)]


def product(x, w):
    return lax.psum(x @ w, "j")


def summed(x, w):
    return lax.psum(jnp.sum(jnp.tanh(product(x, w))), "i")


def gathered(x, w):
    rows = lax.all_gather(product(x, w), "i", tiled=True)
    blocks = lax.all_gather(product(x, w), "i")
    weights = jnp.arange(4.0)
    return lax.psum(jnp.sum(rows**2 * weights) + jnp.sum(blocks**3 * weights), "i")


def permuted(x, w):
    y = product(x, w)
    return lax.psum(jnp.sum(jnp.sin(y) * lax.ppermute(y, "i", RING) * lax.axis_index("i")), "i")


def exchanged(x, w):
    y = lax.all_to_all(x @ w, "j", split_axis=1, concat_axis=0, tiled=True)
    return lax.pmean(jnp.sum(y**2 * jnp.arange(y.size).reshape(y.shape)), ("i", "j"))


def scattered(x, w):
    return lax.psum(jnp.sum(lax.psum_scatter(product(x, w), "i", tiled=True) ** 3), "i")


def looped(x, w):
    def step(h, each):
        return jnp.tanh(lax.psum(h * each, "j") + h), None

    h, _ = lax.scan(step, x[0], x @ w @ w.T)
    return lax.psum(jnp.sum(h**2), ("i", "j"))


def branched(x, w):
    y = lax.cond(lax.axis_index("i") > 1, jnp.sin, lambda y: y**2, product(x, w))
    return lax.psum(jnp.sum(y), "i")


def recomputed(x, w):
    return lax.psum(jnp.sum(jax.checkpoint(lambda x: jnp.tanh(x @ w))(x)), ("i", "j"))


BODIES = [summed, gathered, permuted, exchanged, scattered, looped, branched, recomputed]


def mapped(body, is_tracked, **more):
    specs = (P("i", "j"), P("j", None))
    return jax.shard_map(
        body, mesh=AUTO, in_specs=specs, out_specs=P(), check_vma=is_tracked, **more
    )


def assert_near(found, expected, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert float(jnp.max(jnp.abs(a - b))) <= tolerance * (1e-6 + float(jnp.max(jnp.abs(b))))


@pytest.mark.parametrize("is_tracked", [True, False])
@pytest.mark.parametrize("body", BODIES)
def test_collectives_have_the_gradients_of_jax(body, is_tracked):
    function = mapped(body, is_tracked)
    found, expected = (jax.jit(grad(function, (0, 1)))(X, W) for grad in (purebp.grad, jax.grad))
    assert_near(found, expected)


@pytest.mark.parametrize("is_tracked", [True, False])
@pytest.mark.parametrize("extreme", [lax.pmax, lax.pmin])
def test_the_largest_of_all_devices_gets_the_cotangent(extreme, is_tracked):
    """jax.grad has no rule for it; equal ones share, as in reduce_max."""

    def body(x, w):
        return extreme(jnp.sum(product(x, w) ** 2), "i")

    def whole(x, w):
        sums = jnp.sum((x @ w).reshape(4, 4, 4) ** 2, axis=(1, 2))
        return jnp.max(sums) if extreme is lax.pmax else jnp.min(sums)

    assert_near(purebp.grad(mapped(body, is_tracked), (0, 1))(X, W), jax.grad(whole, (0, 1))(X, W))
    equal = jnp.tile(X[:4], (4, 1))
    found = purebp.grad(mapped(body, is_tracked))(equal, W)
    assert_near(found[:4], found[4:8])


@pytest.mark.parametrize("is_tracked", [True, False])
def test_derivatives_of_derivatives_go_through_the_devices(is_tracked):
    function = mapped(summed, is_tracked)

    def second(outer, inner):
        return jax.jit(outer(lambda w: jnp.sum(jnp.sin(inner(function, 1)(X, w)))))(W)

    expected = second(jax.grad, jax.grad)
    for outer, inner in ((purebp.grad,) * 2, (jax.grad, purebp.grad), (purebp.grad, jax.grad)):
        assert_near(second(outer, inner), expected, 1e-4)
    many = jnp.stack([W, 2 * W])
    over = [jax.vmap(lambda w, g=g: g(function, 1)(X, w))(many) for g in (purebp.grad, jax.grad)]
    assert_near(*over)


@pytest.mark.parametrize("is_tracked", [True, False])
def test_a_gradient_is_taken_on_each_device(is_tracked):
    def by(grad):
        def body(x, w):
            return grad(lambda w: lax.psum(jnp.sum(jnp.tanh(x @ w) ** 2), "i"))(w)

        out = P() if is_tracked else P("i")
        specs = (P("i"), P())
        return jax.shard_map(body, mesh=AUTO, in_specs=specs, out_specs=out, check_vma=is_tracked)

    assert_near(by(purebp.grad)(X, W), by(jax.grad)(X, W))


def test_some_axes_of_a_mesh_are_left_to_the_compiler():
    def body(x, w):
        return lax.psum(jnp.sum(jnp.tanh(x @ w)), "i")

    function = jax.shard_map(
        body, mesh=AUTO, in_specs=(P("i"), P()), out_specs=P(), axis_names={"i"}
    )
    found, expected = (jax.jit(grad(function, (0, 1)))(X, W) for grad in (purebp.grad, jax.grad))
    assert_near(found, expected)


@pytest.mark.parametrize("inside", [False, True])
def test_collectives_over_an_axis_that_vmap_names(inside):
    def row(r, w):
        return jnp.sum(jnp.tanh(r @ w) / lax.psum(jnp.exp(r @ w), "rows"))

    def by(grad):
        if inside:
            return jax.vmap(grad(row, (0, 1)), (0, None), axis_name="rows")(X, W)
        return grad(lambda w: jnp.sum(jax.vmap(row, (0, None), axis_name="rows")(X, w)))(W)

    assert_near(by(purebp.grad), by(jax.grad))


def test_the_largest_over_an_axis_that_vmap_names():
    def loss(w):
        return jnp.sum(jax.vmap(lambda r: r @ w * lax.pmax(r @ w, "rows"), axis_name="rows")(X))

    expected = jax.grad(lambda w: jnp.sum(X @ w * jnp.max(X @ w, axis=0)))(W)
    assert_near(purebp.grad(loss)(W), expected)


# ------------------------------------------------------------------- arrays that are sharded


def dot(a, b):
    """A product whose rows stay where they are: on an Explicit mesh that has to be said."""
    sharding = jax.typeof(a).sharding
    told = AxisType.Explicit in sharding.mesh.axis_types
    spec = P(*sharding.spec[:1], *[None] * (a.ndim - 1))
    return jnp.matmul(a, b, out_sharding=NamedSharding(sharding.mesh, spec) if told else None)


def net(p, x):
    h = jax.nn.gelu(x @ p["w1"] + p["b"])
    y = dot(h - h.mean(-1, keepdims=True), p["w2"])
    return jnp.mean((y - x) ** 2)


def attention(p, x):
    q = jnp.einsum("td,de->te", x, p["w1"][:, :8])
    weights = jax.nn.softmax(x * q * p["b"][:8])
    return jnp.sum(weights * x) ** 2


def scanned(p, x):
    h, _ = lax.scan(lambda h, _: (dot(jnp.tanh(h @ p["w1"]), p["w2"]), None), x, None, 3)
    return jnp.sum(h**2)


def chosen(p, x):
    return lax.cond(jnp.sum(x) > 0, lambda x: jnp.sum(jnp.sin(x @ p["w1"])), jnp.sum, x)


def again(p, x):
    return jnp.sum(jax.checkpoint(lambda x: dot(jax.nn.relu(x @ p["w1"]), p["w2"]))(x) ** 2)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("columns", [None, "j"])
@pytest.mark.parametrize("loss", [net, attention, scanned, chosen, again])
def test_gradients_lie_where_the_parameters_do(loss, columns, kind):
    mesh = mesh_of(kind)

    rng = np.random.default_rng(1)

    def put(shape, *spec):
        array = jnp.asarray(rng.standard_normal(shape) / 3, jnp.float32)
        return jax.device_put(array, NamedSharding(mesh, P(*spec)))

    with jax.set_mesh(mesh):
        p = {
            "w1": put((8, 16), None, columns),
            "w2": put((16, 8), columns, None),
            "b": put((16,), columns),
        }
        x = jax.device_put(X, NamedSharding(mesh, P("i")))
        found, expected = (jax.jit(grad(loss))(p, x) for grad in (purebp.grad, jax.grad))
        for one, other in zip(found.values(), expected.values(), strict=True):
            assert_near(np.asarray(one), np.asarray(other))
            assert one.sharding.is_equivalent_to(other.sharding, one.ndim)
