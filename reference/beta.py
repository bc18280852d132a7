"""The regularised incomplete beta function, one entry at a time, by its power series."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from reference.backward_elementwise import three_backward
from reference.elementwise import each_three, scalar_digamma

TERMS = 2000


def log_beta(a: float, b: float) -> float:
    """ln B(a, b)."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def scalar_density(a: float, b: float, x: float) -> float:
    """x^(a-1) (1-x)^(b-1) / B(a, b)."""
    return math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - log_beta(a, b))


def series(a: float, b: float, x: float) -> tuple[float, float, float]:
    """I_x(a, b) = f x (1-x) / a times the sum of (a+b)_n / (a+1)_n x^n; its slopes in a and b.

    All terms are positive. The slope of the n-th in a is the term times the sum over k < n of
    1 / (a+b+k) - 1 / (a+1+k), that in b the term times the sum of 1 / (a+b+k).
    """
    term = total = 1.0
    change_a = change_b = harmonic_a = harmonic_b = 0.0
    for k in range(TERMS):
        term *= x * (a + b + k) / (a + 1 + k)
        harmonic_b += 1 / (a + b + k)
        harmonic_a += 1 / (a + b + k) - 1 / (a + 1 + k)
        total += term
        change_a += term * harmonic_a
        change_b += term * harmonic_b
    front = scalar_density(a, b, x) * x * (1 - x) / a
    both = scalar_digamma(a + b)
    in_a = math.log(x) - scalar_digamma(a + 1) + both
    in_b = math.log1p(-x) - scalar_digamma(b) + both
    return front * total, front * (total * in_a + change_a), front * (total * in_b + change_b)


def is_left(a: float, b: float, x: float) -> bool:
    """Whether x is left of the middle, where the terms fall from the first on."""
    return x < (a + 1) / (a + b + 2)


def scalar_betainc(a: float, b: float, x: float) -> float:
    """The series on the left, and 1 minus that of the rest on the right."""
    return series(a, b, x)[0] if is_left(a, b, x) else 1 - series(b, a, 1 - x)[0]


def betainc_slopes(a: float, b: float, x: float) -> tuple[float, float, float]:
    """Of the series in a and b; the density in x."""
    if is_left(a, b, x):
        _, in_a, in_b = series(a, b, x)
        return in_a, in_b, scalar_density(a, b, x)
    _, in_b, in_a = series(b, a, 1 - x)
    return -in_a, -in_b, scalar_density(a, b, x)


DEFINITIONS: dict[str, Callable[..., Any]] = {"betainc": partial(each_three, scalar_betainc)}
BACKWARD: dict[str, Callable[..., Any]] = {"betainc": partial(three_backward, betainc_slopes)}
