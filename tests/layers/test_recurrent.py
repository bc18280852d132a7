"""Recurrent layers: steps and sequences are one cell, lengths, empty time, and flax and optax."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from purebp import OptionError, ShapeError, fanout
from purebp.compat import enable_x64
from purebp.layers import gru, gru_step, lstm, lstm_step, rnn, rnn_step

# The sequence, the step, the number of states and of blocks of columns.
LAYERS = {
    "rnn": (rnn, rnn_step, 1, 1),
    "lstm": (lstm, lstm_step, 2, 4),
    "gru": (gru, gru_step, 1, 3),
}
N, T, D, H = 3, 4, 2, 3


def arguments(name, *, n=N, t=T, d=D, h=H):
    """x, the first states, the weights."""
    _, _, states, gates = LAYERS[name]
    rng = np.random.default_rng(7)
    shapes = [(n, t, d), *[(n, h)] * states, (d, gates * h), (h, gates * h), (gates * h,)]
    return [jnp.asarray(0.7 * rng.normal(size=shape), jnp.float32) for shape in shapes]


def gradients(op, args, **options):
    """The value, and the gradients of the sum of the squares of all outputs."""
    y, res = op.fwd(*args, **options)
    return y, op.bwd(res, y)


def assert_close(came, expected, rtol=2e-5):
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.max(np.abs(b), initial=1e-3))


@pytest.mark.parametrize("name", LAYERS)
def test_a_sequence_is_its_steps(name):
    op, step, states, _ = LAYERS[name]
    args = arguments(name)
    x, state, weights = args[0], tuple(args[1 : 1 + states]), args[1 + states :]
    y, *final = op(*args)
    for t in range(T):
        state = step(x[:, t], *state, *weights)
        state = state if isinstance(state, tuple) else (state,)
        assert_close(y[:, t], state[0])
    assert_close(tuple(final), state)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_a_short_sequence_in_a_batch_is_the_sequence_alone(name, reverse):
    op, _, states, _ = LAYERS[name]
    args, lengths = arguments(name), jnp.asarray([2, 4, 0])
    run = partial(gradients, op, reverse=reverse)
    extra = {"lengths": lengths}
    y, bars = run(args, **extra)
    assert_close(run(args, lengths=jnp.full(N, T)), run(args))
    single = [arg[:1] for arg in args[: 1 + states]]
    single[0] = single[0][:, :2]
    alone, _ = run([*single, *args[1 + states :]])
    assert_close([part[:1] for part in y[1:]], alone[1:])
    assert_close(y[0][:1, :2], alone[0])
    repeated = args[1][0] if reverse else alone[1][0]
    assert_close(y[0][0, 2:], jnp.stack([repeated] * 2))
    assert not np.any(bars[0][0, 2:])
    assert not np.any(bars[0][2])
    assert_close(y[1][2], args[1][2])


def test_the_lengths_may_go_beyond_the_ends():
    args = arguments("rnn")
    assert_close(rnn(*args, jnp.asarray([-3, 9, 4])), rnn(*args, jnp.asarray([0, 4, 4])))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_no_time_and_no_examples(name, reverse):
    op, _, states, _ = LAYERS[name]
    args = arguments(name, t=0)
    y, bars = gradients(op, args, reverse=reverse)
    assert y[0].shape == (N, 0, H)
    assert_close(y[1:], args[1 : 1 + states])
    assert_close(bars[1 : 1 + states], args[1 : 1 + states])
    assert not any(np.any(bar) for bar in bars[1 + states :] if bar is not None)
    y, bars = gradients(op, arguments(name, n=0), reverse=reverse)
    assert y[0].shape == (0, T, H)
    assert all(np.all(bar == 0) for bar in bars if bar is not None)


def test_both_directions_at_once():
    x, *rest = arguments("lstm")
    both = fanout(lstm, lstm.with_options(reverse=True))
    (forward, _, _), (backward, _, _) = both(x, (rest, rest))
    assert_close(forward, lstm(x, *rest)[0])
    assert_close(backward[:, ::-1], lstm(x[:, ::-1], *rest)[0])


def assert_same_gradient(ours, theirs, params, rtol=2e-5):
    slopes = [jax.grad(lambda p, f=f: jnp.sum(jnp.square(f(p))))(params) for f in (ours, theirs)]
    assert_close(*slopes, rtol=rtol)


def from_flax(params, blocks, *, hidden=True):
    """The kernels of a flax cell, side by side."""
    side = "h" if hidden else "i"
    return jnp.concatenate([params[f"{side}{block}"]["kernel"] for block in blocks], axis=1)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_lstm_is_that_of_flax(precision):
    with enable_x64(precision == "float64"):
        x = jnp.asarray(arguments("lstm")[0], precision)
        layer = linen.RNN(linen.OptimizedLSTMCell(H, param_dtype=precision, dtype=precision))
        params = layer.init(jax.random.key(0), x)["params"]["cell"]
        params = jax.tree.map(lambda p: p + 0.1, params)
        zeros = jnp.zeros((N, H), precision)

        def ours(params):
            w_x, w_h = (from_flax(params, "ifog", hidden=hidden) for hidden in (False, True))
            b = jnp.concatenate([params[f"h{block}"]["bias"] for block in "ifog"])
            return lstm(x, zeros, zeros, w_x, w_h, b)[0]

        def theirs(params):
            return layer.apply({"params": {"cell": params}}, x)

        assert_same_gradient(ours, theirs, params, rtol=2e-5 if precision == "float32" else 1e-12)


def test_gru_is_that_of_flax():
    x = arguments("gru")[0]
    layer = linen.RNN(linen.GRUCell(H))
    params = jax.tree.map(lambda p: p + 0.1, layer.init(jax.random.key(0), x)["params"]["cell"])

    def ours(params):
        w_x, w_h = (from_flax(params, "rzn", hidden=hidden) for hidden in (False, True))
        b = jnp.concatenate([params[f"i{block}"]["bias"] for block in "rzn"])
        return gru(x, jnp.zeros((N, H)), w_x, w_h, b, params["hn"]["bias"])[0]

    def theirs(params):
        return layer.apply({"params": {"cell": params}}, x)

    assert_same_gradient(ours, theirs, params)


def test_a_saturated_gate_still_has_a_slope():
    """o = sigmoid(40) rounds to 1, and o (1 - o) would be 0."""
    zero, b = jnp.zeros((1, 1)), jnp.asarray([40.0, 0, 40, 1])
    _, res = lstm_step.fwd(zero, zero, zero, jnp.zeros((1, 4)), jnp.zeros((1, 4)), b)
    b_bar = lstm_step.bwd(res, (jnp.ones((1, 1)), zero))[-1]
    tanh = np.tanh(np.tanh(1.0))
    np.testing.assert_allclose(b_bar[2], tanh * np.exp(-40.0), rtol=1e-5)


SEVEN = {"w_x": (D, 7), "w_h": (H, 7), "b": (7,)}


@pytest.mark.parametrize(
    ("name", "change", "error", "message"),
    [
        (
            "lstm",
            SEVEN,
            ShapeError,
            r"expected \(2, 12\): 4 x 3",
        ),
        ("gru", SEVEN, ShapeError, r"expected \(2, 9\): 3 x 3"),
        ("rnn", {"w_h": (H, 2)}, ShapeError, r"w_h has shape \(3, 2\), expected \(3, 3\)"),
        ("lstm", {"c0": (N, 2)}, ShapeError, r"c0 has shape \(3, 2\), expected \(3, 3\)"),
        ("rnn", {"reverse": "yes"}, OptionError, "reverse is 'yes', expected True or False"),
        ("gru", {"reset": "never"}, OptionError, "reset is 'never', expected 'after' or 'before'"),
    ],
)
def test_wrong_arguments(name, change, error, message):
    op = LAYERS[name][0]
    names = [parameter.name for parameter in op.signature.parameters]
    named = dict(zip(names, arguments(name), strict=False))
    options = {key: value for key, value in change.items() if isinstance(value, str)}
    named |= {key: jnp.ones(value) for key, value in change.items() if key not in options}
    with pytest.raises(error, match=message):
        op(**named, **options)
