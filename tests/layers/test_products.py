"""Convolutions as products of patches, against XLA's own, at sizes where they take over."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from purebp.compat import enable_x64
from purebp.layers import conv2d, convolution, products
from purebp.layers.window import steps_along

CASES = [
    # n, c, k, rows, columns, kernel, padding
    (3, 2, 5, 17, 18, (3, 3), ((1, 1), (1, 1))),
    (2, 3, 4, 20, 16, (5, 2), ((0, 3), (2, 0))),
    (2, 5, 3, 16, 17, (1, 1), ((0, 0), (0, 0))),
    (1, 8, 7, 18, 19, (2, 3), ((3, 0), (0, 4))),
    (2, 1, 1, 18, 18, (3, 3), ((0, 0), (0, 0))),
]


def draw(n, c, k, rows, columns, kernel, padding):
    rng = np.random.default_rng(0)
    axes = steps_along("conv2d", (rows, columns), kernel, 1, padding)
    x = jnp.asarray(rng.standard_normal((n, c, rows, columns)))
    w = jnp.asarray(rng.standard_normal((k, c, *kernel)))
    y_bar = jnp.asarray(rng.standard_normal((n, k, *(axis.outputs for axis in axes))))
    return axes, x, w, y_bar


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products_are_the_convolutions_of_xla(case):
    with enable_x64(True):
        axes, x, w, y_bar = draw(*case)
        pads = tuple((axis.low, axis.high) for axis in axes)
        pairs = [
            (products.patches_times(pads, x, w), convolution.convolve(x, w, axes)),
            (
                products.shifted_products(axes, x, y_bar),
                convolution.weight_gradient(x, y_bar, axes),
            ),
            (products.input_gradient(w, y_bar, axes), convolution.input_gradient(w, y_bar, axes)),
            (products.convolve(x, w, axes), convolution.convolve(x, w, axes)),
        ]
        for mine, plain in pairs:
            np.testing.assert_allclose(mine, plain, rtol=1e-12, atol=1e-12)


def loss(op, x, w):
    return jnp.sum(jnp.sin(op(x, w, None)))


def test_a_large_convolution_twice_and_under_vmap():
    with enable_x64(True):
        _, x, w, _ = draw(*CASES[0])
        op, plain = (partial(f, padding=1) for f in (conv2d, conv2d.definition))
        for order in (jax.grad, lambda f: jax.grad(lambda w: jnp.sum(jax.grad(f)(w) ** 2))):
            mine = jax.jit(order(lambda w: loss(op, x, w)))(w)
            np.testing.assert_allclose(mine, order(lambda w: loss(plain, x, w))(w), rtol=1e-10)
        each = jax.vmap(jax.grad(lambda w: loss(op, x, w)))(jnp.stack([w, 2 * w]))
        np.testing.assert_allclose(
            each[1], jax.grad(lambda w: loss(plain, x, w))(2 * w), rtol=1e-10
        )


def test_a_large_convolution_in_shard_map():
    mesh = jax.make_mesh((2,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((4, 2, 16, 16)), jnp.float32)
    w = jnp.asarray(rng.standard_normal((3, 2, 3, 3)), jnp.float32)

    def part(x, w):
        return jax.lax.psum(loss(partial(conv2d, padding=1), x, w), "i")

    sharded = jax.shard_map(part, mesh=mesh, in_specs=(P("i"), P()), out_specs=P())
    mine = jax.jit(jax.grad(sharded, 1))(x, w)
    plain = jax.grad(lambda w: loss(partial(conv2d.definition, padding=1), x, w))(w)
    np.testing.assert_allclose(mine, plain, rtol=1e-4, atol=1e-4)


def test_other_cases_are_left_to_xla():
    axes, x, w, _ = draw(*CASES[0])
    strided = steps_along("conv2d", (17, 18), (3, 3), 2, 1)
    for program, arguments in (
        (partial(products.convolve, axes=strided), (x, w)),
        (partial(products.convolve, axes=axes), (x.astype(jnp.bfloat16), w.astype(jnp.bfloat16))),
    ):
        assert "while" not in str(jax.make_jaxpr(program)(*arguments))
        assert "scan" not in str(jax.make_jaxpr(program)(*arguments))
    assert "scan" in str(jax.make_jaxpr(partial(products.convolve, axes=axes))(x, w))
