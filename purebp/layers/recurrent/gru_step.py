"""The gated recurrent unit: one step.

The columns of w_x, w_h and b are three blocks: reset gate, update gate, candidate (r, z, n), as in
PyTorch, cuDNN and flax.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.activations import sigmoid, tanh
from purebp.errors import OptionError
from purebp.layers.recurrent.sequence import (
    MAGNIFIED,
    State,
    check_gates,
    product_bars,
    tanh_slope,
    total,
    weight_bar,
)
from purebp.numerics import widen
from purebp.op import Op
from purebp.residuals import Spec, spec_of

Reset = Literal["after", "before"]
RESETS = ("after", "before")


def gru_step_definition(
    x: Float[Array, "n d"],
    h: Float[Array, "n h"],
    w_x: Float[Array, "d k"],
    w_h: Float[Array, "h k"],
    b: Float[Array, "k"],
    b_hidden: Float[Array, "h"] | None = None,
    *,
    reset: Reset = "after",
) -> Float[Array, "n h"]:
    """h' = (1 - z) n + z h, one step of a gated recurrent unit.

    Maths: r = s(a_r), z = s(a_z), n = tanh a_n, s the sigmoid, with
        (a_r, a_z, a_n) = x w_x + b + (h w_r, h w_z, r m), m = h w_n + b_hidden; w_h = (w_r, w_z,
        w_n). With reset "before" the last entry is m = (r h) w_n + b_hidden.
        a_n_bar = h'_bar (1 - z) / cosh^2 a_n, a_z_bar = h'_bar (h - n) s'(a_z); "after":
        a_r_bar = a_n_bar m s'(a_r), m_bar = a_n_bar r; "before": m_bar = a_n_bar,
        (r h)_bar = m_bar w_n^T, a_r_bar = (r h)_bar h s'(a_r). h_bar collects h'_bar z, the
        products with w_h^T and, "before", (r h)_bar r.
    Shapes: x (n, d), h and h' (n, h), w_x (d, 3h), w_h (h, 3h), b (3h), blocks r, z, n;
        b_hidden (h) or None.
    Residuals: x, h, the weights, a and, "after", m. The gates themselves would not do:
        s'(a) = s(a) s(-a) cannot be had from a gate that rounds to 1.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError.
    Source: Cho et al. 2014, equations 5 to 8 ("before", with z for their 1 - z); cuDNN ("after").

    Example:
        >>> x = jnp.array([[1.0, -0.5], [2.0, 0.5]])
        >>> h = jnp.array([[0.5, -1.5], [0.3, -2.0]])
        >>> w_x = jax.random.normal(jax.random.key(2), (2, 6))
        >>> w_h = jax.random.normal(jax.random.key(3), (2, 6))
        >>> b = jnp.array([1.0, -0.5, 2.0, 0.5, -1.5, 0.3])
        >>> b_hidden = jnp.array([0.5, -1.5])
        >>> y, res = gru_step.fwd(x, h, w_x, w_h, b, b_hidden)
        >>> [jnp.shape(bar) for bar in gru_step.bwd(res, jnp.ones_like(y))]
        [(2, 2), (2, 2), (2, 6), (2, 6), (6,), (2,)]
    """
    units = h.shape[-1]
    w_gates, w_n = w_h[:, : 2 * units], w_h[:, 2 * units :]
    a = x @ w_x + b
    gates = a[:, : 2 * units] + h @ w_gates
    r, z = jnp.split(sigmoid.definition(gates), 2, axis=-1)
    m = h @ w_n if reset == "after" else (r * h) @ w_n
    m = m if b_hidden is None else m + b_hidden
    n = tanh.definition(a[:, 2 * units :] + (r * m if reset == "after" else m))
    return sigmoid.definition(-gates[:, units:]) * n + z * h


class Weights(NamedTuple):
    """What a cell multiplies the state with, and adds."""

    w_h: Array
    b: Array
    b_hidden: Array | None


def gru_cell(z_x: Array, h: Array, weights: Weights, reset: str) -> tuple[Array, State]:
    """(h', (a_r and a_z, a_n) and, with reset after, m)."""
    w_h, b, b_hidden = weights
    units = h.shape[-1]
    a = z_x + b
    after = h @ w_h if reset == "after" else h @ w_h[:, : 2 * units]
    gates = a[:, : 2 * units] + after[:, : 2 * units]
    r, z = jnp.split(jax.nn.sigmoid(gates), 2, axis=-1)
    m = after[:, 2 * units :] if reset == "after" else (r * h) @ w_h[:, 2 * units :]
    m = m if b_hidden is None else m + b_hidden
    a_n = a[:, 2 * units :] + (r * m if reset == "after" else m)
    new = jax.nn.sigmoid(-gates[:, units:]) * jnp.tanh(a_n) + z * h
    return new, (gates, a_n, m) if reset == "after" else (gates, a_n)


def gru_cell_bwd(saved: State, h: Array, h_bar: Array, turned: Array) -> tuple[State, Array]:
    """((cotangent of h w_h, that of a_n), the cotangent of the h before); `turned` is w_h^T.

    With reset before, h does not meet w_n: the first is that of the two gates alone.
    """
    gates, a_n, *m = saved
    units = h.shape[-1]
    r, z = jnp.split(jax.nn.sigmoid(gates), 2, axis=-1)
    other = jax.nn.sigmoid(-gates)
    n_bar = h_bar * other[:, units:] * tanh_slope(a_n)
    z_bar = h_bar * (h - jnp.tanh(a_n)) * (z * other[:, units:])
    r_slope = r * other[:, :units]
    if m:
        product_bar = jnp.concatenate([n_bar * m[0] * r_slope, z_bar, n_bar * r], axis=-1)
        return (product_bar, n_bar), h_bar * z + product_bar @ turned
    reset_bar = n_bar @ turned[2 * units :]
    product_bar = jnp.concatenate([reset_bar * h * r_slope, z_bar], axis=-1)
    return (product_bar, n_bar), h_bar * z + reset_bar * r + product_bar @ turned[: 2 * units]


class GruBars(NamedTuple):
    x: Array
    w_x: Array
    w_h: Array
    b: Array
    b_hidden: Array | None


def weight_bars(
    x: Array, h: Array, w_x: Array, w_h: Array, saved: State, kept: State, biases: tuple[Spec, ...]
) -> GruBars:
    """Each one product over all steps and examples; h is the state before each step."""
    product_bar, n_bar = kept
    units = h.shape[-1]
    a_bar = jnp.concatenate([product_bar[..., : 2 * units], n_bar], axis=-1)
    x_bar, w_x_bar = product_bars(x, w_x, a_bar)
    if len(saved) == 3:
        w_h_bar, m_bar = weight_bar(h, w_h, product_bar), product_bar[..., 2 * units :]
    else:
        reset = jax.nn.sigmoid(saved[0][..., :units]) * widen(h)
        parts = (h, w_h[:, : 2 * units], product_bar), (reset, w_h[:, 2 * units :], n_bar)
        w_h_bar = jnp.concatenate([weight_bar(*part) for part in parts], axis=-1)
        m_bar = n_bar
    b, *hidden = biases
    b_hidden_bar = total(m_bar).astype(hidden[0].dtype) if hidden else None
    return GruBars(x_bar, w_x_bar, w_h_bar, total(a_bar).astype(b.dtype), b_hidden_bar)


def wide_weights(w_h: Array, b: Array, b_hidden: Array | None) -> Weights:
    return Weights(widen(w_h), widen(b), None if b_hidden is None else widen(b_hidden))


def given(*arrays: Array | None) -> tuple[Array, ...]:
    return tuple(array for array in arrays if array is not None)


class GruStepResiduals(NamedTuple):
    x: Float[Array, "n d"]
    h: Float[Array, "n h"]
    w_x: Float[Array, "d k"]
    w_h: Float[Array, "h k"]
    saved: State
    biases: tuple[Spec, ...]


def gru_step_fwd(
    x: Array,
    h: Array,
    w_x: Array,
    w_h: Array,
    b: Array,
    b_hidden: Array | None = None,
    *,
    reset: Reset = "after",
) -> tuple[Array, GruStepResiduals]:
    weights = wide_weights(w_h, b, b_hidden)
    new, saved = gru_cell(widen(x) @ widen(w_x), widen(h), weights, reset)
    y = new.astype(jnp.result_type(*given(x, h, w_x, w_h, b, b_hidden)))
    biases = tuple(map(spec_of, given(b, b_hidden)))
    return y, GruStepResiduals(x, h, w_x, w_h, saved, biases)


def gru_step_bwd(res: GruStepResiduals, y_bar: Array) -> tuple[Array | None, ...]:
    x, h, w_x, w_h, saved, biases = res
    kept, h_bar = gru_cell_bwd(saved, widen(h), widen(y_bar), widen(w_h).T)
    bars = weight_bars(x, h, w_x, w_h, saved, kept, biases)
    return bars.x.astype(x.dtype), h_bar.astype(h.dtype), *bars[1:]


def check_gru_step(
    x: Array, h: Array, w_x: Array, w_h: Array, b: Array, b_hidden: Array | None, *, reset: str
) -> None:
    """Raise unless the weights have three columns for each unit and reset is known."""
    check_gates("gru_step", "w_x", w_x, h, 3)
    check_reset("gru_step", reset)


def check_reset(op: str, reset: str) -> None:
    if reset not in RESETS:
        known = " or ".join(map(repr, RESETS))
        raise OptionError(f"{op}: reset is {reset!r}, expected {known}")


SIZES = {
    "n": (2, 3, 1, 2),
    "d": (2, 4, 1, 3),
    "h": (2, 3, 1, 2),
    "k": (6, 9, 3, 6),
}

gru_step = Op(
    gru_step_fwd,
    gru_step_bwd,
    definition=gru_step_definition,
    options={"reset": RESETS},
    sizes=SIZES,
    check=check_gru_step,
    tolerance=MAGNIFIED,
)

OPS = (gru_step,)
