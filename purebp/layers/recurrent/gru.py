"""The gated recurrent unit: a whole sequence, by the cell of `gru_step`."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from purebp.layers.recurrent.gru_step import (
    RESETS,
    Reset,
    check_reset,
    given,
    gru_cell,
    gru_cell_bwd,
    gru_step_definition,
    weight_bars,
    wide_weights,
)
from purebp.layers.recurrent.sequence import (
    MAGNIFIED,
    State,
    Walk,
    check_gates,
    check_reverse,
    define_sequence,
    example,
    outputs,
    promoted,
    walk,
    walk_back,
)
from purebp.numerics import widen
from purebp.op import Op, index_below
from purebp.residuals import Spec, spec_of


def gru_definition(
    x: Float[Array, "n t d"],
    h0: Float[Array, "n h"],
    w_x: Float[Array, "d k"],
    w_h: Float[Array, "h k"],
    b: Float[Array, "k"],
    b_hidden: Float[Array, "h"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    *,
    reset: Reset = "after",
    reverse: bool = False,
) -> tuple[Float[Array, "n t h"], Float[Array, "n h"]]:
    """(y, h_T): a gated recurrent unit over a sequence, y the states at every time.

    Maths: that of gru_step at every time. Forward, x w_x is one product for all steps. Backward
        through time only h_bar is carried; after the walk the cotangents of x, w_x, w_h and the
        biases are one product or one sum each over all steps.
        lengths: from a sequence's end on, the state is carried through unchanged: y repeats it,
        and h_T is the last valid one. reverse: from the last step to the first; steps beyond the
        end then repeat h0, and the final state is y_0.
    Shapes: x (n, t, d), h0 and h_T (n, h), w_x (d, 3h), w_h (h, 3h), b (3h), blocks r, z, n;
        b_hidden (h) or None, lengths (n) or None; y (n, t, h).
    Residuals: x and the weights; of each step a, m (with reset after) and the state before it,
        with time leading. Not the gates; see gru_step.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError. Lengths
        below 0 count as 0, lengths above t as t.
    Source: Cho et al. 2014, equations 5 to 8 ("before", with z for their 1 - z); cuDNN ("after").

    Example:
        >>> x, h0 = jax.random.normal(jax.random.key(0), (2, 5, 3)), jnp.zeros((2, 4))
        >>> w_x = jax.random.normal(jax.random.key(1), (3, 12))
        >>> w_h = jax.random.normal(jax.random.key(2), (4, 12))
        >>> b, b_hidden = jnp.zeros(12), jnp.zeros(4)
        >>> y, res = gru.fwd(x, h0, w_x, w_h, b, b_hidden)
        >>> [bar if bar is None else bar.shape for bar in gru.bwd(res, y)]
        [(2, 5, 3), (2, 4), (3, 12), (4, 12), (12,), (4,), None]
    """
    weights = [w_x, w_h, *given(b, b_hidden)]
    x, h0, *weights = promoted(x, h0, *weights)

    def step(*args: Array) -> State:
        return (gru_step_definition(*args, reset=reset),)

    y, final = define_sequence(step, x, (h0,), weights, lengths, reverse)
    return y, final


class GruResiduals(NamedTuple):
    x: Float[Array, "n t d"]
    w_x: Float[Array, "d k"]
    w_h: Float[Array, "h k"]
    lengths: Integer[Array, "n"] | None
    before: Float[Array, "t n h"]
    saved: State
    h0: Spec
    biases: tuple[Spec, ...]


def gru_fwd(
    x: Array,
    h0: Array,
    w_x: Array,
    w_h: Array,
    b: Array,
    b_hidden: Array | None = None,
    lengths: Array | None = None,
    *,
    reset: Reset = "after",
    reverse: bool = False,
) -> tuple[tuple[Array, Array], GruResiduals]:
    weights = wide_weights(w_h, b, b_hidden)

    def cell(z: Array, state: State) -> tuple[State, State]:
        new, saved = gru_cell(z, state[0], weights, reset)
        return (new,), saved

    z_x = jnp.moveaxis(widen(x), 1, 0) @ widen(w_x)
    walked = walk(cell, (widen(h0),), z_x, lengths, reverse)
    dtype = jnp.result_type(*given(x, h0, w_x, w_h, b, b_hidden))
    y, final = outputs(walked, reverse).astype(dtype), walked.final[0].astype(dtype)
    biases = tuple(map(spec_of, given(b, b_hidden)))
    before, h0_spec = walked.before[0], spec_of(h0)
    res = GruResiduals(x, w_x, w_h, lengths, before, walked.saved, h0_spec, biases)
    return (y, final), res


def gru_bwd(
    res: GruResiduals, y_bar: tuple[Array, Array], *, reverse: bool = False
) -> tuple[Array | None, ...]:
    x, w_x, w_h, lengths, before, saved, h0, biases = res
    turned = widen(w_h).T

    def cell(saved: State, before: State, state_bar: State) -> tuple[State, State]:
        kept, h_bar = gru_cell_bwd(saved, before[0], state_bar[0], turned)
        return kept, (h_bar,)

    walked = Walk((), (before,), saved)
    first_bar, kept = walk_back(cell, walked, lengths, reverse, y_bar[0], y_bar[1:])
    bars = weight_bars(jnp.moveaxis(x, 1, 0), before, w_x, w_h, saved, kept, biases)
    x_bar = jnp.moveaxis(bars.x, 0, 1).astype(x.dtype)
    return x_bar, first_bar[0].astype(h0.dtype), *bars[1:], None


def check_gru(
    x: Array,
    h0: Array,
    w_x: Array,
    w_h: Array,
    b: Array,
    b_hidden: Array | None,
    lengths: Array | None,
    *,
    reset: str,
    reverse: bool,
) -> None:
    """Raise unless the weights have three columns for each unit and the options are known."""
    check_gates("gru", "w_x", w_x, h0, 3)
    check_reset("gru", reset)
    check_reverse("gru", reverse)


gru = Op(
    gru_fwd,
    gru_bwd,
    definition=gru_definition,
    options={"reset": RESETS, "reverse": (False, True)},
    domains={"lengths": index_below("t")},
    check=check_gru,
    tolerance=MAGNIFIED,
    example=partial(example, states=1, gates=3, biases=1),
)

OPS = (gru,)
