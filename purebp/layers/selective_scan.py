"""The selective scan of Mamba: a linear recurrence whose coefficients depend on the input."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.layers.chunks import by_time, in_chunks, out_of_chunks, over_chunks
from purebp.numerics import widen, zeros_of
from purebp.op import POSITIVE, Op, between, conditioned
from purebp.residuals import Spec, spec_of

Pair = tuple[Array, Array]


def selective_scan_definition(
    u: Float[Array, "n t d"],
    delta: Float[Array, "n t d"],
    a: Float[Array, "d s"],
    b: Float[Array, "n t s"],
    c: Float[Array, "n t s"],
    d: Float[Array, "d"] | None = None,
    h0: Float[Array, "n d s"] | None = None,
    *,
    block: int = 64,
) -> tuple[Float[Array, "n t d"], Float[Array, "n d s"]]:
    """(y, h_T): y_t = <c_t, h_t> + d u_t, h_t = e^(delta_t a) h_(t-1) + delta_t u_t b_t.

    Maths: for each feature d there are s states. Backward, with g the cotangent of y,
        h_bar_t = c_t g_t + e^(delta_(t+1) a) h_bar_(t+1), from the last step, to which the
        cotangent of h_T adds, to the first; h0_bar = e^(delta_1 a) h_bar_1; and with
        k_t = e^(delta_t a) h_(t-1), what is left of the state before:
        c_bar_t = sum_d g_t h_t, b_bar_t = sum_d h_bar_t delta_t u_t,
        u_bar_t = delta_t <h_bar_t, b_t> + d g_t, d_bar = sum_nt g u,
        delta_bar_t = u_t <h_bar_t, b_t> + <h_bar_t k_t, a>, a_bar = sum_nt delta h_bar k.
        The step is Euler's for b and exact for a, as in Mamba. A sequence in two parts, the second
        from the h_T of the first, gives the same as in one.
    Shapes: u, delta, y (n, t, d); a (d, s); b, c (n, t, s); d (d) or None; h0 (n, d, s), None for
        zeros, and h_T (n, d, s). Time is in pieces of `block` steps, which changes nothing but
        the cost.
    Residuals: the arguments, and the state at the start of each piece: t / block of them. The
        states between are computed again, one piece at a time, so that none of the t states and
        coefficients (n, d, s) is kept.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError for a block
        below 1. The recurrence grows where delta a is above 0: in Mamba a < 0 < delta.
    Source: Gu and Dao 2023, "Mamba", algorithm 2; derived by hand.

    Example:
        >>> u = jax.random.normal(jax.random.key(0), (2, 3, 2))
        >>> delta = jnp.full((2, 3, 2), 0.5)
        >>> a = jnp.array([[-1.2, -0.6], [-1.5, -0.9]])
        >>> b = jax.random.normal(jax.random.key(3), (2, 3, 2))
        >>> c = jax.random.normal(jax.random.key(4), (2, 3, 2))
        >>> d = jnp.array([0.5, -1.5])
        >>> h0 = jnp.array([[[-2.0, 1.5], [0.8, -0.2]], [[0.6, -1.0], [1.0, -0.5]]])
        >>> y, res = selective_scan.fwd(u, delta, a, b, c, d, h0)
        >>> [jnp.shape(bar) for bar in selective_scan.bwd(res, y)]
        [(2, 3, 2), (2, 3, 2), (2, 2), (2, 3, 2), (2, 3, 2), (2,), (2, 2, 2)]
    """
    dtype = _common(u, delta, a, b, c, d, h0)
    skipped = 0 if d is None else widen(u) * widen(d)
    wide = jnp.promote_types(dtype, jnp.float32)
    u, delta, a, b, c = (each.astype(wide) for each in (u, delta, a, b, c))
    first = _zero_state(delta, a.T).mT if h0 is None else h0.astype(wide)

    def step(h: Array, xs: tuple[Array, ...]) -> Pair:
        u, delta, b, c = xs
        h = jnp.exp(delta[..., None] * a) * h + (delta * u)[..., None] * b[:, None]
        return h, jnp.sum(h * c[:, None], axis=-1)

    final, y = lax.scan(step, first, by_time(u, delta, b, c))
    return (jnp.moveaxis(y, 0, 1) + skipped).astype(dtype), final.astype(dtype)


class SelectiveScanResiduals(NamedTuple):
    u: Float[Array, "n t d"]
    delta: Float[Array, "n t d"]
    a: Float[Array, "d s"]
    b: Float[Array, "n t s"]
    c: Float[Array, "n t s"]
    d: Float[Array, "d"] | None
    starts: Float[Array, "m n s d"]
    h0: Spec | None


def selective_scan_fwd(
    u: Array,
    delta: Array,
    a: Array,
    b: Array,
    c: Array,
    d: Array | None = None,
    h0: Array | None = None,
    *,
    block: int = 64,
) -> tuple[Pair, SelectiveScanResiduals]:
    turned = widen(a).T

    def step(h: Array, xs: tuple[Array, ...]) -> Pair:
        u, delta, b, c = xs
        h = _decay(delta, turned) * h + _drive(u, delta, b)
        return h, jnp.sum(h * c[..., None], axis=1)

    def chunk(h: Array, xs: tuple[Array, ...]) -> tuple[Array, Pair]:
        end, y = lax.scan(step, h, xs)
        return end, (h, y)

    chunks = in_chunks(block, u, delta, b, c)
    first = _zero_state(delta, turned) if h0 is None else widen(h0).mT
    final, (starts, y) = over_chunks(chunk, first, chunks)
    y = out_of_chunks(y, u.shape[1])
    if d is not None:
        y = y + widen(u) * widen(d)
    dtype = _common(u, delta, a, b, c, d, h0)
    spec = None if h0 is None else spec_of(h0)
    res = SelectiveScanResiduals(u, delta, a, b, c, d, starts, spec)
    return (y.astype(dtype), final.mT.astype(dtype)), res


def selective_scan_bwd(
    res: SelectiveScanResiduals, y_bar: Pair, *, block: int = 64
) -> tuple[Array | None, ...]:
    u, delta, a, b, c, d, starts, h0 = res
    turned = widen(a).T

    def step(h: Array, xs: tuple[Array, ...]) -> Pair:
        u, delta, b = xs
        return _decay(delta, turned) * h + _drive(u, delta, b), h

    def back(carry: Pair, xs: tuple[Array, ...]) -> tuple[Pair, Bars]:
        h_bar, a_bar = carry
        u, delta, b, c, g, before = xs
        h_bar = h_bar + c[..., None] * g[:, None]
        decay, drive = _decay(delta, turned), _drive(u, delta, b)
        left = decay * before
        pulled = h_bar * left
        driven_bar = jnp.sum(h_bar * b[..., None], axis=1)
        delta_bar = driven_bar * u + jnp.sum(pulled * turned, axis=1)
        b_bar = jnp.sum(h_bar * (delta * u)[:, None], axis=-1)
        c_bar = jnp.sum((left + drive) * g[:, None], axis=-1)
        carry = decay * h_bar, a_bar + pulled * delta[:, None]
        return carry, (driven_bar * delta, delta_bar, b_bar, c_bar)

    def chunk(carry: Pair, xs: tuple[Array, ...]) -> Carried:
        start, u, delta, b, c, g = xs
        _, before = lax.scan(step, start, (u, delta, b))
        return lax.scan(back, carry, (u, delta, b, c, g, before), reverse=True)

    last = widen(y_bar[1]).mT, _zero_state(delta, turned)
    each = (starts, *in_chunks(block, u, delta, b, c, y_bar[0]))
    (first_bar, a_bar), bars = over_chunks(chunk, last, each, reverse=True)
    u_bar, delta_bar, b_bar, c_bar = (out_of_chunks(bar, u.shape[1]) for bar in bars)
    d_bar = None
    if d is not None:
        g = widen(y_bar[0])
        u_bar, d_bar = u_bar + g * widen(d), jnp.sum(g * widen(u), axis=(0, 1)).astype(d.dtype)
    return (
        u_bar.astype(u.dtype),
        delta_bar.astype(delta.dtype),
        jnp.sum(a_bar, axis=0).T.astype(a.dtype),
        b_bar.astype(b.dtype),
        c_bar.astype(c.dtype),
        d_bar,
        None if h0 is None else first_bar.mT.astype(h0.dtype),
    )


Bars = tuple[Array, Array, Array, Array]
Carried = tuple[Pair, Bars]


def _common(*arrays: Array | None) -> Any:
    """The dtype of the results."""
    return jnp.result_type(*(each for each in arrays if each is not None))


def _decay(delta: Array, turned: Array) -> Array:
    """e^(delta a), (n, s, d): the features are the inner axis, so that sums over s are fast."""
    return jnp.exp(delta[:, None] * turned)


def _drive(u: Array, delta: Array, b: Array) -> Array:
    """delta u b, (n, s, d)."""
    return (delta * u)[:, None] * b[..., None]


def _zero_state(delta: Array, turned: Array) -> Array:
    """Zeros (n, s, d), sharded and varying as the batch is."""
    return zeros_of(jnp.sum(widen(delta), axis=1)[:, None] * turned)


def check_selective_scan(
    u: Array,
    delta: Array,
    a: Array,
    b: Array,
    c: Array,
    d: Array | None,
    h0: Array | None,
    *,
    block: int,
) -> None:
    """Raise for a block below 1."""
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise OptionError(f"selective_scan: block is {block!r}, expected a number of steps")


selective_scan = Op(
    selective_scan_fwd,
    selective_scan_bwd,
    definition=selective_scan_definition,
    options={"block": (64, 2)},
    domains={"delta": POSITIVE, "a": between(-2.0, 0.0)},
    sizes={"n": (2, 1), "t": (3, 5), "d": (2, 3), "s": (2, 1)},
    check=check_selective_scan,
    tolerance=conditioned("every step passes the rounding of the state on", pooled=True),
)

OPS = (selective_scan,)
