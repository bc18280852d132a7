"""The vanilla recurrent network: one step, and a whole sequence."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from purebp.activations import tanh
from purebp.layers.recurrent.sequence import (
    MAGNIFIED,
    State,
    Walk,
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


def rnn_step_definition(
    x: Float[Array, "n d"],
    h: Float[Array, "n h"],
    w_x: Float[Array, "d h"],
    w_h: Float[Array, "h h"],
    b: Float[Array, "h"],
) -> Float[Array, "n h"]:
    """h' = tanh(x w_x + h w_h + b), one step of a recurrent network.

    Maths: z = x w_x + h w_h + b, h' = tanh z; z_bar = h'_bar / cosh^2 z; x_bar = z_bar w_x^T,
        h_bar = z_bar w_h^T, w_x_bar = x^T z_bar, w_h_bar = h^T z_bar, b_bar = sum_n z_bar.
    Shapes: x (n, d), h and h' (n, h), w_x (d, h), w_h (h, h), b (h).
    Residuals: x, h, the weights, and z, whose slope is right in the tails too.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers.
    Source: CS231n, lecture 10 and assignment 3, rnn_step_forward.

    Example:
        >>> x = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> h = jnp.array([[0.5, -1.5], [0.3, -2.0]])
        >>> w_x = jnp.array([[-2.0, 1.5], [0.8, -0.2], [0.6, -1.0]])
        >>> w_h = jnp.array([[-0.2, 0.6], [-1.0, 1.0]])
        >>> b = jnp.array([1.0, -0.5])
        >>> y, res = rnn_step.fwd(x, h, w_x, w_h, b)
        >>> [jnp.shape(bar) for bar in rnn_step.bwd(res, y)]
        [(2, 3), (2, 2), (3, 2), (2, 2), (2,)]
    """
    return tanh.definition(x @ w_x + h @ w_h + b)


class RnnStepResiduals(NamedTuple):
    x: Float[Array, "n d"]
    h: Float[Array, "n h"]
    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    z: Float[Array, "n h"]
    b: Spec


def rnn_cell(z_x: Array, h: Array, w_h: Array, b: Array) -> tuple[Array, Array]:
    """(h', z) of a step."""
    z = z_x + h @ w_h + b
    return jnp.tanh(z), z


def rnn_cell_bwd(z: Array, h_bar: Array) -> Array:
    """z_bar = h_bar / cosh^2 z."""
    return h_bar * tanh_slope(z)


def rnn_step_fwd(
    x: Array, h: Array, w_x: Array, w_h: Array, b: Array
) -> tuple[Array, RnnStepResiduals]:
    new, z = rnn_cell(widen(x) @ widen(w_x), widen(h), widen(w_h), widen(b))
    y = new.astype(jnp.result_type(x, h, w_x, w_h, b))
    return y, RnnStepResiduals(x, h, w_x, w_h, z, spec_of(b))


def rnn_step_bwd(res: RnnStepResiduals, y_bar: Array) -> tuple[Array, ...]:
    x, h, w_x, w_h, z, b = res
    z_bar = rnn_cell_bwd(z, widen(y_bar))
    x_bar, w_x_bar = product_bars(x, w_x, z_bar)
    h_bar, w_h_bar = product_bars(h, w_h, z_bar)
    b_bar = total(z_bar).astype(b.dtype)
    return x_bar.astype(x.dtype), h_bar.astype(h.dtype), w_x_bar, w_h_bar, b_bar


SIZES = {"n": (2, 3, 1, 2), "d": (2, 4, 1, 3), "h": (3, 2, 1, 2)}

rnn_step = Op(
    rnn_step_fwd,
    rnn_step_bwd,
    definition=rnn_step_definition,
    sizes=SIZES,
    tolerance=MAGNIFIED,
)


def rnn_definition(
    x: Float[Array, "n t d"],
    h0: Float[Array, "n h"],
    w_x: Float[Array, "d h"],
    w_h: Float[Array, "h h"],
    b: Float[Array, "h"],
    lengths: Integer[Array, "n"] | None = None,
    *,
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], Float[Array, "n h"]]:
    """(y, h_T): h_t = tanh(x_t w_x + h_{t-1} w_h + b) at every time t, y all of the h_t.

    Maths: forward, z = x w_x for all steps is one product. Backward through time:
        z_bar_t = (y_bar_t + h_bar_t) / cosh^2 z_t, h_bar_{t-1} = z_bar_t w_h^T; after the walk
        x_bar = z_bar w_x^T, w_x_bar = sum_t x_t^T z_bar_t, w_h_bar = sum_t h_{t-1}^T z_bar_t,
        b_bar = sum z_bar, each one product.
        lengths: from a sequence's end on, the state is carried through unchanged: y repeats it,
        and h_T is the last valid one. reverse: from the last step to the first; steps beyond the
        end then repeat h0, and the final state is y_0.
    Shapes: x (n, t, d), h0 and h_T (n, h), w_x (d, h), w_h (h, h), b (h), lengths (n) or None;
        y (n, t, h).
    Residuals: x and the weights; of each step z and the state before it, with time leading.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError. Lengths
        below 0 count as 0, lengths above t as t.
    Source: CS231n, assignment 3, rnn_forward.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 5, 3))
        >>> h0, b = jnp.zeros((2, 4)), jnp.zeros(4)
        >>> w_x = jax.random.normal(jax.random.key(1), (3, 4))
        >>> w_h = jax.random.normal(jax.random.key(2), (4, 4))
        >>> y, res = rnn.fwd(x, h0, w_x, w_h, b)
        >>> [bar if bar is None else bar.shape for bar in rnn.bwd(res, y)]
        [(2, 5, 3), (2, 4), (3, 4), (4, 4), (4,), None]
    """
    x, h0, w_x, w_h, b = promoted(x, h0, w_x, w_h, b)
    y, final = define_sequence(_step, x, (h0,), (w_x, w_h, b), lengths, reverse)
    return y, final


