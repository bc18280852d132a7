"""Embedding: rows that several tokens name, tokens that are no row, and sharded tokens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from purebp.errors import DtypeError, ShapeError
from purebp.layers import embedding

TABLE = jnp.arange(12.0).reshape(4, 3)


def table_bar(tokens, y_bar):
    _, res = embedding.fwd(tokens, TABLE)
    return embedding.bwd(res, y_bar)[1]


def test_a_row_gets_the_sum_of_the_gradients_of_its_tokens():
    bar = table_bar(jnp.array([[2, 0], [2, 2]]), jnp.ones((2, 2, 3)))
    assert bar[:, 0].tolist() == [1, 0, 3, 0]


def test_a_token_that_is_no_row_gives_nan_and_takes_no_gradient():
    tokens = jnp.array([1, 4, -1])
    y = np.asarray(embedding(tokens, TABLE))
    assert y[0].tolist() == [3, 4, 5]
    assert np.isnan(y[1:]).all()
    assert table_bar(tokens, jnp.ones((3, 3)))[:, 0].tolist() == [0, 1, 0, 0]


def test_sums_of_many_16_bit_gradients_are_not_lost():
    _, res = embedding.fwd(jnp.zeros(4096, jnp.int32), jnp.zeros((1, 1), jnp.bfloat16))
    assert embedding.bwd(res, jnp.ones((4096, 1), jnp.bfloat16))[1] == 4096


@pytest.mark.parametrize("dtype", [jnp.uint8, jnp.int16])
def test_tokens_of_any_integer_dtype(dtype):
    tokens = jnp.array([3, 1], dtype)
    np.testing.assert_array_equal(embedding(tokens, TABLE), TABLE[jnp.array([3, 1])])


def test_wrong_input_is_refused():
    with pytest.raises(DtypeError, match="tokens has dtype float32, expected an integer"):
        embedding(jnp.ones(2), TABLE)
    with pytest.raises(ShapeError, match="expected at least one row"):
        embedding(jnp.zeros(2, jnp.int32), jnp.ones((0, 3)))


def test_tokens_on_an_explicit_mesh():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Explicit,))
    tokens = jnp.arange(16) % 3
    with jax.set_mesh(mesh):
        placed, table = jax.device_put(tokens, P("data")), jax.device_put(TABLE, P())
        y, pull = jax.vjp(lambda table: embedding(placed, table), table)
        (bar,) = pull(y)
        assert jax.typeof(y).sharding.spec == P("data", None)
        assert jax.typeof(bar) == jax.typeof(table)
    np.testing.assert_allclose(bar, table_bar(tokens, embedding(tokens, TABLE)))
