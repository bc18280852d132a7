"""The exponential and powers of any square matrix.

The derivative L(a, e) of exp at a in the direction e is the other half of the exponential of the
block matrix [[a, e], [0, a]] = [[exp(a), L], [0, exp(a)]]. A block matrix of that kind is a pair,
with (x, dx) (y, dy) = (x y, x dy + dx y), three products of half the size in place of eight. And
<y_bar, L(a, e)> = <L(a^T, y_bar), e> = <L(a, y_bar^T)^T, e>: the backward pass is the exponential
of the pair (a, y_bar^T), whose first half XLA shares with the forward pass.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.linalg.matrices import Wide, eye_like, factors_of, product, solve_with, transposed
from purebp.op import Op, conditioned

MOST_SQUARINGS = 16
SERIES = 18
PADE_7 = (17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0)
PADE_13 = (
    *(64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0),
    *(129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0),
    *(40840800.0, 960960.0, 16380.0, 182.0, 1.0),
)
REACH_7, REACH_13 = 3.925724783138660, 5.371920351148152 / 2
"""The norms up to which these are exact to float32 and float64 (Higham 2005).

Of the second the half: one squaring more, and the quotient magnifies rounding half as much.
"""


class Jet(NamedTuple):
    """A matrix, and the change of it, if one is wanted."""

    value: Array
    change: Array | None


def _times(x: Jet, y: Jet) -> Jet:
    value = product(x.value, y.value)
    if x.change is None or y.change is None:
        return Jet(value, None)
    return Jet(value, product(x.value, y.change) + product(x.change, y.value))


def _weighted(weights: tuple[float, ...], jets: tuple[Jet, ...], diagonal: float = 0.0) -> Jet:
    """w_1 x_1 + w_2 x_2 + ..., and a multiple of the identity."""
    values = [w * jet.value for w, jet in zip(weights, jets, strict=True)]
    changes = [
        w * jet.change for w, jet in zip(weights, jets, strict=True) if jet.change is not None
    ]
    one = jnp.eye(values[0].shape[-1], dtype=values[0].dtype)
    return Jet(sum(values, diagonal * one), sum(changes[1:], changes[0]) if changes else None)


def _quotient(bottom: Jet, top: Jet) -> Jet:
    """bottom^-1 top; d(q^-1 p) = q^-1 (dp - dq q^-1 p)."""
    factors = factors_of(bottom.value)
    value = solve_with(factors, top.value)
    if bottom.change is None or top.change is None:
        return Jet(value, None)
    return Jet(value, solve_with(factors, top.change - product(bottom.change, value)))


def _approximant(a: Jet) -> Jet:
    """The diagonal Pade approximant of exp: order 7 in float32, 13 in float64."""
    a2 = _times(a, a)
    a4 = _times(a2, a2)
    powers = (a2, a4, _times(a4, a2))
    if a.value.dtype == jnp.float32:
        b = PADE_7
        odd, even = _weighted(b[3::2], powers, b[1]), _weighted(b[2::2], powers, b[0])
    else:
        b = PADE_13
        high_odd = _times(powers[2], _weighted(b[9::2], powers))
        high_even = _times(powers[2], _weighted(b[8::2], powers))
        odd = _weighted((1.0, *b[3:9:2]), (high_odd, *powers), b[1])
        even = _weighted((1.0, *b[2:8:2]), (high_even, *powers), b[0])
    odd = _times(a, odd)
    return _quotient(_weighted((1.0, -1.0), (even, odd)), _weighted((1.0, 1.0), (even, odd)))


def exponential(a: Jet) -> Jet:
    """exp by scaling and squaring: exp(a) = exp(a / 2^s)^(2^s)."""
    reach = REACH_7 if a.value.dtype == jnp.float32 else REACH_13
    norm = jnp.max(jnp.sum(jnp.abs(a.value), axis=-2), axis=-1, initial=0.0)[..., None, None]
    count = jnp.maximum(0, jnp.ceil(jnp.log2(lax.stop_gradient(norm) / reach)))
    scale = jnp.exp2(-count).astype(a.value.dtype)

    def square_some(jet: Jet, step: Array) -> Jet:
        more = step < count
        return jax.tree.map(partial(jnp.where, more), _times(jet, jet), jet)

    def square(jet: Jet, step: Array) -> tuple[Jet, None]:
        return lax.cond(step < jnp.max(count, initial=0.0), square_some, _keep, jet, step), None

    start = _approximant(jax.tree.map(lambda part: part * scale, a))
    jet, _ = lax.scan(square, start, jnp.arange(MOST_SQUARINGS, dtype=count.dtype))
    return jax.tree.map(lambda part: jnp.where(count > MOST_SQUARINGS, jnp.nan, part), jet)


def _keep(jet: Jet, step: Array) -> Jet:
    return jet


def expm_definition(a: Wide[Array, "*batch n n"]) -> Wide[Array, "*batch n n"]:
    """y = exp(a) = 1 + a + a^2/2! + a^3/3! + ...

    Maths: a_bar = L(a, y_bar^T)^T, L(a, e) the derivative in the direction e, by the same scaling
        and squaring as exp itself, on pairs of a matrix and its change.
    Shapes: a, y (*batch, n, n).
    Residuals: a.
    Kinks: none. NaN for a norm above 2^16 times 4 (in float64 times 5).
    Raises: ShapeError for a matrix that is not square, DtypeError for 16 bits and integers.
    Source: Higham 2005, "The scaling and squaring method for the matrix exponential revisited";
        Al-Mohy and Higham 2009, "Computing the Frechet derivative of the matrix exponential".

    Example:
        >>> y, res = expm.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*expm.bwd(res, y))
        [[ 395.28372  613.9169 ]
         [ 613.9169  1009.2002 ]]
    """
    return exponential_series(a)


def exponential_series(a: Array) -> Array:
    """exp(a) by Taylor's series of a / 2^s, whose norm is at most 1, squared s times.

    jax.scipy.linalg.expm scales to norms of twice the reach of its approximant, and has 8 digits
    in float64 where it should have 16.
    """
    eye = eye_like(a)
    norm = jnp.max(jnp.sum(jnp.abs(a), axis=-2), axis=-1, initial=0.0)[..., None, None]
    count = jnp.maximum(0, jnp.ceil(jnp.log2(lax.stop_gradient(norm))))
    scaled = a * jnp.exp2(-count).astype(a.dtype)

    def add_term(k: Array, total: Array) -> Array:
        return eye + scaled @ total / (SERIES - k).astype(a.dtype)

    def square(k: Array, y: Array) -> Array:
        return jnp.where(k < count, y @ y, y)

    y = lax.fori_loop(0, SERIES, add_term, eye)
    return lax.fori_loop(0, MOST_SQUARINGS + 3, square, y)


def expm_fwd(a: Array) -> tuple[Array, Array]:
    return exponential(Jet(a, None)).value, a


def expm_bwd(a: Array, y_bar: Array) -> tuple[Array]:
    change = exponential(Jet(a, transposed(y_bar))).change
    assert change is not None
    return (transposed(change),)


expm = Op(
    expm_fwd,
    expm_bwd,
    definition=expm_definition,
    sizes={"batch": ((), (2,), (), ()), "n": (3, 2, 3, 3)},
    tolerance=conditioned(
        "squaring doubles rounding, and terms of both signs cancel", pooled=True, whole=True
    ),
)

OPS = (expm,)