def _step(*args: Array) -> State:
    return (rnn_step_definition(*args),)


class RnnResiduals(NamedTuple):
    x: Float[Array, "n t d"]
    w_x: Float[Array, "d h"]
    w_h: Float[Array, "h h"]
    lengths: Integer[Array, "n"] | None
    before: Float[Array, "t n h"]
    z: Float[Array, "t n h"]
    h0: Spec
    b: Spec


def rnn_fwd(
    x: Array,
    h0: Array,
    w_x: Array,
    w_h: Array,
    b: Array,
    lengths: Array | None = None,
    *,
    reverse: bool = False,
) -> tuple[tuple[Array, Array], RnnResiduals]:
    wide_h, wide_b = widen(w_h), widen(b)

    def cell(z: Array, state: State) -> tuple[State, State]:
        h, z = rnn_cell(z, state[0], wide_h, wide_b)
        return (h,), (z,)

    z_x = jnp.moveaxis(widen(x), 1, 0) @ widen(w_x)
    walked = walk(cell, (widen(h0),), z_x, lengths, reverse)
    dtype = jnp.result_type(x, h0, w_x, w_h, b)
    y, final = outputs(walked, reverse).astype(dtype), walked.final[0].astype(dtype)
    before, z, specs = walked.before[0], walked.saved[0], (spec_of(h0), spec_of(b))
    return (y, final), RnnResiduals(x, w_x, w_h, lengths, before, z, *specs)


def rnn_bwd(
    res: RnnResiduals, y_bar: tuple[Array, Array], *, reverse: bool = False
) -> tuple[Array | None, ...]:
    x, w_x, w_h, lengths, before, z, h0, b = res
    turned = widen(w_h).T

    def cell(saved: State, before: State, state_bar: State) -> tuple[State, State]:
        z_bar = rnn_cell_bwd(saved[0], state_bar[0])
        return (z_bar,), (z_bar @ turned,)

    walked = Walk((), (before,), (z,))
    first_bar, (z_bar,) = walk_back(cell, walked, lengths, reverse, y_bar[0], y_bar[1:])
    x_bar, w_x_bar = product_bars(jnp.moveaxis(x, 1, 0), w_x, z_bar)
    return (
        jnp.moveaxis(x_bar, 0, 1).astype(x.dtype),
        first_bar[0].astype(h0.dtype),
        w_x_bar,
        weight_bar(before, w_h, z_bar),
        total(z_bar).astype(b.dtype),
        None,
    )


def check_rnn(
    x: Array, h0: Array, w_x: Array, w_h: Array, b: Array, lengths: Array | None, *, reverse: bool
) -> None:
    """Raise unless reverse is True or False."""
    check_reverse("rnn", reverse)


rnn = Op(
    rnn_fwd,
    rnn_bwd,
    definition=rnn_definition,
    options={"reverse": (False, True)},
    domains={"lengths": index_below("t")},
    check=check_rnn,
    tolerance=MAGNIFIED,
    example=partial(example, states=1, gates=1),
)

OPS = (rnn_step, rnn)
