"""Weight gradients of a loop are products over all steps, where that is right and smaller."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import purebp

RNG = np.random.default_rng(0)
W = jnp.asarray(RNG.standard_normal((8, 8)) / 3, jnp.float32)
B = jnp.asarray(RNG.standard_normal(8), jnp.float32)
X = jnp.asarray(RNG.standard_normal((6, 2, 8)), jnp.float32)


def scanned(step, w, b, x):
    return jnp.sum(lax.scan(lambda h, each: (step(h, each, w, b), None), x[0], x)[0] ** 2)


def plain(h, each, w, b):
    return jnp.tanh((h + each) @ w + b)


def transposed(h, each, w, b):
    return jnp.tanh(h @ w.T + each @ w[::-1] + b)


def in_parts(h, each, w, b):
    left, right = jnp.split(jnp.concatenate([h, each], axis=0) @ jnp.concatenate([w, -w], 1), 2)
    return jnp.tanh(left[:, :8] - right[:, 8:] + b)


def twice_used(h, each, w, b):
    return jnp.tanh(h @ w @ w + each + b)


def carried_on(h, each, w, b):
    return jnp.tanh(h @ (w * jnp.sum(each)) + b)


def by_batch(h, each, w, b):
    return jnp.tanh(jnp.einsum("bd,bde->be", h, each[:, :, None] * w) + b)


STEPS = [plain, transposed, in_parts, twice_used, carried_on, by_batch]


def products_in_loops(function, *args):
    """The shapes of products in the body of a loop that runs back, by whether it is in a loop."""
    found = {True: [], False: []}

    def walk(jaxpr, inside):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                found[inside].append(equation.outvars[0].aval.shape)
            for param in equation.params.values():
                if hasattr(param, "jaxpr"):
                    walk(param.jaxpr, inside or equation.primitive.name == "scan")

    walk(jax.make_jaxpr(function)(*args).jaxpr, False)
    return found


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_gradients_agree(step, reverse):
    def loss(w, b, x):
        return scanned(step, w, b, x[::-1] if reverse else x)

    with jax.enable_x64(True):
        args = [jnp.asarray(each, "float64") for each in (W, B, X)]
        hand, other = (grad(loss, (0, 1, 2))(*args) for grad in (purebp.grad, jax.grad))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11), hand, other)


@pytest.mark.parametrize("step", [plain, transposed, in_parts, twice_used])
def test_no_step_makes_an_array_of_the_size_of_the_weights(step):
    found = products_in_loops(purebp.grad(lambda w: scanned(step, w, B, X)), W)
    assert not {(8, 8), (16, 8)} & set(found[True])
    assert found[False]


def test_a_product_that_its_factors_outweigh_is_added_up_in_the_loop():
    """Three numbers for a weight: to keep 40 rows of each step would take more."""
    x, w = jnp.ones((5, 40, 3)), jnp.ones((3, 3))

    def loss(w):
        return jnp.sum(lax.scan(lambda h, each: (jnp.tanh(h @ w + each), None), x[0], x)[0])

    found = products_in_loops(purebp.grad(loss), w)
    assert not found[False]
    np.testing.assert_allclose(purebp.grad(loss)(w), jax.grad(loss)(w), rtol=1e-5)


def test_a_cotangent_that_the_loop_goes_on_with_is_not_put_off():
    """The weights are carried: their cotangent is needed at the step before."""

    def loss(w, x):
        def step(carry, each):
            h, w = carry
            return (jnp.tanh(h @ w + each), 0.9 * w), None

        return jnp.sum(lax.scan(step, (x[0], w), x)[0][0])

    for hand, other in zip(
        purebp.grad(loss, (0, 1))(W, X), jax.grad(loss, (0, 1))(W, X), strict=True
    ):
        np.testing.assert_allclose(hand, other, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [0, 1])
def test_loops_of_no_step_or_of_one(steps):
    def loss(w, x):
        return jnp.sum(lax.scan(lambda h, each: (plain(h, each, w, B), None), X[0], x)[0])

    hand, other = (grad(loss)(W, X[:steps]) for grad in (purebp.grad, jax.grad))
    np.testing.assert_allclose(hand, other, rtol=1e-5)


def test_derivatives_of_derivatives_go_through_the_products():
    def loss(w):
        return scanned(plain, w, B, X)

    def slope(grad):
        return lambda w: jnp.sum(jnp.sin(grad(loss)(w)))

    expected = jax.grad(slope(jax.grad))(W)
    for found in (purebp.grad(slope(purebp.grad))(W), jax.grad(slope(purebp.grad))(W)):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    over = jax.vmap(purebp.grad(loss))(jnp.stack([W, 2 * W]))
    np.testing.assert_allclose(over[1], jax.grad(loss)(2 * W), rtol=1e-4, atol=1e-5)
