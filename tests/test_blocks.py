"""Rows in blocks: the same numbers as all rows at once, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.blocks import BLOCK_BYTES, block_rows, by_blocks
from purebp.layers import layer_norm

WIDTH = 512
MANY = 4 * BLOCK_BYTES // (4 * WIDTH)  # four blocks of float32 rows


def row_pass(x, scale):
    return (x * scale, jnp.max(x, axis=1)), (jnp.sum(x, axis=0), jnp.sum(x * x))


def draw(rows: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).standard_normal((rows, WIDTH)), jnp.float32)


def assert_close(a, b, tolerance=1e-5):
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=1e-4)


@pytest.mark.parametrize("rows", [2048, 2080, 2072])
def test_blocks_give_what_the_whole_gives(rows):
    x, scale = draw(rows), jnp.float32(3)
    assert block_rows(x) is not None
    assert_close(
        jax.jit(lambda x: by_blocks(row_pass, row_pass, (x,), (scale,)))(x), row_pass(x, scale)
    )


def test_small_arrays_and_arrays_that_cannot_be_divided_stay_whole():
    assert block_rows(draw(8)) is None
    assert block_rows(jnp.zeros((0, WIDTH))) is None
    assert block_rows(draw(2053)) is None  # a prime number of rows


def test_the_loop_needs_a_fraction_of_the_memory():
    x, gamma = draw(8192), jnp.ones(WIDTH)

    def together(x, y_bar):
        y, res = layer_norm.fwd(x, gamma, gamma)
        return y, layer_norm.bwd(res, y_bar)

    memory = jax.jit(together).lower(x, x).compile().memory_analysis()
    if memory is None:
        pytest.skip("this device does not tell its memory")
    assert memory.temp_size_in_bytes < x.nbytes / 4


def test_a_large_layer_norm_under_vmap_jit_grad_and_grad_of_grad():
    x, gamma = draw(2048), jnp.linspace(0.5, 2, WIDTH)

    def loss(op, x):
        return jnp.sum(jnp.sin(op(x, gamma, gamma)))

    for order in (jax.grad, lambda f: jax.grad(lambda x: jnp.sum(jax.grad(f)(x) ** 2))):
        mine = jax.jit(order(lambda x: loss(layer_norm, x)))(x)
        plain = jax.jit(order(lambda x: loss(layer_norm.definition, x)))(x)
        assert_close(mine, plain, 1e-3)
    batch = jnp.stack([x, 2 * x])
    mapped = jax.jit(jax.vmap(jax.grad(lambda x: loss(layer_norm, x))))(batch)
    assert_close(mapped[0], jax.jit(jax.grad(lambda x: loss(layer_norm, x)))(x), 1e-3)
