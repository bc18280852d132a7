"""Recurrent layers in both directions, beside the sequences that they are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import purebp
from purebp.compat import enable_x64, jit_once
from purebp.errors import OptionError, ShapeError
from purebp.layers import (
    bidirectional_gru,
    bidirectional_lstm,
    bidirectional_rnn,
    gru,
    lstm,
    rnn,
)
from purebp.layers.recurrent import bidirectional

N, T, D, H = 2, 4, 3, 2
KINDS = {  # op, its sequence, states, blocks of columns, further biases
    "rnn": (bidirectional_rnn, rnn, 1, 1, 0),
    "lstm": (bidirectional_lstm, lstm, 2, 4, 0),
    "gru": (bidirectional_gru, gru, 1, 3, 1),
}


def drawn(kind, dtype=np.float64):
    """x and the weights."""
    rng = np.random.default_rng(0)
    _, _, _, blocks, extra = KINDS[kind]
    k = blocks * H
    shapes = [(N, T, D), (2, D, k), (2, H, k), (2, k), *[(2, H)] * extra]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(
    ("kind", "options"), [("rnn", {}), ("lstm", {}), ("gru", {}), ("gru", {"reset": "before"})]
)
def test_both_halves_and_their_gradients_are_those_of_two_sequences(kind, options):
    op, sequence, states, _, _ = KINDS[kind]
    x, *weights = drawn(kind)
    lengths = np.array([4, 2], np.int32)
    zeros = [np.zeros((N, H))] * states

    def by_hand(x, weights):
        y, res = op.fwd(x, *weights, lengths, **options)
        return y, op.bwd(res, jnp.cos(y))

    def by_two(x, weights):
        found = []
        for i in range(2):
            own = [w[i] for w in weights]
            args = x, *zeros, *own, lengths
            out, res = sequence.fwd(*args, reverse=bool(i), **options)
            nothing = [jnp.zeros((N, H))] * states
            x_bar, *bars = sequence.bwd(res, (jnp.cos(out[0]), *nothing))
            found.append((out[0], x_bar, bars[states:-1]))
        (y, x_bar, first), (more, other, second) = found
        pairs = [jnp.stack(pair) for pair in zip(first, second, strict=True)]
        return jnp.concatenate([y, more], axis=-1), (x_bar + other, *pairs, None)

    with enable_x64(True):
        came, wanted = jit_once(lambda *args: (by_hand(*args), by_two(*args)))(x, weights)
    assert jax.tree.structure(came) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
    y = np.asarray(came[0])
    np.testing.assert_array_equal(y[1, 2:, :H], np.stack([y[1, 1, :H]] * 2))  # repeats its last
    assert not y[1, 2:, H:].any()  # the other has not begun


@pytest.mark.parametrize("kind", KINDS)
def test_turned_in_time_with_the_weights_exchanged_it_is_the_same(kind):
    op = KINDS[kind][0]
    x, *weights = drawn(kind, np.float32)
    run = jit_once(op)
    y = np.asarray(run(x, *weights))
    turned = np.asarray(run(x[:, ::-1], *(w[::-1] for w in weights)))[:, ::-1]
    np.testing.assert_allclose(y, np.roll(turned, H, axis=-1), rtol=1e-6)


def test_the_bias_of_a_gru_inside_the_reset_may_be_left_out():
    x, *weights, _ = drawn("gru", np.float32)
    y, res = bidirectional_gru.fwd(x, *weights)
    *_, b_hidden_bar, lengths_bar = bidirectional_gru.bwd(res, y)
    assert b_hidden_bar is None
    assert lengths_bar is None
    zero = np.zeros((2, H), np.float32)
    np.testing.assert_array_equal(y, bidirectional_gru(x, *weights, zero))


def forgets_the_way_back(sequence):
    def backward(res, y_bar):
        _, *rest = bidirectional._backward(sequence, res, y_bar)
        half_bar = y_bar[..., :H]
        return sequence.bwd(res.first, (half_bar, 0 * half_bar[:, 0]))[0], *rest

    return backward


def agrees_with_autodiff(op):
    args = [jnp.asarray(each) for each in drawn("rnn", np.float32)]

    def both(*args):
        y, pull = jax.vjp(bidirectional_rnn.definition, *args)
        return op.bwd(op.fwd(*args)[1], y), pull(y)

    came, wanted = jit_once(both)(*args)
    return [np.allclose(a, b, rtol=1e-4) for a, b in zip(came, wanted, strict=False)]


def test_a_planted_bug_is_found():
    """x is read twice: the cotangent of one reading is not enough."""
    pair = bidirectional_rnn.forward, forgets_the_way_back(rnn)
    assert agrees_with_autodiff(bidirectional_rnn) == [True] * 4
    wrong = purebp.Op(*pair, bidirectional_rnn.definition)
    assert agrees_with_autodiff(wrong) == [False, True, True, True]


def test_what_does_not_fit_is_refused():
    x, w_x, w_h, b = drawn("rnn", np.float32)
    with pytest.raises(ShapeError, match=r"bidirectional_lstm: w_h has shape .*4 x 2 columns"):
        bidirectional_lstm(x, w_x, w_h, b)
    with pytest.raises(ShapeError, match=r"bidirectional_rnn: w_x has shape"):
        bidirectional_rnn(x, w_x[:1], w_h, b)
    with pytest.raises(OptionError, match="bidirectional_gru: reset is 'never'"):
        bidirectional_gru(*drawn("gru", np.float32), reset="never")
