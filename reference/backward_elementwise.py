"""Backward passes of the elementwise functions; see `reference.backward_gates`."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from reference.backward_gates import Arguments, each_backward, each_pair_backward
from reference.elementwise import (
    bessel_e,
    scalar_bessel_i0e,
    scalar_bessel_i1e,
    scalar_digamma,
    scalar_erf_inv,
)
from reference.shapes import Array, cotangent_of, float64, source_index


def rsqrt_slope(x: float) -> float:
    """-1/2 x^(-3/2)."""
    return -0.5 / (x * np.sqrt(x))


def cbrt_slope(x: float) -> float:
    """1/3 y^-2."""
    return 1.0 / (3.0 * np.cbrt(x) ** 2)


def abs_slope(x: float) -> float:
    """1 above 0, -1 below, 0 at 0; at a complex r e^(it) it is e^(-it)."""
    if isinstance(x, complex):
        return x.conjugate() / math.hypot(x.real, x.imag) if x else 0.0
    return float(x > 0) - float(x < 0)


def exp2_slope(x: float) -> float:
    """2^x ln 2."""
    return np.exp2(x) * math.log(2.0)


def expm1_slope(x: float) -> float:
    """exp(x)."""
    return np.exp(x)


def log1p_slope(x: float) -> float:
    """1 / (1 + x)."""
    return 1.0 / (1.0 + x)


def sin_slope(x: float) -> float:
    """cos x."""
    return np.cos(x)


def cos_slope(x: float) -> float:
    """-sin x."""
    return -np.sin(x)


def tan_slope(x: float) -> float:
    """1 / cos^2 x."""
    return 1.0 / np.cos(x) ** 2


def asin_slope(x: float) -> float:
    """1 / sqrt((1 - x) (1 + x))."""
    return 1.0 / np.sqrt((1.0 - x) * (1.0 + x))


def acos_slope(x: float) -> float:
    """-1 / sqrt((1 - x) (1 + x))."""
    return -1.0 / np.sqrt((1.0 - x) * (1.0 + x))


def atan_slope(x: float) -> float:
    """1 / (1 + x^2)."""
    return 1.0 / (1.0 + x * x)


def sinh_slope(x: float) -> float:
    """cosh x."""
    return np.cosh(x)


def cosh_slope(x: float) -> float:
    """sinh x."""
    return np.sinh(x)


def asinh_slope(x: float) -> float:
    """1 / sqrt(1 + x^2)."""
    return 1.0 / np.hypot(1.0, x)


def acosh_slope(x: float) -> float:
    """1 / sqrt((x - 1) (x + 1))."""
    return 1.0 / np.sqrt((x - 1.0) * (x + 1.0))


def atanh_slope(x: float) -> float:
    """1 / ((1 - x) (1 + x))."""
    return 1.0 / ((1.0 - x) * (1.0 + x))


def erf_slope(x: float) -> float:
    """2/sqrt(pi) exp(-x^2)."""
    return 2.0 / math.sqrt(math.pi) * np.exp(-x * x)


def erfc_slope(x: float) -> float:
    """-2/sqrt(pi) exp(-x^2)."""
    return -2.0 / math.sqrt(math.pi) * np.exp(-x * x)


def erf_inv_slope(x: float) -> float:
    """sqrt(pi)/2 exp(y^2)."""
    return math.sqrt(math.pi) / 2.0 * np.exp(scalar_erf_inv(x) ** 2)


def lgamma_slope(x: float) -> float:
    """digamma(x)."""
    return scalar_digamma(x)


def digamma_slope(x: float) -> float:
    """The sum of 1 / (x + k)^2, k = 0, 1, ...; from k = 30 on as an asymptotic series."""
    return sum(1.0 / (x + k) ** 2 for k in range(30)) + trigamma_tail(x + 30)


def bessel_i0e_slope(x: float) -> float:
    """I0' = I1."""
    return scalar_bessel_i1e(x) - (float(x > 0) - float(x < 0)) * scalar_bessel_i0e(x)


def bessel_i1e_slope(x: float) -> float:
    """I1' = (I0 + I2) / 2."""
    return (scalar_bessel_i0e(x) + bessel_e(x, 2)) / 2.0 - (
        float(x > 0) - float(x < 0)
    ) * scalar_bessel_i1e(x)


