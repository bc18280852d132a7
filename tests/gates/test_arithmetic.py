"""Arithmetic gates where numbers are far from 1."""

import jax.numpy as jnp
import numpy as np
import pytest

from purebp.gates import div


@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e-30), ("float32", 1e30), ("float16", 300.0)]
)
@pytest.mark.parametrize("shape", [(), (1,), (4,)])
def test_numbers_divided_by_one_of_their_size_have_their_slopes(dtype, size, shape):
    """The square of the divisor is out of range: 1 / y^2 is never formed."""
    x, y = jnp.full((4,), size, dtype), jnp.full(shape, 2 * size, dtype)
    z_bar = jnp.full((4,), 300.0 if dtype == "float16" else 1.0, dtype)
    _, y_bar = div.bwd(div.fwd(x, y)[1], z_bar)
    each = -np.asarray(z_bar, float) / 4 / float(x[0])
    np.testing.assert_allclose(y_bar, each if shape == (4,) else each.sum().reshape(shape), 2e-3)
