"""Sums of powers: the Hurwitz zeta function and the derivatives of digamma."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import POSITIVE, between, conditioned

TERMS = 10
LARGEST = 100
EULER_MACLAURIN = (  # B_2j / (2j)!
    1 / 12,
    -1 / 720,
    1 / 30240,
    -1 / 1209600,
    1 / 47900160,
    -691 / 1307674368000,
    1 / 74724249600,
    -3617 / 10670622842880000,
    43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)


def zeta_definition(x: Float[Array, "*#s"], q: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = zeta(x, q) = sum over k from 0 of (q + k)^-x, for x > 1 and q > 0: Hurwitz's function.

    Maths: q_bar = -z_bar x zeta(x + 1, q); x_bar = z_bar d with d = -sum of ln(q + k) (q + k)^-x.
        Ten terms of d, and the formula of Euler and Maclaurin from w = q + 10, term by term: of
        (s)_2j-1 w^(-s-2j+1) the slope in s is that times the sum of 1 / (s + i) less ln w.
    Shapes: x, q broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x and q.
    Kinks: none; x = 1 is a pole, q = 0, -1, ... too. x < 1 and other q < 0 give what XLA gives.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: Johansson 2015, "Rigorous high-precision computation of the Hurwitz zeta function".

    Example:
        >>> y, res = zeta.fwd(jnp.array([2.0, 3.0]), jnp.array([1.0, 2.0]))
        >>> print(*zeta.bwd(res, y))
        [-1.542205   -0.04003278] [-3.954609   -0.04990194]
    """
    return jax.scipy.special.zeta(x, q)


def zeta_forward(x: Array, q: Array) -> Array:
    return jax.scipy.special.zeta(*_widened(x, q)).astype(jnp.result_type(x, q))


def _widened(x: Array, q: Array) -> list[Array]:
    wide = widen(jnp.zeros((), jnp.result_type(x, q))).dtype
    return [v.astype(wide) for v in jnp.broadcast_arrays(x, q)]


def zeta_x_bar(z_bar: Array, x: Array, q: Array) -> Array:
    return z_bar * slope_of_zeta(*_widened(x, q))


def slope_of_zeta(s: Array, q: Array) -> Array:
    """d/ds of sum over k of (q + k)^-s."""
    w = q + TERMS
    log, power, over = jnp.log(w), w**-s, 1 / (s - 1)
    total = -power * log / 2
    term, harmonic = power * s / w, 1 / s
    for j, coefficient in enumerate(EULER_MACLAURIN, start=1):
        total = total + coefficient * term * (harmonic - log)
        first, second = s + (2 * j - 1), s + 2 * j
        term = term * (first / w) * (second / w)
        harmonic = harmonic + 1 / first + 1 / second
    total = total - w * power * over * (log + over)
    for k in reversed(range(1, TERMS)):
        log = jnp.log(q + k)
        total = total - log * jnp.exp(-s * log)
    return total - jnp.log(q) * q**-s


def zeta_q_bar(z_bar: Array, x: Array, q: Array) -> Array:
    wide, base = _widened(x, q)
    return -z_bar * wide * jax.scipy.special.zeta(wide + 1, base)


zeta = Gate(
    zeta_definition,
    zeta_x_bar,
    zeta_q_bar,
    forward=zeta_forward,
    primitive="zeta",
    domains={"x": between(1, 6), "q": POSITIVE},
    sizes={"s": ((3,), (2, 3), (3,), (3,))},
    tolerance=conditioned("q^-x magnifies the rounding of x ln q"),
)


def polygamma_definition(x: Float[Array, "*s"], *, n: int = 1) -> Float[Array, "*s"]:
    """y = the n-th derivative of digamma at x; digamma itself for n = 0.

    Maths: y = (-1)^(n+1) n! S(n + 1, x) with S(s, x) = sum over k from 0 of (x + k)^-s;
        x_bar = y_bar times the same for n + 1. Below 0 the sum over all k, which is periodic,
        less those that are not in it: with r = x - round(x) and a = |r|, S(s, x) =
        sign(r)^s (S(s, a) + (-1)^s S(s, 1 - a)) - (-1)^s S(s, 1 - x).
    Shapes: y and x_bar are shaped like x. n is static: there is no derivative in it.
    Residuals: x.
    Kinks: poles at 0, -1, -2, ... (JAX loses all digits of n = 1, and so of digamma's slope, from
        about x = -10 on.)
    Raises: OptionError unless n is an integer from 0 to 100, DtypeError for integers.
    Source: Abramowitz and Stegun, 6.4.7 and 6.4.10; formula of Euler and Maclaurin.

    Example:
        >>> y, res = polygamma.fwd(jnp.array([[0.5, 1.0, 2.0], [0.25, 1.5, 3.0]]))
        >>> print(*polygamma.bwd(res, y))
        [[-8.3046776e+01 -3.9546087e+00 -2.6062676e-01]
         [-2.2240918e+03 -7.7476108e-01 -6.0864795e-02]]
    """
    return jax.scipy.special.polygamma(n, x)


def power_sum(s: int, x: Array) -> Array:
    """S(s, x) for x > 0 and s > 1."""
    far = 1 / (x + TERMS)
    tail, rising = jnp.zeros_like(x), float(s)
    factors = list[float]()
    for j, coefficient in enumerate(EULER_MACLAURIN, start=1):
        factors.append(coefficient * rising)
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    for factor in reversed(factors):
        tail = tail * far * far + factor
    total = lax.integer_pow(far, s - 1) * (1 / (s - 1) + far * (0.5 + far * tail))
    for k in reversed(range(TERMS)):
        total = total + lax.integer_pow(1 / (x + k), s)
    return total


def polygamma_of(n: int, x: Array) -> Array:
    """The n-th derivative of digamma."""
    if n == 0:
        return lax.digamma(x)
    s, below = n + 1, x < 0
    odd, near = (-1) ** s, x - jnp.round(x)
    size = jnp.where(below, jnp.abs(near), x)
    total = power_sum(s, size)
    positive = jnp.where(below, x, -1)  # above 0 there is nothing to reflect
    rest = power_sum(s, jnp.where(below, 1 - size, 1)), power_sum(s, 1 - positive)
    turned = jnp.sign(near) ** s * (total + odd * rest[0]) - odd * rest[1]
    return odd * math.factorial(n) * jnp.where(below, turned, total)


def polygamma_forward(x: Array, *, n: int) -> Array:
    return polygamma_of(n, widen(x)).astype(x.dtype)


def polygamma_x_bar(y_bar: Array, x: Array, n: int) -> Array:
    return y_bar * polygamma_of(n + 1, widen(x))


def check_order(x: Array, *, n: Any) -> None:
    """Raise unless n is a small number."""
    if not isinstance(n, int) or not 0 <= n <= LARGEST:
        raise OptionError(f"polygamma: n is {n!r}, expected an integer from 0 to {LARGEST}")


polygamma = Gate(
    polygamma_definition,
    polygamma_x_bar,
    forward=polygamma_forward,
    primitive="polygamma",
    options={"n": (1, 0, 3)},
    domains={"x": POSITIVE},
    check=check_order,
    tolerance=conditioned("digamma, n = 0, has a zero at 1.46, where it cancels"),
)

OPS = (zeta, polygamma)
