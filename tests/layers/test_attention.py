"""Attention beside jax.nn, rows that see nothing, and memory that is linear in the length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from purebp.errors import OptionError, ShapeError
from purebp.layers import dot_product_attention as attention

KEYS = jax.random.split(jax.random.key(0), 4)
Q = jax.random.normal(KEYS[0], (2, 11, 4, 8))
K, V = (jax.random.normal(key, (2, 11, 2, 8)) for key in KEYS[1:3])
Y_BAR = jax.random.normal(KEYS[3], Q.shape)
LENGTHS = jnp.array([7, 11])

CASES = [
    ({"block": 4}, {}, None),
    ({"causal": True, "block": 3}, {"is_causal": True}, None),
    ({"window": 2, "block": 4, "scale": 0.2}, {"local_window_size": 2, "scale": 0.2}, None),
    (
        {"causal": True, "window": (3, 5), "block": 2},
        {"is_causal": True, "local_window_size": (3, 5)},
        None,
    ),
    ({"causal": True, "block": 4}, {"is_causal": True}, LENGTHS),
]


@pytest.mark.parametrize(("options", "theirs", "lengths"), CASES, ids=str)
def test_values_and_gradients_are_those_of_jax_nn(options, theirs, lengths):
    @jax.jit
    def both(q, k, v):
        def plain(q, k, v):
            return jax.nn.dot_product_attention(q, k, v, key_value_seq_lengths=lengths, **theirs)

        wanted, pull = jax.vjp(plain, q, k, v)
        y, res = attention.fwd(q, k, v, lengths, **options)
        return (y, *attention.bwd(res, Y_BAR)[:3]), (wanted, *pull(Y_BAR))

    for came, wanted in zip(*both(Q, K, V), strict=True):
        np.testing.assert_allclose(came, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block", [None, 3])
def test_a_row_that_sees_nothing_gives_0_and_has_no_gradient(block):
    y, res = attention.fwd(Q, K, V, jnp.array([0, 11]), block=block)
    bars = attention.bwd(res, Y_BAR)[:3]
    for each in (y, *bars):
        assert np.isfinite(each).all()
        assert not np.any(each[0])
        assert np.any(each[1])


def test_nan_in_a_key_that_is_seen_shows():
    y = attention(Q, K.at[0, 4].set(jnp.nan), V, causal=True, block=4)
    assert np.isfinite(y[0, :4]).all()
    assert np.isnan(y[0, 4:]).all()


def test_no_keys_or_no_queries():
    empty = jnp.zeros((2, 0, 2, 8))
    assert not np.any(attention(Q, empty, empty))
    assert attention(Q[:, :0], K, V).shape == (2, 0, 4, 8)


def memory(length):
    """Bytes that both passes of causal attention take besides arguments and results."""

    def both(q, k, v, y_bar):
        y, res = attention.fwd(q, k, v, causal=True)
        return y, attention.bwd(res, y_bar)[:3]

    x = jax.ShapeDtypeStruct((1, length, 1, 16), jnp.float32)
    compiled = jax.jit(both).lower(x, x, x, x).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_memory_is_linear_in_the_length():
    assert memory(4096) < 2.2 * memory(2048)


def test_pairs_of_blocks_that_are_not_seen_are_left_out():
    def pairs(**options):
        x = jnp.zeros((1, 64, 1, 4))
        text = str(jax.make_jaxpr(lambda x: attention(x, x, x, block=8, **options))(x))
        return int(text.split("length=")[1].split(maxsplit=1)[0])

    assert pairs() == 64
    assert pairs(causal=True) == 36
    assert pairs(causal=True, window=8) == 15


def test_on_several_devices():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    q, k, v = (jnp.repeat(x, 4, axis=0) for x in (Q, K, V))

    def loss(q, k, v):
        return jnp.sum(attention(q, k, v, causal=True, block=4) ** 2)

    def mapped(q, k, v):
        return jax.lax.psum(loss(q, k, v), "data")

    outside = jax.shard_map(mapped, mesh=mesh, in_specs=P("data"), out_specs=P())
    came, wanted = (jax.jit(jax.grad(f, (0, 1, 2)))(q, k, v) for f in (outside, loss))
    for a, b in zip(came, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_wrong_input_is_refused():
    with pytest.raises(ShapeError, match="q has 4 heads and k has 3, expected a multiple"):
        attention(Q, jnp.ones((2, 5, 3, 8)), jnp.ones((2, 5, 3, 8)))
    with pytest.raises(OptionError, match="window is -1"):
        attention(Q, K, V, window=-1)
    with pytest.raises(OptionError, match="softcap is 0"):
        attention(Q, K, V, softcap=0)
    with pytest.raises(OptionError, match="block is 0"):
        attention(Q, K, V, block=0)