def trigamma_tail(z: float) -> float:
    """1/z + 1/(2 z^2) + 1/(6 z^3) - 1/(30 z^5) + 1/(42 z^7) - ..."""
    head = 1.0 / z + 1.0 / (2.0 * z**2) + 1.0 / (6.0 * z**3)
    return head - 1.0 / (30.0 * z**5) + 1.0 / (42.0 * z**7) - 1.0 / (30.0 * z**9)


def pow_slopes(x: float, y: float) -> tuple[float, float]:
    """d x^y = y x^(y-1) dx + x^y ln x dy."""
    x = np.float64(x)
    return y * x ** (y - 1.0), x**y * np.log(x)


def atan2_slopes(x: float, y: float) -> tuple[float, float]:
    """d angle = (y dx - x dy) / (x^2 + y^2)."""
    square = np.float64(x * x + y * y)
    return y / square, -x / square


def integer_pow_slope(x: float, *, exponent: int = 2) -> float:
    """n x^(n-1)."""
    return exponent * np.power(x, float(exponent - 1))


def three_backward(
    slopes: Callable[..., tuple[float | None, ...]], args: Arguments, y_bar: Array
) -> tuple[Array | None, ...]:
    """Three arguments: upstream times each slope, added where an entry was broadcast."""
    arrays, y_bar = [np.asarray(arg) for arg in args], float64(y_bar)
    bars = [None if x.dtype == bool else np.zeros(x.shape, y_bar.dtype) for x in arrays]
    for index in np.ndindex(y_bar.shape):
        places = [source_index(index, array.shape) for array in arrays]
        values = [array[place] for array, place in zip(arrays, places, strict=True)]
        for bar, place, slope in zip(bars, places, slopes(*values), strict=True):
            if bar is not None and slope is not None:
                bar[place] += y_bar[index] * slope
    return tuple(
        None if bar is None else cotangent_of(x, bar) for x, bar in zip(arrays, bars, strict=True)
    )


def clamp_slopes(low: float, x: float, high: float) -> tuple[float, float, float]:
    """One of the three gets all: high if the raised x reaches it, else the larger of low and x."""
    if max(low, x) >= high:
        return 0.0, 0.0, 1.0
    return (1.0, 0.0, 0.0) if x <= low else (0.0, 1.0, 0.0)


def where_slopes(which: bool, x: float, y: float) -> tuple[None, float, float]:
    """What was chosen gets all."""
    return None, float(which), float(not which)


BACKWARD: dict[str, Callable] = {
    "rsqrt": partial(each_backward, rsqrt_slope),
    "cbrt": partial(each_backward, cbrt_slope),
    "abs": partial(each_backward, abs_slope),
    "exp2": partial(each_backward, exp2_slope),
    "expm1": partial(each_backward, expm1_slope),
    "log1p": partial(each_backward, log1p_slope),
    "sin": partial(each_backward, sin_slope),
    "cos": partial(each_backward, cos_slope),
    "tan": partial(each_backward, tan_slope),
    "asin": partial(each_backward, asin_slope),
    "acos": partial(each_backward, acos_slope),
    "atan": partial(each_backward, atan_slope),
    "sinh": partial(each_backward, sinh_slope),
    "cosh": partial(each_backward, cosh_slope),
    "asinh": partial(each_backward, asinh_slope),
    "acosh": partial(each_backward, acosh_slope),
    "atanh": partial(each_backward, atanh_slope),
    "erf": partial(each_backward, erf_slope),
    "erfc": partial(each_backward, erfc_slope),
    "erf_inv": partial(each_backward, erf_inv_slope),
    "lgamma": partial(each_backward, lgamma_slope),
    "digamma": partial(each_backward, digamma_slope),
    "bessel_i0e": partial(each_backward, bessel_i0e_slope),
    "bessel_i1e": partial(each_backward, bessel_i1e_slope),
    "pow": partial(each_pair_backward, pow_slopes),
    "atan2": partial(each_pair_backward, atan2_slopes),
    "integer_pow": partial(each_backward, integer_pow_slope),
    "clamp": partial(three_backward, clamp_slopes),
    "where": partial(three_backward, where_slopes),
}
