"""Rotary positions: what makes them positions, and the two ways to pair features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import OptionError, ShapeError
from purebp.layers import rope

Q, K = jax.random.normal(jax.random.key(0), (2, 1, 1, 8))


@pytest.mark.parametrize("interleaved", [False, True])
def test_the_product_of_query_and_key_depends_on_their_distance_alone(interleaved):
    def product(m, n):
        q = rope(Q[None], jnp.array([m]), interleaved=interleaved)
        return jnp.vdot(q, rope(K[None], jnp.array([n]), interleaved=interleaved))

    np.testing.assert_allclose(product(7, 3), product(104, 100), rtol=1e-4)
    assert abs(product(7, 3) - product(7, 4)) > 1e-3


def test_a_rotation_keeps_lengths_and_position_0_keeps_everything():
    x = jax.random.normal(jax.random.key(1), (2, 5, 3, 6))
    y = rope(x)
    np.testing.assert_array_equal(y[:, 0], x[:, 0])
    lengths = [jnp.linalg.norm(a, axis=-1) for a in (x, y)]
    np.testing.assert_allclose(*lengths, rtol=1e-6)


def test_the_backward_pass_turns_back():
    x = jax.random.normal(jax.random.key(1), (2, 5, 3, 6))
    y, res = rope.fwd(x)
    np.testing.assert_allclose(rope.bwd(res, y)[0], x, atol=1e-6)


def test_interleaved_is_the_same_rotation_of_other_pairs():
    x = jax.random.normal(jax.random.key(1), (5, 2, 6))
    order = jnp.array([0, 2, 4, 1, 3, 5])
    np.testing.assert_allclose(
        rope(x[..., order]), rope(x, interleaved=True)[..., order], rtol=1e-5, atol=1e-6
    )


def test_positions_of_each_example_or_of_all():
    x, places = jax.random.normal(jax.random.key(1), (2, 3, 1, 4)), jnp.array([4, 0, 9])
    np.testing.assert_array_equal(rope(x, places), rope(x, jnp.stack([places, places])))
    np.testing.assert_allclose(rope(x), rope(x, jnp.arange(3)), rtol=1e-6)


def test_wrong_input_is_refused():
    with pytest.raises(ShapeError, match="expected an even last axis"):
        rope(jnp.ones((3, 1, 5)))
    with pytest.raises(OptionError, match="base is 0, expected a number above 0"):
        rope(jnp.ones((3, 1, 4)), base=0)
    with pytest.raises(ShapeError, match=r"positions has shape \(4,\), expected \(3,\)"):
        rope(jnp.ones((3, 1, 4)), jnp.arange(4))
