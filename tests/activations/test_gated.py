"""Gated units beside jax.nn, and far out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.activations import geglu, glu, swiglu
from purebp.errors import OptionError, ShapeError

A, B = jnp.linspace(-3, 3, 6), jnp.linspace(2, -1, 6)


def test_values_are_those_of_jax_nn():
    x = jnp.stack([A, B])
    np.testing.assert_allclose(glu(x), jax.nn.glu(x), rtol=1e-6)
    np.testing.assert_allclose(glu(x, axis=0), jax.nn.glu(x, axis=0), rtol=1e-6)
    np.testing.assert_allclose(swiglu(A, B), jax.nn.silu(A) * B, rtol=1e-6)
    for approximate in (True, False):
        wanted = jax.nn.gelu(A, approximate=approximate) * B
        np.testing.assert_allclose(
            geglu(A, B, approximate=approximate), wanted, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("op", [swiglu, geglu])
def test_a_closed_gate_is_0_and_an_open_one_lets_all_pass(op):
    a, b = jnp.array([-1e30, 1e30]), jnp.array([2.0, 2.0])
    y, res = op.fwd(a, b)
    a_bar, b_bar = op.bwd(res, jnp.ones(2))
    assert y.tolist() == [0, jnp.float32(1e30) * 2]
    assert a_bar.tolist() == [0, 2]
    assert b_bar.tolist() == [0, jnp.float32(1e30)]


def test_wrong_input_is_refused():
    with pytest.raises(ShapeError, match="expected an even axis -1"):
        glu(jnp.ones((2, 3)))
    with pytest.raises(OptionError, match="axis is 2, expected an axis of x"):
        glu(jnp.ones((2, 4)), axis=2)
    with pytest.raises(ShapeError, match=r"swiglu: b has shape \(1,\), expected \(3,\)"):
        swiglu(jnp.ones(3), jnp.ones(1))
