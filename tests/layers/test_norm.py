"""The norms where the mean is large beside the spread, which magnifies its rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.layers import batch_norm, layer_norm


@pytest.mark.parametrize("mean", [0.0, 1e2, 1e4])
@pytest.mark.parametrize(("op", "axis"), [(batch_norm, 0), (layer_norm, 1)])
def test_the_cotangents_of_a_normalised_group_add_up_to_zero(op, axis, mean):
    x = mean + jax.random.normal(jax.random.key(0), (8, 8))
    y_bar = jax.random.normal(jax.random.key(1), (8, 8))
    _, res = op.fwd(x, jnp.ones(8), jnp.zeros(8))
    x_bar = np.asarray(op.bwd(res, y_bar)[0], np.float64)
    allowed = 16 * np.finfo(np.float32).eps * np.abs(x_bar).sum(axis)
    assert (np.abs(x_bar.sum(axis)) <= allowed).all()
