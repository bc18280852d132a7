"""An LSTM in both directions: at each step what comes before it, and what comes after."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from purebp.layers.recurrent.lstm import lstm
from purebp.layers.recurrent.sequence import MAGNIFIED, check_gates
from purebp.op import Op, index_below
from purebp.residuals import Residuals

DIRECTIONS = (False, True)


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
    """
    zeros = _zeros(x, w_h)
    halves = [
        lstm.define(x, zeros, zeros, w_x[i], w_h[i], b[i], lengths, reverse=reverse)[0]
        for i, reverse in enumerate(DIRECTIONS)
    ]
    return jnp.concatenate(halves, axis=-1)


class BidirectionalResiduals(NamedTuple):
    first: Residuals
    second: Residuals


def bidirectional_lstm_fwd(
    x: Array, w_x: Array, w_h: Array, b: Array, lengths: Array | None = None
) -> tuple[Array, BidirectionalResiduals]:
    zeros = _zeros(x, w_h)
    pairs = [
        lstm.fwd(x, zeros, zeros, w_x[i], w_h[i], b[i], lengths, reverse=reverse)
        for i, reverse in enumerate(DIRECTIONS)
    ]
    y = jnp.concatenate([outputs[0] for outputs, _ in pairs], axis=-1)
    return y, BidirectionalResiduals(*(res for _, res in pairs))


def bidirectional_lstm_bwd(res: BidirectionalResiduals, y_bar: Array) -> tuple[Array | None, ...]:
    bars = list[tuple[Array, ...]]()
    for each, half_bar in zip(res, jnp.split(y_bar, 2, axis=-1), strict=True):
        nothing = _zeros_as(jnp.sum(half_bar, axis=1))
        x_bar, _, _, *weights_bar, _ = lstm.bwd(each, (half_bar, nothing, nothing))
        bars.append((x_bar, *weights_bar))
    first, second = bars
    weights_bar = (jnp.stack(pair) for pair in zip(first[1:], second[1:], strict=True))
    return first[0] + second[0], *weights_bar, None


def _zeros(x: Array, w_h: Array) -> Array:
    """The first states (n, h)."""
    return _zeros_as(jnp.sum(x, axis=(1, 2))[:, None] * w_h[0, :, 0])


def _zeros_as(like: Array) -> Array:
    """Zeros that are sharded and vary as an array does."""
    return jnp.where(jnp.zeros((), bool), like, 0)


def check_bidirectional_lstm(
    x: Array, w_x: Array, w_h: Array, b: Array, lengths: Array | None = None
) -> None:
    """Raise unless the weights have four columns for each unit."""
    check_gates("bidirectional_lstm", "w_h", w_h, w_h[0].T, 4)


def example(rng: np.random.Generator) -> tuple[Array, ...]:
    """Arguments for verification: three sequences of three steps, of which 3, 1 and 0 count."""
    shapes = (3, 3, 2), (2, 2, 4), (2, 1, 4), (2, 4)
    drawn = [jnp.asarray(0.8 * rng.normal(size=shape), jnp.float32) for shape in shapes]
    return *drawn, jnp.asarray([3, 1, 0], jnp.int32)


bidirectional_lstm = Op(
    bidirectional_lstm_fwd,
    bidirectional_lstm_bwd,
    definition=bidirectional_lstm_definition,
    domains={"lengths": index_below("t")},
    check=check_bidirectional_lstm,
    tolerance=MAGNIFIED,
    example=example,
)

OPS = (bidirectional_lstm,)
