"""The long short-term memory: one step, and a whole sequence.

The columns of w_x, w_h and b are four blocks in the order of CS231n: input gate, forget gate,
output gate, candidate (i, f, o, g). In PyTorch, cuDNN and flax the last two are the other way
round (i, f, g, o).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from purebp.activations import sigmoid, tanh
from purebp.layers.recurrent.sequence import (
    MAGNIFIED,
    State,
    Walk,
    check_gates,
    check_reverse,
    define_sequence,
    example,
    outputs,
    product_bars,
    promoted,
    tanh_slope,
    total,
    walk,
    walk_back,
    weight_bar,
)
from purebp.numerics import widen
from purebp.op import Op, index_below
from purebp.residuals import Spec, spec_of


def lstm_step_definition(
    x: Float[Array, "n d"],
    h: Float[Array, "n h"],
    c: Float[Array, "n h"],
    w_x: Float[Array, "d k"],
    w_h: Float[Array, "h k"],
    b: Float[Array, "k"],
) -> tuple[Float[Array, "n h"], Float[Array, "n h"]]:
    """(h', c'), one step of an LSTM: c' = f c + i g, h' = o tanh c'.

    Maths: (z_i, z_f, z_o, z_g) = x w_x + h w_h + b, i = s(z_i), f = s(z_f), o = s(z_o),
        g = tanh z_g, s the sigmoid. With q = c'_bar + h'_bar o / cosh^2 c' all that reaches c':
        z_i_bar = q g s'(z_i), z_f_bar = q c s'(z_f), z_o_bar = h'_bar tanh(c') s'(z_o),
        z_g_bar = q i / cosh^2 z_g, c_bar = q f; x_bar = z_bar w_x^T, h_bar = z_bar w_h^T,
        w_x_bar = x^T z_bar, w_h_bar = h^T z_bar, b_bar = sum_n z_bar.
    Shapes: x (n, d), h, c, h', c' (n, h), w_x (d, 4h), w_h (h, 4h), b (4h); blocks i, f, o, g.
    Residuals: x, h, c, the weights and z. The gates themselves would not do: s'(z) = s(z) s(-z)
        cannot be had from a gate that rounds to 1. c' is computed again.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers.
    Source: Hochreiter and Schmidhuber 1997; CS231n, assignment 3, lstm_step_forward.

    Example:
        >>> x = jnp.array([[1.0, -0.5], [2.0, 0.5]])
        >>> h = jnp.array([[0.5, -1.5], [0.3, -2.0]])
        >>> c = jnp.array([[-2.0, 1.5], [0.8, -0.2]])
        >>> w_x = jax.random.normal(jax.random.key(3), (2, 8))
        >>> w_h = jax.random.normal(jax.random.key(4), (2, 8))
        >>> b = jnp.array([0.5, -1.5, 0.3, -2.0, 1.5, 0.8, -0.2, 0.6])
        >>> y, res = lstm_step.fwd(x, h, c, w_x, w_h, b)
        >>> [jnp.shape(bar) for bar in lstm_step.bwd(res, y)]
        [(2, 2), (2, 2), (2, 2), (2, 8), (2, 8), (8,)]
    """
    units = h.shape[-1]
    z = x @ w_x + h @ w_h + b
    i, f, o = jnp.split(sigmoid.definition(z[..., : 3 * units]), 3, axis=-1)
    c = f * c + i * tanh.definition(z[..., 3 * units :])
    return o * tanh.definition(c), c


class LstmStepResiduals(NamedTuple):
    x: Float[Array, "n d"]
    h: Float[Array, "n h"]
    c: Float[Array, "n h"]
    w_x: Float[Array, "d k"]
    w_h: Float[Array, "h k"]
    z_gates: Float[Array, "n g"]
    z_g: Float[Array, "n h"]
    b: Spec


def lstm_cell(z_x: Array, h: Array, c: Array, w_h: Array, b: Array) -> tuple[State, State]:
    """((h', c'), z of the three gates and of the candidate)."""
    z = z_x + h @ w_h + b
    z_gates, z_g = z[:, : 3 * h.shape[-1]], z[:, 3 * h.shape[-1] :]
    i, f, o = jnp.split(jax.nn.sigmoid(z_gates), 3, axis=-1)
    c = f * c + i * jnp.tanh(z_g)
    return (o * jnp.tanh(c), c), (z_gates, z_g)


def lstm_cell_bwd(
    z_gates: Array, z_g: Array, c: Array, h_bar: Array, c_bar: Array
) -> tuple[Array, Array]:
    """(z_bar, the cotangent of the c before) out of those of h' and c'."""
    gates = jax.nn.sigmoid(z_gates)
    slopes = gates * jax.nn.sigmoid(-z_gates)
    i, f, o = jnp.split(gates, 3, axis=-1)
    i_slope, f_slope, o_slope = jnp.split(slopes, 3, axis=-1)
    g = jnp.tanh(z_g)
    new = f * c + i * g
    q = c_bar + h_bar * (o * tanh_slope(new))
    z_bar = jnp.concatenate(
        [
            q * (i_slope * g),
            q * (f_slope * c),
            h_bar * (o_slope * jnp.tanh(new)),
            q * (i * tanh_slope(z_g)),
        ],
        axis=-1,
    )
    return z_bar, q * f


def lstm_step_fwd(
    x: Array, h: Array, c: Array, w_x: Array, w_h: Array, b: Array
) -> tuple[State, LstmStepResiduals]:
    z_x = widen(x) @ widen(w_x)
    new, saved = lstm_cell(z_x, widen(h), widen(c), widen(w_h), widen(b))
    dtype = jnp.result_type(x, h, c, w_x, w_h, b)
    y = (new[0].astype(dtype), new[1].astype(dtype))
    return y, LstmStepResiduals(x, h, c, w_x, w_h, saved[0], saved[1], spec_of(b))


def lstm_step_bwd(res: LstmStepResiduals, y_bar: State) -> tuple[Array, ...]:
    x, h, c, w_x, w_h, z_gates, z_g, b = res
    z_bar, c_bar = lstm_cell_bwd(z_gates, z_g, widen(c), widen(y_bar[0]), widen(y_bar[1]))
    x_bar, w_x_bar = product_bars(x, w_x, z_bar)
    h_bar, w_h_bar = product_bars(h, w_h, z_bar)
    b_bar = total(z_bar).astype(b.dtype)
    states_bar = h_bar.astype(h.dtype), c_bar.astype(c.dtype)
    return x_bar.astype(x.dtype), *states_bar, w_x_bar, w_h_bar, b_bar


def check_lstm_step(x: Array, h: Array, c: Array, w_x: Array, w_h: Array, b: Array) -> None:
    """Raise unless the weights have four columns for each unit."""
    check_gates("lstm_step", "w_x", w_x, h, 4)


SIZES = {
    "n": (2, 3, 1, 2),
    "d": (2, 4, 1, 3),
    "h": (2, 3, 1, 2),
    "k": (8, 12, 4, 8),
}

lstm_step = Op(
    lstm_step_fwd,
    lstm_step_bwd,
    definition=lstm_step_definition,
    sizes=SIZES,
    check=check_lstm_step,
    tolerance=MAGNIFIED,
)


def lstm_definition(
    x: Float[Array, "n t d"],
    h0: Float[Array, "n h"],
    c0: Float[Array, "n h"],
    w_x: Float[Array, "d k"],
    w_h: Float[Array, "h k"],
    b: Float[Array, "k"],
    lengths: Integer[Array, "n"] | None = None,
    *,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], Float[Array, "n h"], Float[Array, "n h"]]:
    """(y, h_T, c_T): an LSTM over a sequence, y the hidden states at every time.

    Maths: that of lstm_step at every time. Forward, x w_x is one product for all steps. Backward
        through time, h_bar_{t-1} = z_bar_t w_h^T and c_bar_{t-1} = q_t f_t; after the walk
        x_bar = z_bar w_x^T, w_x_bar = sum_t x_t^T z_bar_t, w_h_bar = sum_t h_{t-1}^T z_bar_t,
        b_bar = sum z_bar, each one product.
        lengths: from a sequence's end on, the state is carried through unchanged: y repeats it,
        and h_T, c_T are the last valid ones. reverse: from the last step to the first; steps
        beyond the end then repeat h0, and the final state is that at time 0.
    Shapes: x (n, t, d), h0, c0, h_T, c_T (n, h), w_x (d, 4h), w_h (h, 4h), b (4h), blocks
        i, f, o, g; lengths (n) or None; y (n, t, h).
    Residuals: x and the weights; of each step z and the h and c before it, with time leading.
        Not the gates (see lstm_step), and not c_t, which they give back.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError. Lengths
        below 0 count as 0, lengths above t as t.
    Source: Hochreiter and Schmidhuber 1997; CS231n, assignment 3, lstm_forward.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 5, 3))
        >>> h0, c0, b = jnp.zeros((2, 4)), jnp.zeros((2, 4)), jnp.zeros(16)
        >>> w_x = jax.random.normal(jax.random.key(1), (3, 16))
        >>> w_h = jax.random.normal(jax.random.key(2), (4, 16))
        >>> y, res = lstm.fwd(x, h0, c0, w_x, w_h, b)
        >>> [bar if bar is None else bar.shape for bar in lstm.bwd(res, y)]
        [(2, 5, 3), (2, 4), (2, 4), (3, 16), (4, 16), (16,), None]
    """
    x, h0, c0, *weights = promoted(x, h0, c0, w_x, w_h, b)
    y, h, c = define_sequence(lstm_step_definition, x, (h0, c0), weights, lengths, reverse)
    return y, h, c


class LstmResiduals(NamedTuple):
    x: Float[Array, "n t d"]
    w_x: Float[Array, "d k"]
    w_h: Float[Array, "h k"]
    lengths: Integer[Array, "n"] | None
    h: Float[Array, "t n h"]
    c: Float[Array, "t n h"]
    z_gates: Float[Array, "t n g"]
    z_g: Float[Array, "t n h"]
    h0: Spec
    c0: Spec
    b: Spec


def lstm_fwd(
    x: Array,
    h0: Array,
    c0: Array,
    w_x: Array,
    w_h: Array,
    b: Array,
    lengths: Array | None = None,
    *,
    reverse: bool = False,
) -> tuple[tuple[Array, Array, Array], LstmResiduals]:
    wide_h, wide_b = widen(w_h), widen(b)

    def cell(z: Array, state: State) -> tuple[State, State]:
        h, c = state
        return lstm_cell(z, h, c, wide_h, wide_b)

    z_x = jnp.moveaxis(widen(x), 1, 0) @ widen(w_x)
    walked = walk(cell, (widen(h0), widen(c0)), z_x, lengths, reverse)
    dtype = jnp.result_type(x, h0, c0, w_x, w_h, b)
    h, c = walked.final
    y = (outputs(walked, reverse).astype(dtype), h.astype(dtype), c.astype(dtype))
    (h, c), (z_gates, z_g) = walked.before, walked.saved
    specs = spec_of(h0), spec_of(c0), spec_of(b)
    return y, LstmResiduals(x, w_x, w_h, lengths, h, c, z_gates, z_g, *specs)


def lstm_bwd(
    res: LstmResiduals, y_bar: tuple[Array, Array, Array], *, reverse: bool = False
) -> tuple[Array | None, ...]:
    x, w_x, w_h, lengths, h, c, z_gates, z_g, h0, c0, b = res
    turned = widen(w_h).T

    def cell(saved: State, before: State, state_bar: State) -> tuple[State, State]:
        (z_gates, z_g), (_, c), (h_bar, c_bar) = saved, before, state_bar
        z_bar, c_bar = lstm_cell_bwd(z_gates, z_g, c, h_bar, c_bar)
        return (z_bar,), (z_bar @ turned, c_bar)

    walked = Walk((), (h, c), (z_gates, z_g))
    first_bar, (z_bar,) = walk_back(cell, walked, lengths, reverse, y_bar[0], y_bar[1:])
    x_bar, w_x_bar = product_bars(jnp.moveaxis(x, 1, 0), w_x, z_bar)
    return (
        jnp.moveaxis(x_bar, 0, 1).astype(x.dtype),
        first_bar[0].astype(h0.dtype),
        first_bar[1].astype(c0.dtype),
        w_x_bar,
        weight_bar(h, w_h, z_bar),
        total(z_bar).astype(b.dtype),
        None,
    )


def check_lstm(
    x: Array,
    h0: Array,
    c0: Array,
    w_x: Array,
    w_h: Array,
    b: Array,
    lengths: Array | None,
    *,
    reverse: bool,
) -> None:
    """Raise unless the weights have four columns for each unit."""
    check_gates("lstm", "w_x", w_x, h0, 4)
    check_reverse("lstm", reverse)


lstm = Op(
    lstm_fwd,
    lstm_bwd,
    definition=lstm_definition,
    options={"reverse": (False, True)},
    domains={"lengths": index_below("t")},
    check=check_lstm,
    tolerance=MAGNIFIED,
    example=partial(example, states=2, gates=4),
)

OPS = (lstm_step, lstm)
