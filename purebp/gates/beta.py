"""The regularised incomplete beta function, in all three arguments."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import POSITIVE, between, conditioned

STEPS = {4: 60, 8: 200}
"""Steps of the continued fraction, by the bytes of a number: enough for a and b up to 10^4."""


def betainc_definition(
    a: Float[Array, "*#s"], b: Float[Array, "*#s"], x: Float[Array, "*#s"]
) -> Float[Array, "*s"]:
    """y = I_x(a, b) = 1/B(a, b) * the integral of t^(a-1) (1-t)^(b-1) from 0 to x.

    Maths: x_bar = y_bar x^(a-1) (1-x)^(b-1) / B(a, b). For x <= (a+1)/(a+b+2) y = f h with
        f = x^a (1-x)^b / (a B(a, b)) and h = 1/(1 + d_1/(1 + d_2/(1 + ...))),
        d_2m = m (b-m) x / ((a+2m-1) (a+2m)), d_2m+1 = -(a+m) (a+b+m) x / ((a+2m) (a+2m+1)).
        a_bar = y_bar y (ln x - digamma(a+1) + digamma(a+b) + d/da ln h),
        b_bar = y_bar y (ln(1-x) - digamma(b) + digamma(a+b) + d/db ln h); the slopes of ln h are
        carried along from step to step. Above that x, y = 1 - I_(1-x)(b, a).
    Shapes: a, b, x broadcast to y; each cotangent is summed over its broadcast axes.
    Residuals: a, b and x.
    Kinks: none. At x = 0 and x = 1 a_bar = b_bar = 0. Outside of [0, 1], and for a <= 0 or b <= 0,
        everything is nan.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: Press et al. 1992, "Numerical Recipes", 6.4; Boik and Robison-Cox 1998, "Derivatives of
        the incomplete beta function".

    Example:
        >>> a = jnp.array([0.5, 1.0, 2.0])
        >>> b = jnp.array([0.25, 1.5, 3.0])
        >>> x = jnp.array([0.4, 0.7, 0.25])
        >>> y, res = betainc.fwd(a, b, x)
        >>> for bar in betainc.bwd(res, y): print(bar)
        [-0.13928324 -0.14794365 -0.05968596]
        [0.220306   0.16532551 0.02798345]
        [0.12042246 0.68658346 0.44165105]
    """
    dtype = jnp.result_type(a, b, x)
    a, b, x = _together(a, b, x)
    place = _place(a, b, x)
    inside = place.front * _continued_fraction(place)
    y = jnp.where(place.flip, 1 - inside, inside)
    y = jnp.where(_open(x), y, jnp.where(x == 0, 0.0, 1.0))
    return jnp.where(_legal(a, b, x), y, jnp.nan).astype(dtype)


class Place(NamedTuple):
    """Where the fraction converges fast: p, q, z are a, b, x or, flipped, b, a, 1 - x.

    `front` is z^p (1-z)^q / (p B(p, q)).
    """

    p: Array
    q: Array
    z: Array
    log_z: Array
    log_rest: Array
    front: Array
    flip: Array


class Ratio(NamedTuple):
    """One d of the fraction, and its slope in a or in b."""

    d: Array
    slope: Array


class Step(NamedTuple):
    """h so far, the product of all c r; and the slopes of the logarithms of the three."""

    c: Array
    r: Array
    h: Array
    c_slope: Array
    r_slope: Array
    h_slope: Array


def _together(a: Array, b: Array, x: Array) -> tuple[Array, Array, Array]:
    dtype = jnp.result_type(a, b, x)
    a, b, x = jnp.broadcast_arrays(a.astype(dtype), b.astype(dtype), x.astype(dtype))
    return widen(a), widen(b), widen(x)


def _open(x: Array) -> Array:
    return (x > 0) & (x < 1)


def _legal(a: Array, b: Array, x: Array) -> Array:
    return (a > 0) & (b > 0) & (x >= 0) & (x <= 1)


def _log_beta(a: Array, b: Array) -> Array:
    return lax.lgamma(a) + lax.lgamma(b) - lax.lgamma(a + b)


def _place(a: Array, b: Array, x: Array) -> Place:
    x = jnp.where(_open(x), x, 0.5)
    log_x, log_rest = jnp.log(x), jnp.log1p(-x)
    flip = x > (a + 1) / (a + b + 2)
    p, q, z = jnp.where(flip, b, a), jnp.where(flip, a, b), jnp.where(flip, 1 - x, x)
    front = jnp.exp(a * log_x + b * log_rest - _log_beta(a, b)) / p
    logs = jnp.where(flip, log_rest, log_x), jnp.where(flip, log_x, log_rest)
    return Place(p, q, z, *logs, front, flip)


def _continued_fraction(place: Place) -> Array:
    """h from its last term to its first."""
    p, q, z = place.p, place.q, place.z
    steps = STEPS[z.dtype.itemsize]

    def term(k: Any, rest: Array) -> Array:
        m = steps - k
        odd = -(p + m) * (p + q + m) * z / ((p + 2 * m) * (p + 2 * m + 1))
        even = m * (q - m) * z / ((p + 2 * m - 1) * (p + 2 * m))
        return 1 + even / (1 + odd / rest)

    rest = lax.fori_loop(0, steps, term, jnp.ones_like(z))
    return 1 / (1 - (p + q) * z / (p + 1) / rest)


def _even(place: Place, in_p: Array, m: Any) -> Ratio:
    """d_2m, with its slope in p or in q."""
    low, high = place.p + 2 * m - 1, place.p + 2 * m
    q_slope = m * place.z / (low * high)
    d = q_slope * (place.q - m)
    return Ratio(d, jnp.where(in_p, -d * (1 / low + 1 / high), q_slope))


def _odd(place: Place, in_p: Array, m: Any) -> Ratio:
    """d_2m+1, with its slope in p or in q."""
    p, total = place.p + m, place.p + place.q + m
    low, high = p + m, p + m + 1
    q_slope = -p * place.z / (low * high)
    d = q_slope * total
    return Ratio(d, jnp.where(in_p, d * (1 / p + 1 / total - 1 / low - 1 / high), q_slope))


def _next(ratio: Ratio, last: Step) -> Step:
    """Lentz's method: c = 1 + d / c_last and r = 1 / (1 + d r_last); their product goes to 1."""
    d = ratio.d
    c, r = 1 + d / last.c, 1 / (1 + d * last.r)
    c_slope = (ratio.slope - d * last.c_slope) / (last.c * c)
    r_slope = -r * last.r * (ratio.slope + d * last.r_slope)
    return Step(c, r, last.h * c * r, c_slope, r_slope, last.h_slope + c_slope + r_slope)


