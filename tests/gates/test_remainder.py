"""The remainder next to its steps."""

import jax
import numpy as np
import pytest
from jax import lax

from purebp.gates import rem


def test_the_remainder_next_to_a_step_where_jax_is_off_by_one() -> None:
    x, y = np.float32(1), np.float32(1 / 3)
    assert 2 < np.float64(x) / np.float64(y) < 3 == x / y  # in float32 it is rounded up
    assert jax.grad(rem, 1)(x, y) == -2
    assert jax.grad(lax.rem, 1)(x, y) == -3
    assert rem(x, y) == lax.rem(x, y)


@pytest.mark.parametrize(("x", "y"), [(7.0, 2.0), (-7.0, 2.0), (7.0, -2.0), (-7.0, -2.0)])
def test_the_remainder_has_the_sign_of_x(x, y) -> None:
    z, res = rem.fwd(x, y)
    bars = rem.bwd(res, 1.0)
    assert (float(z), [float(bar) for bar in bars]) == (np.sign(x), [1, -np.sign(x * y) * 3])
