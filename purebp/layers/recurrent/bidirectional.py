"""Recurrent layers in both directions: at each step what comes before it, and what comes after.

All three are two runs of their sequence, from zeros; only the weights differ.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from purebp.layers.recurrent.gru import gru
from purebp.layers.recurrent.gru_step import Reset, check_reset
from purebp.layers.recurrent.lstm import lstm
from purebp.layers.recurrent.rnn import rnn
from purebp.layers.recurrent.sequence import MAGNIFIED, check_gates
from purebp.numerics import zeros_of
from purebp.op import Op, index_below
from purebp.residuals import Residuals

DIRECTIONS = (False, True)


def bidirectional_rnn_definition(
    x: Float[Array, "n t d"],
    w_x: Float[Array, "2 d h"],
    w_h: Float[Array, "2 h h"],
    b: Float[Array, "2 h"],
    lengths: Integer[Array, "n"] | None = None,
) -> Float[Array, "n t both"]:
    """y: the states of one RNN from the first step on, beside those of another from the last.

    Maths: y = (rnn(x, w_x[0], w_h[0], b[0]), rnn(x, w_x[1], w_h[1], b[1], reverse)), both from
        zeros. Backward, each half of y_bar goes back through its own RNN; x is read by both, so
        its two cotangents add.
    Shapes: x (n, t, d), w_x (2, d, h), w_h (2, h, h), b (2, h), lengths (n) or None; y (n, t, 2h).
        Beyond a sequence's end the first half repeats its last state, the second is 0.
    Residuals: those of the two RNNs.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers.
    Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks"; derived by hand.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (3, 3, 2))
        >>> w_x = jnp.array([[[0.5], [-1.5]], [[0.3], [-2.0]]])
        >>> w_h = jnp.array([[[-2.0]], [[1.5]]])
        >>> b = jnp.array([[-0.2], [0.6]])
        >>> lengths = jnp.array([3, 1, 0])
        >>> y, res = bidirectional_rnn.fwd(x, w_x, w_h, b, lengths)
        >>> [bar if bar is None else bar.shape for bar in bidirectional_rnn.bwd(res, y)]
        [(3, 3, 2), (2, 2, 1), (2, 1, 1), (2, 1), None]
    """
    return _define(rnn, x, w_x, w_h, b, lengths)


def bidirectional_lstm_definition(
    x: Float[Array, "n t d"],
    w_x: Float[Array, "2 d k"],
    w_h: Float[Array, "2 h k"],
    b: Float[Array, "2 k"],
    lengths: Integer[Array, "n"] | None = None,
) -> Float[Array, "n t both"]:
    """y: the states of one LSTM from the first step on, beside those of another from the last.

    Maths: y = (lstm(x, w_x[0], w_h[0], b[0]), lstm(x, w_x[1], w_h[1], b[1], reverse)), both from
        zeros. Backward, each half of y_bar goes back through its own LSTM; x is read by both, so
        its two cotangents add.
    Shapes: x (n, t, d), w_x (2, d, 4h), w_h (2, h, 4h), b (2, 4h), lengths (n) or None;
        y (n, t, 2h). Beyond a sequence's end the first half repeats its last state, the second
        is 0.
    Residuals: those of the two LSTMs.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers.
    Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks"; derived by hand.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (3, 3, 2))
        >>> w_x = jax.random.normal(jax.random.key(1), (2, 2, 4))
        >>> w_h = jnp.array([[[-2.0, 1.5, 0.8, -0.2]], [[0.6, -1.0, 1.0, -0.5]]])
        >>> b = jnp.array([[-0.2, 0.6, -1.0, 1.0], [-0.5, 2.0, 0.5, -1.5]])
        >>> lengths = jnp.array([3, 1, 0])
        >>> y, res = bidirectional_lstm.fwd(x, w_x, w_h, b, lengths)
        >>> [bar if bar is None else bar.shape for bar in bidirectional_lstm.bwd(res, y)]
        [(3, 3, 2), (2, 2, 4), (2, 1, 4), (2, 4), None]
    """
    return _define(lstm, x, w_x, w_h, b, lengths)


def bidirectional_gru_definition(
    x: Float[Array, "n t d"],
    w_x: Float[Array, "2 d k"],
    w_h: Float[Array, "2 h k"],
    b: Float[Array, "2 k"],
    b_hidden: Float[Array, "2 h"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    *,
    reset: Reset = "after",
) -> Float[Array, "n t both"]:
    """y: the states of one GRU from the first step on, beside those of another from the last.

    Maths: y = (gru(x, w_x[0], w_h[0], b[0], b_hidden[0]), gru(x, w_x[1], ..., reverse)), both from
        zeros. Backward, each half of y_bar goes back through its own GRU; x is read by both, so
        its two cotangents add.
    Shapes: x (n, t, d), w_x (2, d, 3h), w_h (2, h, 3h), b (2, 3h), b_hidden (2, h) or None,
        lengths (n) or None; y (n, t, 2h). Beyond a sequence's end the first half repeats its last
        state, the second is 0.
    Residuals: those of the two GRUs.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError.
    Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks"; derived by hand.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (3, 3, 2))
        >>> w_x = jax.random.normal(jax.random.key(1), (2, 2, 3))
        >>> w_h = jnp.array([[[-2.0, 1.5, 0.8]], [[-0.2, 0.6, -1.0]]])
        >>> b = jnp.array([[-0.2, 0.6, -1.0], [1.0, -0.5, 2.0]])
        >>> b_hidden = jnp.array([[1.0], [-0.5]])
        >>> lengths = jnp.array([3, 1, 0])
        >>> y, res = bidirectional_gru.fwd(x, w_x, w_h, b, b_hidden, lengths)
        >>> [bar if bar is None else bar.shape for bar in bidirectional_gru.bwd(res, y)]
        [(3, 3, 2), (2, 2, 3), (2, 1, 3), (2, 3), (2, 1), None]
    """
    return _define(gru, x, w_x, w_h, b, b_hidden, lengths, reset=reset)


class BidirectionalResiduals(NamedTuple):
    first: Residuals
    second: Residuals


def _define(sequence: Op, x: Array, *rest: Array | None, **options: Any) -> Array:
    both = zip(_sides(sequence, x, *rest), DIRECTIONS, strict=True)
    halves = [sequence.define(*side, reverse=reverse, **options)[0] for side, reverse in both]
    return jnp.concatenate(halves, axis=-1)


def _forward(
    sequence: Op, x: Array, *rest: Array | None, **options: Any
) -> tuple[Array, BidirectionalResiduals]:
    both = zip(_sides(sequence, x, *rest), DIRECTIONS, strict=True)
    pairs = [sequence.fwd(*side, reverse=reverse, **options) for side, reverse in both]
    y = jnp.concatenate([outputs[0] for outputs, _ in pairs], axis=-1)
    return y, BidirectionalResiduals(*(res for _, res in pairs))


def _backward(sequence: Op, res: BidirectionalResiduals, y_bar: Array) -> tuple[Any, ...]:
    bars, states = list[Any](), _states(sequence)
    for each, half_bar in zip(res, jnp.split(y_bar, 2, axis=-1), strict=True):
        nothing = [zeros_of(jnp.sum(half_bar, axis=1))] * states
        x_bar, *rest_bar = sequence.bwd(each, (half_bar, *nothing))
        bars.append((x_bar, rest_bar[states:-1]))  # lengths have no cotangent
    (x_bar, first), (more, second) = bars
    return x_bar + more, *jax.tree.map(_pair, first, second), None


def _sides(sequence: Op, x: Array, *rest: Array | None) -> list[tuple[Array | None, ...]]:
    """The arguments of the sequence, for each direction."""
    *weights, lengths = rest
    zeros = [_zeros(x, weights[1])] * _states(sequence)
    return [(x, *zeros, *(None if w is None else w[i] for w in weights), lengths) for i in range(2)]


def _states(sequence: Op) -> int:
    """How many arrays the state of a sequence is: what lies between x and w_x."""
    return [parameter.name for parameter in sequence.signature.parameters].index("w_x") - 1


def _pair(first: Array, second: Array) -> Array:
    return jnp.stack([first, second])


def _zeros(x: Array, w_h: Any) -> Array:
    """A first state (n, h)."""
    return zeros_of(jnp.sum(x, axis=(1, 2))[:, None] * w_h[0, :, 0])


def check_bidirectional_lstm(
    x: Array, w_x: Array, w_h: Array, b: Array, lengths: Array | None
) -> None:
    """Raise unless the weights have four columns for each unit."""
    check_gates("bidirectional_lstm", "w_h", w_h, w_h[0].T, 4)


def check_bidirectional_gru(
    x: Array,
    w_x: Array,
    w_h: Array,
    b: Array,
    b_hidden: Array | None,
    lengths: Array | None,
    *,
    reset: str,
) -> None:
    """Raise unless the weights have three columns for each unit and the option is known."""
    check_gates("bidirectional_gru", "w_h", w_h, w_h[0].T, 3)
    check_reset("bidirectional_gru", reset)


def example(rng: np.random.Generator, gates: int, biases: int = 0) -> tuple[Array, ...]:
    """Arguments for verification: three sequences of three steps, of which 3, 1 and 0 count."""
    shapes = [(3, 3, 2), (2, 2, gates), (2, 1, gates), (2, gates), *[(2, 1)] * biases]
    drawn = [jnp.asarray(0.8 * rng.normal(size=shape), jnp.float32) for shape in shapes]
    return *drawn, jnp.asarray([3, 1, 0], jnp.int32)


bidirectional_rnn = Op(
    partial(_forward, rnn),
    partial(_backward, rnn),
    definition=bidirectional_rnn_definition,
    domains={"lengths": index_below("t")},
    tolerance=MAGNIFIED,
    example=partial(example, gates=1),
)

bidirectional_lstm = Op(
    partial(_forward, lstm),
    partial(_backward, lstm),
    definition=bidirectional_lstm_definition,
    domains={"lengths": index_below("t")},
    check=check_bidirectional_lstm,
    tolerance=MAGNIFIED,
    example=partial(example, gates=4),
)

bidirectional_gru = Op(
    partial(_forward, gru),
    partial(_backward, gru),
    definition=bidirectional_gru_definition,
    domains={"lengths": index_below("t")},
    check=check_bidirectional_gru,
    tolerance=MAGNIFIED,
    example=partial(example, gates=3, biases=1),
)

OPS = (bidirectional_rnn, bidirectional_lstm, bidirectional_gru)
