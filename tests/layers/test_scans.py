"""Scans: what the pieces change (memory) and what they do not (the numbers)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.benchmark.scans import (
    associative_selective,
    linear_attention_inputs,
    selective_inputs,
)
from purebp.compat import jit_once
from purebp.errors import OptionError
from purebp.layers import gated_linear_attention, selective_scan


def arrays(*sizes):
    rng = np.random.default_rng(0)
    return tuple(draw(rng) for draw in selective_inputs(*sizes))


def both_passes(y_bar, *args, **options):
    y, res = selective_scan.fwd(*args, **options)
    return y, selective_scan.bwd(res, y_bar)


def test_the_pieces_change_nothing_and_an_associative_scan_agrees():
    args = arrays(2, 7, 3, 2)
    y_bar = jnp.cos(jnp.arange(42.0)).reshape(2, 7, 3), jnp.sin(jnp.arange(12.0)).reshape(2, 3, 2)

    @jit_once
    def all_ways(args):
        wanted, pull = jax.vjp(associative_selective, *args)
        pieces = [both_passes(y_bar, *args, block=block) for block in (1, 3, 64)]
        return pieces, (wanted, pull(y_bar))

    pieces, wanted = all_ways(args)
    for came in pieces:
        for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_no_array_of_all_states_is_kept():
    n, t, d, s, block = 1, 512, 8, 16, 32
    shapes = [jax.ShapeDtypeStruct(each.shape, each.dtype) for each in arrays(n, t, d, s)]
    run = partial(both_passes, block=block)
    last = jax.ShapeDtypeStruct((n, d, s), jnp.float32)
    memory = jax.jit(run).lower((shapes[0], last), *shapes).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 4 * n * t * d * s * 4 / 5
    _, res = jax.eval_shape(partial(selective_scan.fwd, block=block), *shapes)
    assert res.values.starts.shape == (t // block, n, s, d)


def test_a_sequence_in_two_parts_is_the_sequence_and_so_is_its_gradient():
    u, delta, a, b, c, d = arrays(2, 7, 3, 2)
    h0 = jnp.sin(jnp.arange(12.0)).reshape(2, 3, 2)
    options = {"block": 2}

    def whole(u, delta, b, c, h0):
        return selective_scan(u, delta, a, b, c, d, h0, **options)

    def in_parts(u, delta, b, c, h0):
        first, second = ([x[:, cut] for x in (u, delta, b, c)] for cut in (np.s_[:3], np.s_[3:]))
        y, h = whole(*first, h0)
        rest, last = whole(*second, h)
        return jnp.concatenate([y, rest], axis=1), last

    def both(run, *args):
        out, pull = jax.vjp(run, *args)
        return out, pull(jax.tree.map(jnp.cos, out))

    args = u, delta, b, c, h0
    came, wanted = jit_once(lambda *args: (both(in_parts, *args), both(whole, *args)))(*args)
    for a_leaf, b_leaf in zip(jax.tree.leaves(came), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a_leaf, b_leaf, rtol=1e-4, atol=1e-5)


def test_without_a_first_state_it_begins_with_zeros():
    args, h0 = arrays(2, 3, 3, 2), jnp.zeros((2, 3, 2))
    for came, wanted in zip(selective_scan(*args), selective_scan(*args, h0), strict=True):
        np.testing.assert_array_equal(came, wanted)


def test_an_empty_sequence():
    args = arrays(2, 0, 3, 2)
    h0 = jnp.ones((2, 3, 2))
    (y, last), res = selective_scan.fwd(*args, h0)
    bars = selective_scan.bwd(res, (y, 2 * last))
    assert [bar.shape for bar in bars] == [arg.shape for arg in (*args, h0)]
    assert not np.any(bars[2])
    np.testing.assert_array_equal(last, h0)
    np.testing.assert_array_equal(bars[-1], 2 * h0)


def test_a_block_below_1_is_refused():
    with pytest.raises(OptionError, match="block is 0, expected a number of steps"):
        selective_scan(*arrays(1, 2, 1, 1), block=0)


def test_gated_linear_attention_in_pieces_carries_its_state_on():
    rng = np.random.default_rng(1)
    q, k, v, g = (draw(rng) for draw in linear_attention_inputs(2, 7, 2, 3))

    @jit_once
    def all_ways(q, k, v, g):
        whole = [gated_linear_attention(q, k, v, g, block=block) for block in (1, 3, 16)]
        o, state = gated_linear_attention(*(x[:, :4] for x in (q, k, v, g)))
        rest, final = gated_linear_attention(*(x[:, 4:] for x in (q, k, v, g)), state)
        return whole, (jnp.concatenate([o, rest], axis=1), final)

    whole, parts = all_ways(q, k, v, 30 * g)  # e^-900 and below: no quotient of two decays
    for came in whole:
        for a, b in zip(came, parts, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_without_decay_it_is_causal_linear_attention():
    rng = np.random.default_rng(2)
    q, k, v, g = (draw(rng) for draw in linear_attention_inputs(1, 6, 1, 3))
    o, _ = gated_linear_attention(q, k, v, 0 * g)
    scores = np.tril(np.einsum("nthd,nshd->nhts", q, k))
    np.testing.assert_allclose(o, np.einsum("nhts,nshe->nthe", scores, v), rtol=1e-4, atol=1e-5)
