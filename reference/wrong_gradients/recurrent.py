"""Recurrent layers: outputs that are not used or not heard, masks of other steps, copied lines."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

from reference.wrong_gradients.layer import Layer

Residuals = Any
Bars = tuple[Array, ...]


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), whose derivative by autodiff keeps its digits in the tails."""
    e = jnp.exp(jnp.where(z >= 0, -z, z))
    return jnp.where(z >= 0, 1, e) / (1 + e)


def tanh(z: Array) -> Array:
    """(1 - e) / (1 + e) with e = exp(-2z); autodiff of `jnp.tanh` cancels in the tails."""
    e = jnp.exp(jnp.where(z >= 0, -2 * z, 2 * z))
    tail = jnp.where(z >= 0, 1, -1) * (1 - e) / (1 + e)
    return jnp.where(jnp.abs(z) < 1, jnp.tanh(z), tail)


def _sigmoid_slope(z: Array) -> Array:
    return sigmoid(z) * sigmoid(-z)


def _tanh_slope(z: Array) -> Array:
    return 4 * sigmoid(2 * z) * sigmoid(-2 * z)


def cell(z: Array, c: Array) -> tuple[Array, Array]:
    """c' = f c + i g and h = o tanh(c'); i, f, o = sigmoid and g = tanh of the quarters of z."""
    if z.ndim != 2 or c.shape != (len(z), z.shape[1] // 4) or z.shape[1] % 4:
        raise ValueError(f"cell: z {z.shape} and c {c.shape} do not fit, expected (n, 4h), (n, h)")
    i, f, o, g = jnp.split(z, 4, axis=1)
    after = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(after), after


def _cell_bars(z: Array, c: Array, h_bar: Array, after_bar: Array) -> tuple[Array, Array]:
    """The cotangents of z and c, by way of the whole cotangent of c'."""
    i, f, o, g = jnp.split(z, 4, axis=1)
    after = sigmoid(f) * c + sigmoid(i) * tanh(g)
    after_bar = after_bar + h_bar * sigmoid(o) * _tanh_slope(after)
    i_bar = after_bar * tanh(g) * _sigmoid_slope(i)
    f_bar = after_bar * c * _sigmoid_slope(f)
    o_bar = h_bar * tanh(after) * _sigmoid_slope(o)
    g_bar = after_bar * sigmoid(i) * _tanh_slope(g)
    z_bar = jnp.concatenate([i_bar, f_bar, o_bar, g_bar], axis=1)
    return z_bar.astype(z.dtype), (after_bar * sigmoid(f)).astype(c.dtype)


def _cell_fwd(z: Any, c: Any) -> tuple[Any, Residuals]:
    return cell(z.value, c.value), (z.value, c.value)


def _dense(bar: Any) -> Array:
    return jnp.zeros(bar.shape, str(bar.dtype)) if isinstance(bar, SymbolicZero) else bar


def _cell_bwd(residuals: Residuals, bars: tuple[Any, Any]) -> Bars:
    """An output that is not used has the cotangent 0."""
    h_bar, after_bar = bars
    z, c = residuals
    return _cell_bars(z, c, _dense(h_bar), _dense(after_bar))


def _cell_bwd_early(residuals: Residuals, bars: tuple[Any, Any]) -> Bars:
    """Without a cotangent for c' there is only the output gate."""
    h_bar, after_bar = bars
    z, c = residuals
    if not isinstance(after_bar, SymbolicZero):
        return _cell_bars(z, c, _dense(h_bar), after_bar)
    o = jnp.split(z, 4, axis=1)[2]
    o_bar = _dense(h_bar) * tanh(cell(z, c)[1]) * _sigmoid_slope(o)
    nothing = jnp.zeros_like(c)
    z_bar = jnp.concatenate([nothing, nothing, o_bar, nothing], axis=1)
    return z_bar.astype(z.dtype), nothing


full_cell = jax.custom_vjp(cell)
full_cell.defvjp(_cell_fwd, _cell_bwd, symbolic_zeros=True)
early_cell = jax.custom_vjp(cell)
early_cell.defvjp(_cell_fwd, _cell_bwd_early, symbolic_zeros=True)


def _check_weights(name: str, x: Array, wx: Array, wh: Array, gates: int) -> None:
    if x.ndim != 3 or wx.ndim != 2 or wh.ndim != 2 or x.shape[2] != wx.shape[0]:
        raise ValueError(f"{name}: x {x.shape}, wx {wx.shape} and wh {wh.shape} do not fit")
    if wx.shape[1] != gates * len(wh) or wh.shape[1] != wx.shape[1]:
        raise ValueError(f"{name}: wx {wx.shape} and wh {wh.shape}, expected {gates} gates of both")


def lstm_fwd(x: Array, wx: Array, wh: Array, b: Array) -> tuple[tuple[Array, Array], Residuals]:
    """All h, and the last c, of cells with z = x_t wx + h wh + b."""
    _check_weights("lstm", x, wx, wh, 4)
    if b.shape != wx.shape[1:]:
        raise ValueError(f"lstm: wx {wx.shape} and b {b.shape} do not fit")

    def step(state: tuple[Array, Array], x_t: Array) -> tuple[tuple[Array, Array], Bars]:
        h, c = state
        z = x_t @ wx + h @ wh + b
        after = cell(z, c)
        return after, (after[0], h, c, z)

    start = jnp.zeros((x.shape[1], len(wh)), jnp.result_type(x, wx, wh, b))
    (_, c_last), (hs, before, cs, zs) = lax.scan(step, (start, start), x)
    return (hs, c_last), (x, wx, wh, b, before, cs, zs)


def _lstm_bars(residuals: Residuals, hs_bar: Array, c_last_bar: Array) -> Bars:
    x, wx, wh, b, before, cs, zs = residuals

    def step(bars: tuple[Array, Array], at: Bars) -> tuple[tuple[Array, Array], Array]:
        h_bar, c_bar = bars
        out_bar, c, z = at
        z_bar, c_bar = _cell_bars(z, c, out_bar + h_bar, c_bar)
        return (z_bar @ wh.T, c_bar), z_bar

    start = jnp.zeros_like(c_last_bar), c_last_bar
    zs_bar = lax.scan(step, start, (hs_bar, cs, zs), reverse=True)[1]
    wx_bar = jnp.einsum("tnd,tnk->dk", x, zs_bar)
    wh_bar = jnp.einsum("tnh,tnk->hk", before, zs_bar)
    bars = (zs_bar @ wx.T, wx_bar, wh_bar, jnp.sum(zs_bar, axis=(0, 1)))
    return tuple(bar.astype(a.dtype) for bar, a in zip(bars, (x, wx, wh, b), strict=True))


def lstm_bwd(residuals: Residuals, bars: tuple[Array, Array]) -> Bars:
    """From the last step to the first; the cotangent of the last c comes in at the end."""
    return _lstm_bars(residuals, *bars)


def lstm_bwd_deaf(residuals: Residuals, bars: tuple[Array, Array]) -> Bars:
    """It starts from 0 there."""
    hs_bar, c_last_bar = bars
    return _lstm_bars(residuals, hs_bar, jnp.zeros_like(c_last_bar))


def gru_fwd(
    x: Array, noise: Array, wx: Array, wh: Array, *, zoneout: float = 0.0
) -> tuple[Array, Residuals]:
    """All h: z h + (1 - z) tanh(m + r (h wh_m)), the old h where |noise| < zoneout."""
    _check_weights("gru", x, wx, wh, 3)
    if noise.shape != (*x.shape[:2], len(wh)):
        raise ValueError(f"gru: x {x.shape}, noise {noise.shape} and wh {wh.shape} do not fit")
    if not 0 <= zoneout < 1:
        raise ValueError(f"gru: zoneout is {zoneout}, expected 0 <= zoneout < 1")
    kept = jnp.abs(noise) < zoneout

    def step(h: Array, at: Bars) -> tuple[Array, Bars]:
        x_t, kept_t = at
        (a_z, a_r, a_m), (b_z, b_r, b_m) = _thirds(x_t @ wx), _thirds(h @ wh)
        m = tanh(a_m + sigmoid(a_r + b_r) * b_m)
        after = jnp.where(kept_t, h, _between(a_z + b_z, h, m))
        return after, (after, h)

    start = jnp.zeros((x.shape[1], len(wh)), jnp.result_type(x, wx, wh))
    _, (hs, before) = lax.scan(step, start, (x, kept))
    return hs, (x, noise, wx, wh, kept, before)


def _between(z: Array, h: Array, m: Array) -> Array:
    """sigmoid(z) h + sigmoid(-z) m, from the one that is nearer."""
    return jnp.where(z >= 0, h - sigmoid(-z) * (h - m), m + sigmoid(z) * (h - m))


def _thirds(z: Array) -> list[Array]:
    return jnp.split(z, 3, axis=1)


def _gru_bars(residuals: Residuals, y_bar: Array, kept: Array) -> Bars:
    x, noise, wx, wh, _, before = residuals

    def step(h_bar: Array, at: Bars) -> tuple[Array, Bars]:
        out_bar, x_t, h, kept_t = at
        (a_z, a_r, a_m), (b_z, b_r, b_m) = _thirds(x_t @ wx), _thirds(h @ wh)
        z, r = a_z + b_z, a_r + b_r
        m = a_m + sigmoid(r) * b_m
        out_bar = out_bar + h_bar
        new_bar = jnp.where(kept_t, 0, out_bar)
        z_bar = new_bar * (h - tanh(m)) * _sigmoid_slope(z)
        m_bar = new_bar * sigmoid(-z) * _tanh_slope(m)
        r_bar = m_bar * b_m * _sigmoid_slope(r)
        a_bar = jnp.concatenate([z_bar, r_bar, m_bar], axis=1)
        b_bar = jnp.concatenate([z_bar, r_bar, m_bar * sigmoid(r)], axis=1)
        h_bar = jnp.where(kept_t, out_bar, 0) + new_bar * sigmoid(z) + b_bar @ wh.T
        return h_bar, (a_bar, b_bar)

    inputs = (y_bar, x, before, kept)
    _, (a_bar, b_bar) = lax.scan(
        step, jnp.zeros(y_bar.shape[1:], y_bar.dtype), inputs, reverse=True
    )
    wx_bar = jnp.einsum("tnd,tnk->dk", x, a_bar).astype(wx.dtype)
    wh_bar = jnp.einsum("tnh,tnk->hk", before, b_bar).astype(wh.dtype)
    return (a_bar @ wx.T).astype(x.dtype), jnp.zeros_like(noise), wx_bar, wh_bar


def gru_bwd(residuals: Residuals, y_bar: Array) -> Bars:
    """From the last step to the first, each with its mask."""
    return _gru_bars(residuals, y_bar, residuals[4])


def gru_bwd_first_mask(residuals: Residuals, y_bar: Array) -> Bars:
    """All with the mask of the first."""
    kept = residuals[4]
    return _gru_bars(residuals, y_bar, jnp.broadcast_to(kept[:1], kept.shape))


def _arrays(rng: np.random.Generator, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(rng.standard_normal(shape, np.float32) for shape in shapes)


def cell_arrays(rng: np.random.Generator) -> tuple[Any, ...]:
    """The gates of two cells of three, and their state."""
    return _arrays(rng, (2, 12), (2, 3))


def lstm_arrays(rng: np.random.Generator) -> tuple[Any, ...]:
    """Five steps of two sequences, with the weights."""
    return _arrays(rng, (5, 2, 3), (3, 16), (4, 16), (16,))


def gru_arrays(rng: np.random.Generator) -> tuple[Any, ...]:
    """Five steps of two sequences, uniform noise, the weights."""
    x, wx, wh = _arrays(rng, (5, 2, 3), (3, 12), (4, 12))
    return x, rng.random((5, 2, 4), np.float32), wx, wh


LAYERS = (
    Layer(
        "lstm_cell_unused_state",
        "B124",
        early_cell,
        full_cell,
        cell_arrays,
        "term missing",
        why="right for explicit zeros; the unused output has to stay a symbolic zero",
    ),
    Layer(
        "lstm_last_state",
        "B178",
        (lstm_fwd, lstm_bwd_deaf),
        (lstm_fwd, lstm_bwd),
        lstm_arrays,
        "output ignored",
    ),
    Layer(
        "gru_zoneout",
        "B177",
        (gru_fwd, gru_bwd_first_mask),
        (gru_fwd, gru_bwd),
        gru_arrays,
        "option",
    ),
)