def _fraction(place: Place, in_p: Array) -> Step:
    """h, and the slope of ln h in p or in q."""
    first = _odd(place, in_p, 0)
    r = 1 / (1 + first.d)
    slope = -r * first.slope
    start = Step(jnp.ones_like(r), r, r, jnp.zeros_like(r), slope, slope)

    def two(m: Any, step: Step) -> Step:
        return _next(_odd(place, in_p, m), _next(_even(place, in_p, m), step))

    return lax.fori_loop(1, STEPS[r.dtype.itemsize], two, start)


def _slope(a: Array, b: Array, x: Array, *, in_a: bool) -> Array:
    """That of y in a or in b."""
    place = _place(a, b, x)
    p, q, flip = place.p, place.q, place.flip
    in_p = ~flip if in_a else flip
    step = _fraction(place, in_p)
    front = jnp.where(
        in_p, place.log_z - lax.digamma(p + 1), place.log_rest - lax.digamma(q)
    ) + lax.digamma(p + q)
    slope = place.front * step.h * (front + step.h_slope)
    inside = jnp.where(_open(x), jnp.where(flip, -slope, slope), 0.0)
    return jnp.where(_legal(a, b, x), inside, jnp.nan)


def betainc_a_bar(y_bar: Array, a: Array, b: Array, x: Array) -> Array:
    return y_bar * _slope(*_together(a, b, x), in_a=True)


def betainc_b_bar(y_bar: Array, a: Array, b: Array, x: Array) -> Array:
    return y_bar * _slope(*_together(a, b, x), in_a=False)


def betainc_x_bar(y_bar: Array, a: Array, b: Array, x: Array) -> Array:
    a, b, x = _together(a, b, x)
    left = jnp.where(a == 1, 0, (a - 1) * jnp.log(x))
    right = jnp.where(b == 1, 0, (b - 1) * jnp.log1p(-x))
    return y_bar * jnp.where(_legal(a, b, x), jnp.exp(left + right - _log_beta(a, b)), jnp.nan)


betainc = Gate(
    betainc_definition,
    betainc_a_bar,
    betainc_b_bar,
    betainc_x_bar,
    primitive="regularized_incomplete_beta",
    domains={"a": POSITIVE, "b": POSITIVE, "x": between(0, 1)},
    sizes={"s": ((3,), (2, 3), (3,), (3,))},
    tolerance=conditioned("x^a (1-x)^b magnifies the rounding of a ln x + b ln(1-x)"),
)

OPS = (betainc,)
