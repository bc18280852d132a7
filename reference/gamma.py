"""Sums of powers and incomplete gamma functions, one entry at a time, by their series."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from reference.backward_gates import each_backward, each_pair_backward
from reference.elementwise import scalar_digamma
from reference.gates import each, each_pair

FIRST = 30
TAIL = ((1, 1 / 12), (3, -1 / 720), (5, 1 / 30240), (7, -1 / 1209600), (9, 1 / 47900160))
TERMS = 400


def tail_terms(s: float, w: float) -> list[tuple[float, float]]:
    """What follows the first terms: c s (s + 1) ... (s + m - 1) w^(-s-m), and its slope in s."""
    terms = [
        (w ** (1 - s) / (s - 1), -(w ** (1 - s)) / (s - 1) * (math.log(w) + 1 / (s - 1))),
        (w**-s / 2, -(w**-s) / 2 * math.log(w)),
    ]
    for m, coefficient in TAIL:
        value = coefficient * math.prod(s + i for i in range(m)) * w ** (-s - m)
        terms.append((value, value * (sum(1 / (s + i) for i in range(m)) - math.log(w))))
    return terms


def scalar_zeta(s: float, q: float) -> float:
    """Thirty terms and the formula of Euler and Maclaurin."""
    terms = [(q + k) ** -s for k in range(FIRST)]
    return math.fsum(terms + [value for value, _ in tail_terms(s, q + FIRST)])


def zeta_slopes(s: float, q: float) -> tuple[float, float]:
    """Term by term in s; in q the exponent comes down."""
    terms = [-math.log(q + k) * (q + k) ** -s for k in range(FIRST)]
    in_s = math.fsum(terms + [slope for _, slope in tail_terms(s, q + FIRST)])
    return in_s, -s * scalar_zeta(s + 1, q)


def scalar_polygamma(x: float, *, n: int = 1) -> float:
    """(-1)^(n+1) n! times the sum of (x + k)^(-n-1)."""
    if n == 0:
        return scalar_digamma(x)
    return (-1) ** (n + 1) * math.factorial(n) * scalar_zeta(n + 1.0, x)


def polygamma(x: Any, *, n: int = 1) -> Any:
    """Each entry by itself."""
    return each(partial(scalar_polygamma, n=n), x)


def polygamma_slope(x: float, *, n: int = 1) -> float:
    """The next one."""
    return scalar_polygamma(x, n=n + 1)


def scalar_density(a: float, x: float) -> float:
    """x^(a-1) e^-x / Gamma(a)."""
    return math.exp((a - 1) * math.log(x) - x - math.lgamma(a))


def series(a: float, x: float) -> tuple[float, float]:
    """P(a, x) = f x / a times the sum of x^n / ((a + 1) ... (a + n)); and its slope in a."""
    term, total, change, harmonic = 1.0, 1.0, 0.0, 0.0
    for n in range(1, TERMS):
        term *= x / (a + n)
        harmonic += 1 / (a + n)
        total += term
        change -= term * harmonic
    front = scalar_density(a, x) * x / a
    return front * total, front * (total * (math.log(x) - scalar_digamma(a + 1)) + change)


def scalar_igamma(a: float, x: float) -> float:
    """The series."""
    return series(a, x)[0]


def scalar_igammac(a: float, x: float) -> float:
    """The rest."""
    return 1 - series(a, x)[0]


def igamma_slopes(a: float, x: float) -> tuple[float, float]:
    """Of the series in a; the density in x."""
    return series(a, x)[1], scalar_density(a, x)


def igammac_slopes(a: float, x: float) -> tuple[float, float]:
    """With the other sign."""
    in_a, in_x = igamma_slopes(a, x)
    return -in_a, -in_x


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "zeta": partial(each_pair, scalar_zeta),
    "polygamma": polygamma,
    "igamma": partial(each_pair, scalar_igamma),
    "igammac": partial(each_pair, scalar_igammac),
}
BACKWARD: dict[str, Callable[..., Any]] = {
    "zeta": partial(each_pair_backward, zeta_slopes),
    "polygamma": partial(each_backward, polygamma_slope),
    "igamma": partial(each_pair_backward, igamma_slopes),
    "igammac": partial(each_pair_backward, igammac_slopes),
}
