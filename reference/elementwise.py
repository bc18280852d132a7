"""Elementwise functions: powers, exponentials, angles, special functions, one entry at a time."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from reference.gates import each, each_pair
from reference.shapes import Array, float64, source_index

POINTS = 400  # of the trapezoidal rule, which is exact to rounding for periodic integrands


def scalar_rsqrt(x: float) -> float:
    """1 / sqrt(x)."""
    return 1.0 / np.sqrt(x)


def scalar_cbrt(x: float) -> float:
    """The real cube root."""
    return np.cbrt(x)


def scalar_abs(x: float) -> float:
    """The size of x."""
    if isinstance(x, complex):
        return math.hypot(x.real, x.imag)
    return -x if x < 0 else x


def abs_of_each(x: ArrayLike) -> Array:
    """The size of each entry; that of a complex one is real."""
    return each(scalar_abs, x).real


def scalar_exp2(x: float) -> float:
    """2 to the power x."""
    return np.exp2(x)


def scalar_expm1(x: float) -> float:
    """exp(x) - 1."""
    return np.expm1(x)


def scalar_log1p(x: float) -> float:
    """log(1 + x)."""
    return np.log1p(x)


def scalar_sin(x: float) -> float:
    """Sine of x radians."""
    return np.sin(x)


def scalar_cos(x: float) -> float:
    """Cosine of x radians."""
    return np.cos(x)


def scalar_tan(x: float) -> float:
    """sin x / cos x."""
    return np.tan(x)


def scalar_asin(x: float) -> float:
    """The angle whose sine is x."""
    return np.arcsin(x)


def scalar_acos(x: float) -> float:
    """The angle whose cosine is x."""
    return np.arccos(x)


def scalar_atan(x: float) -> float:
    """The angle whose tangent is x."""
    return np.arctan(x)


def scalar_sinh(x: float) -> float:
    """(exp(x) - exp(-x)) / 2."""
    return np.sinh(x)


def scalar_cosh(x: float) -> float:
    """(exp(x) + exp(-x)) / 2."""
    return np.cosh(x)


def scalar_asinh(x: float) -> float:
    """The inverse of sinh."""
    return np.arcsinh(x)


def scalar_acosh(x: float) -> float:
    """The inverse of cosh."""
    return np.log1p((x - 1.0) + np.sqrt((x - 1.0) * (x + 1.0)))


def scalar_atanh(x: float) -> float:
    """The inverse of tanh."""
    return np.arctanh(x)


def scalar_erf(x: float) -> float:
    """2/sqrt(pi) * the integral of exp(-t^2) from 0 to x."""
    return math.erf(x)


def scalar_erfc(x: float) -> float:
    """1 - erf(x)."""
    return math.erfc(x)


def scalar_lgamma(x: float) -> float:
    """log |Gamma(x)|."""
    return math.lgamma(x)


def scalar_erf_inv(x: float) -> float:
    """The y with erf(y) = x, by bisection."""
    if not -1 < x < 1:
        return math.inf * x if abs(x) == 1 else math.nan
    low, high = -6.0, 6.0
    for _ in range(200):
        middle = (low + high) / 2.0
        if abs(x) < 0.5:
            inside = math.erf(middle) < x
        else:
            inside = math.erfc(-middle) < 1.0 + x if x < 0 else math.erfc(middle) > 1.0 - x
        low, high = (middle, high) if inside else (low, middle)
    return low


def scalar_digamma(x: float) -> float:
    """log(z) - 1/(2z) - 1/(12 z^2) + ... at z = x + 30, less the sum of 1 / (x + k), k < 30."""
    z = x + 30.0
    tail = math.log(z) - 0.5 / z - 1.0 / (12.0 * z**2) + 1.0 / (120.0 * z**4) - 1.0 / (252.0 * z**6)
    return tail + 1.0 / (240.0 * z**8) - math.fsum(1.0 / (x + k) for k in range(30))


def bessel_e(x: float, order: int) -> float:
    """exp(-|x|) I_n(x) = 1/(2 pi) * the integral of exp(x cos t - |x|) cos(n t) over a turn."""
    turns = [2.0 * math.pi * k / POINTS for k in range(POINTS)]
    values = (math.exp(x * math.cos(t) - abs(x)) * math.cos(order * t) for t in turns)
    return math.fsum(values) / POINTS


def scalar_bessel_i0e(x: float) -> float:
    """exp(-|x|) I_0(x)."""
    return bessel_e(x, 0)


def scalar_bessel_i1e(x: float) -> float:
    """exp(-|x|) I_1(x)."""
    return bessel_e(x, 1)


def scalar_pow(x: float, y: float) -> float:
    """x to the power y."""
    return np.power(x, y)


def scalar_atan2(x: float, y: float) -> float:
    """The angle of the point (y, x)."""
    return math.atan2(x, y)


def pow(x: ArrayLike, y: ArrayLike) -> Array:
    """x to the power y, broadcasting."""
    return each_pair(scalar_pow, x, y)


def atan2(x: ArrayLike, y: ArrayLike) -> Array:
    """The angle of the point (y, x), broadcasting."""
    return each_pair(scalar_atan2, x, y)


def integer_pow(x: ArrayLike, *, exponent: int = 2) -> Array:
    """x * x * ... * x, or one divided by that."""
    return each_pair(scalar_pow, x, exponent)


def each_three(
    scalar: Callable[..., float], first: ArrayLike, second: ArrayLike, third: ArrayLike
) -> Array:
    """y[index] = scalar(first[...], second[...], third[...]), broadcasting."""
    arrays = [float64(array) for array in (first, second, third)]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    y = np.empty(shape, np.result_type(*arrays))
    for index in np.ndindex(y.shape):
        y[index] = scalar(*(array[source_index(index, array.shape)] for array in arrays))
    return y


def scalar_clamp(low: float, x: float, high: float) -> float:
    """x, raised to low, then lowered to high."""
    return min(max(x, low), high)


def scalar_where(which: float, x: float, y: float) -> float:
    """x if `which` is true, else y."""
    return x if which else y


DEFINITIONS: dict[str, Callable] = {
    "rsqrt": partial(each, scalar_rsqrt),
    "cbrt": partial(each, scalar_cbrt),
    "abs": abs_of_each,
    "exp2": partial(each, scalar_exp2),
    "expm1": partial(each, scalar_expm1),
    "log1p": partial(each, scalar_log1p),
    "sin": partial(each, scalar_sin),
    "cos": partial(each, scalar_cos),
    "tan": partial(each, scalar_tan),
    "asin": partial(each, scalar_asin),
    "acos": partial(each, scalar_acos),
    "atan": partial(each, scalar_atan),
    "sinh": partial(each, scalar_sinh),
    "cosh": partial(each, scalar_cosh),
    "asinh": partial(each, scalar_asinh),
    "acosh": partial(each, scalar_acosh),
    "atanh": partial(each, scalar_atanh),
    "erf": partial(each, scalar_erf),
    "erfc": partial(each, scalar_erfc),
    "erf_inv": partial(each, scalar_erf_inv),
    "lgamma": partial(each, scalar_lgamma),
    "digamma": partial(each, scalar_digamma),
    "bessel_i0e": partial(each, scalar_bessel_i0e),
    "bessel_i1e": partial(each, scalar_bessel_i1e),
    "pow": pow,
    "atan2": atan2,
    "integer_pow": integer_pow,
    "clamp": partial(each_three, scalar_clamp),
    "where": partial(each_three, scalar_where),
}
