"""Attention beside jax.nn, rows that see nothing, and memory that is linear in the length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from purebp.compat import jit_once
from purebp.errors import ArgumentError, OptionError, ShapeError
from purebp.layers import alibi_slopes
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
    @jit_once
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


def test_sinks_take_their_part_and_a_row_that_sees_nothing_gives_it_nothing():
    sinks = jnp.array([0.5, -1.0, -jnp.inf, 30.0])

    @jit_once
    def both(q, k, v, sinks):
        y, res = attention.fwd(q, k, v, jnp.array([0, 11]), sinks=sinks, block=3)
        padded = jnp.concatenate([k, jnp.zeros_like(k[:, :1])], axis=1)
        values = jnp.concatenate([v, jnp.zeros_like(v[:, :1])], axis=1)
        bias = jnp.zeros((1, 4, 1, 12)).at[0, :, 0, 11].set(sinks)
        plain = attention.define(q, padded, values, bias=bias)
        return y, attention.bwd(res, Y_BAR), plain

    y, bars, plain = both(Q, K, V, sinks)
    np.testing.assert_allclose(y[1], plain[1], rtol=1e-5, atol=1e-6)
    assert not np.any(y[0])
    assert all(np.isfinite(bar).all() for bar in bars if bar is not None)
    assert bars[6][2] == 0
    assert np.all(bars[6][:2] != 0)


def test_alibi_is_a_bias_and_both_agree_with_jax_nn():
    slopes = jnp.asarray(alibi_slopes(4))
    distance = jnp.abs(jnp.arange(11)[:, None] - jnp.arange(11))
    bias, mask = -slopes[None, :, None, None] * distance, distance[None, None] != 3

    @jit_once
    def all_ways(q, k, v):
        def plain(q, k, v, bias):
            return jax.nn.dot_product_attention(q, k, v, bias, mask, is_causal=True)

        wanted, pull = jax.vjp(plain, q, k, v, bias)
        found = []
        for given in ({"bias": bias}, {"slopes": slopes}):
            y, res = attention.fwd(q, k, v, mask=mask, causal=True, block=4, **given)
            found.append((y, attention.bwd(res, Y_BAR)))
        return found, (wanted, pull(Y_BAR))

    found, (y, bars) = all_ways(Q, K, V)
    for came, came_bars in found:
        np.testing.assert_allclose(came, y, rtol=1e-4, atol=1e-5)
        for a, b in zip(came_bars[:3], bars[:3], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[0][1][5], bars[3], rtol=1e-4, atol=1e-5)
    wanted = -jnp.sum(bars[3] * distance, axis=(0, 2, 3))
    np.testing.assert_allclose(found[1][1][7], wanted, rtol=1e-4)
    np.testing.assert_allclose(alibi_slopes(6), [0.25, 1 / 16, 1 / 64, 1 / 256, 0.5, 0.125])


def test_a_bias_of_minus_infinity_hides_a_key():
    hidden = jnp.zeros((1, 1, 11, 11)).at[..., 4:].set(-jnp.inf).at[..., 2, :].set(-jnp.inf)

    @jit_once
    def both(q, k, v):
        y, res = attention.fwd(q, k, v, bias=hidden, block=4)
        masked = attention.define(q, k, v, mask=hidden == 0)
        return (y, *attention.bwd(res, Y_BAR)[:3]), masked

    (y, *bars), masked = both(Q, K, V)
    np.testing.assert_allclose(y, masked, rtol=1e-4, atol=1e-5)
    assert not np.any(y[:, 2])
    assert all(np.isfinite(bar).all() for bar in bars)
    assert not np.any(bars[1][:, 4:])


def test_dropout_keeps_its_share_and_the_mean():
    v = jnp.ones((1, 64, 1, 2))
    q = jnp.zeros((1, 64, 1, 2))
    y = attention(q, q, v, key=jax.random.key(1), rate=0.25)
    np.testing.assert_allclose(jnp.mean(y), 1, rtol=0.05)
    assert np.std(y) > 0.01
    np.testing.assert_array_equal(y, attention(q, q, v, key=jax.random.key(1), rate=0.25))
    assert np.any(y != attention(q, q, v, key=jax.random.key(2), rate=0.25))


def test_nan_in_a_key_that_is_seen_shows():
    y = attention(Q, K.at[0, 4].set(jnp.nan), V, causal=True, block=4)
    assert np.isfinite(y[0, :4]).all()
    assert np.isnan(y[0, 4:]).all()


def test_no_keys_or_no_queries():
    empty = jnp.zeros((2, 0, 2, 8))
    assert not np.any(attention(Q, empty, empty))
    assert attention(Q[:, :0], K, V).shape == (2, 0, 4, 8)


def memory(length):
    """Bytes that both passes of attention take besides arguments and results."""

    def both(q, k, v, y_bar, head):
        extras = {"sinks": head, "slopes": head, "key": jax.random.key(0), "rate": 0.1}
        y, res = attention.fwd(q, k, v, mask=jnp.ones((1, 1, 1, length), bool), **extras)
        return y, attention.bwd(res, y_bar)[:3]

    x = jax.ShapeDtypeStruct((1, length, 1, 16), jnp.float32)
    head = jax.ShapeDtypeStruct((1,), jnp.float32)
    compiled = jax.jit(both).lower(x, x, x, x, head).compile()
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
        attention(Q, K, V, softcap=0.0)
    with pytest.raises(OptionError, match="block is 0"):
        attention(Q, K, V, block=0)
    with pytest.raises(OptionError, match="rate is 1"):
        attention(Q, K, V, rate=1.0)
    with pytest.raises(ArgumentError, match="key is None, expected a PRNG key: rate is"):
        attention(Q, K, V, rate=0.5)
    with pytest.raises(ShapeError, match="bias has shape"):
        attention(Q, K, V, bias=jnp.zeros((1, 3, 11, 11)))
