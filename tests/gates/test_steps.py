"""Steps: their values where halves, zeros and nan are, and what does not come back from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import OptionError, ShapeError
from purebp.gates import argmax, argmin, ceil, floor, round, sign

X = jnp.array([-2.5, -1.5, -0.5, -0.2, -0.0, 0.0, 0.5, 1.5, jnp.inf, jnp.nan])


@pytest.mark.parametrize(
    ("gate", "options", "expected"),
    [
        (sign, {}, [-1, -1, -1, -1, -0.0, 0, 1, 1, 1, np.nan]),
        (floor, {}, [-3, -2, -1, -1, -0.0, 0, 0, 1, np.inf, np.nan]),
        (ceil, {}, [-2, -1, -0.0, -0.0, -0.0, 0, 1, 2, np.inf, np.nan]),
        (round, {}, [-2, -2, -0.0, -0.0, -0.0, 0, 0, 2, np.inf, np.nan]),
        (round, {"half": "away"}, [-3, -2, -1, -0.0, -0.0, 0, 1, 2, np.inf, np.nan]),
    ],
    ids=["sign", "floor", "ceil", "round", "round away"],
)
def test_values_at_steps_and_a_cotangent_of_zero(gate, options, expected) -> None:
    y, res = gate.fwd(X, **options)
    np.testing.assert_array_equal(y, np.float32(expected))
    assert np.signbit(y).tolist() == np.signbit(expected).tolist()
    upstream = jnp.full(X.shape, jnp.nan)
    assert gate.bwd(res, upstream)[0].tolist() == [0] * X.size
    assert jax.tree.leaves(res) == []


def test_where_the_extremes_are() -> None:
    x = jnp.array([[1.0, 3.0, 3.0], [2.0, jnp.nan, 0.0]])
    assert argmax(x[:1], axis=1).tolist() == [1]
    assert (argmax(x).tolist(), argmin(x).tolist()) == (4, 4)
    assert argmin(x, axis=0, keepdims=True).tolist() == [[0, 1, 1]]
    y, res = argmax.fwd(x, axis=-1)
    assert argmax.bwd(res, np.zeros(y.shape, jax.dtypes.float0)) == (None,)
    bars = jax.jit(jax.vmap(jax.grad(lambda x: x[argmax(x)] ** 2)))(x[:1])
    assert bars.tolist() == [[0, 6, 0]]


@pytest.mark.parametrize("gate", [argmax, argmin], ids=lambda gate: gate.name)
def test_what_cannot_be_chosen_from_is_refused(gate) -> None:
    with pytest.raises(
        ShapeError, match=r"x has shape \(2, 0\), expected at least one entry along"
    ):
        gate(jnp.ones((2, 0)), axis=1)
    with pytest.raises(ShapeError, match=r"x has shape \(0,\), expected at least one entry$"):
        gate(jnp.ones(0))
    assert gate(jnp.ones((0, 2)), axis=1).shape == (0,)
    for axis in (2, (0, 1), 0.5):
        with pytest.raises(OptionError, match="axis is "):
            gate(jnp.ones((2, 3)), axis=axis)


def test_an_unknown_way_to_round_is_refused() -> None:
    with pytest.raises(OptionError, match="half is 'up', expected one of even, away"):
        round(X, half="up")
