"""Elementwise gates and their slopes with 50 digits; see `reference.precise`.

INTERVALS[name] is the open interval on which a function that is not defined everywhere is.
"""

import math
from collections.abc import Callable

from reference.precise import MP, Number


def rsqrt(x: Number) -> Number:
    """1 / sqrt(x)."""
    return 1 / MP.sqrt(x)


def rsqrt_slope(x: Number) -> Number:
    """-1/2 x^(-3/2)."""
    return -1 / (2 * MP.convert(x) * MP.sqrt(x))


def cbrt(x: Number) -> Number:
    """The real cube root."""
    return MP.sign(x) * MP.cbrt(abs(MP.convert(x)))


def cbrt_slope(x: Number) -> Number:
    """1/3 y^-2."""
    return 1 / (3 * MP.cbrt(abs(MP.convert(x))) ** 2)


def exp2(x: Number) -> Number:
    """2 to the power x."""
    return MP.mpf(2) ** MP.convert(x)


def exp2_slope(x: Number) -> Number:
    """2^x ln 2."""
    return MP.mpf(2) ** MP.convert(x) * MP.log(2)


def expm1(x: Number) -> Number:
    """exp(x) - 1."""
    return MP.expm1(x)


def expm1_slope(x: Number) -> Number:
    """exp(x)."""
    return MP.exp(x)


def log1p(x: Number) -> Number:
    """log(1 + x)."""
    return MP.log1p(x)


def log1p_slope(x: Number) -> Number:
    """1 / (1 + x)."""
    return 1 / (1 + MP.convert(x))


def sin(x: Number) -> Number:
    """Sine of x radians."""
    return MP.sin(x)


def sin_slope(x: Number) -> Number:
    """cos x."""
    return MP.cos(x)


def cos(x: Number) -> Number:
    """Cosine of x radians."""
    return MP.cos(x)


def cos_slope(x: Number) -> Number:
    """-sin x."""
    return -MP.sin(x)


def tan(x: Number) -> Number:
    """sin x / cos x."""
    return MP.tan(x)


def tan_slope(x: Number) -> Number:
    """1 / cos^2 x."""
    return 1 / MP.cos(x) ** 2


def asin(x: Number) -> Number:
    """The angle whose sine is x."""
    return MP.asin(x)


def asin_slope(x: Number) -> Number:
    """1 / sqrt((1 - x) (1 + x))."""
    return 1 / MP.sqrt(1 - MP.convert(x) ** 2)


def acos(x: Number) -> Number:
    """The angle whose cosine is x."""
    return MP.acos(x)


def acos_slope(x: Number) -> Number:
    """-1 / sqrt((1 - x) (1 + x))."""
    return -1 / MP.sqrt(1 - MP.convert(x) ** 2)


def atan(x: Number) -> Number:
    """The angle whose tangent is x."""
    return MP.atan(x)


def atan_slope(x: Number) -> Number:
    """1 / (1 + x^2)."""
    return 1 / (1 + MP.convert(x) ** 2)


def sinh(x: Number) -> Number:
    """(exp(x) - exp(-x)) / 2."""
    return MP.sinh(x)


def sinh_slope(x: Number) -> Number:
    """cosh x."""
    return MP.cosh(x)


def cosh(x: Number) -> Number:
    """(exp(x) + exp(-x)) / 2."""
    return MP.cosh(x)


def cosh_slope(x: Number) -> Number:
    """sinh x."""
    return MP.sinh(x)


def asinh(x: Number) -> Number:
    """The inverse of sinh."""
    return MP.asinh(x)


def asinh_slope(x: Number) -> Number:
    """1 / sqrt(1 + x^2)."""
    return 1 / MP.sqrt(1 + MP.convert(x) ** 2)


def acosh(x: Number) -> Number:
    """The inverse of cosh."""
    return MP.acosh(x)


def acosh_slope(x: Number) -> Number:
    """1 / sqrt((x - 1) (x + 1))."""
    return 1 / MP.sqrt(MP.convert(x) ** 2 - 1)


def atanh(x: Number) -> Number:
    """The inverse of tanh."""
    return MP.atanh(x)


def atanh_slope(x: Number) -> Number:
    """1 / ((1 - x) (1 + x))."""
    return 1 / (1 - MP.convert(x) ** 2)


def erf(x: Number) -> Number:
    """2/sqrt(pi) * the integral of exp(-t^2) from 0 to x."""
    return MP.erf(x)


def erf_slope(x: Number) -> Number:
    """2/sqrt(pi) exp(-x^2)."""
    return 2 / MP.sqrt(MP.pi) * MP.exp(-(MP.convert(x) ** 2))


def erfc(x: Number) -> Number:
    """1 - erf(x)."""
    return MP.erfc(x)


def erfc_slope(x: Number) -> Number:
    """-2/sqrt(pi) exp(-x^2)."""
    return -2 / MP.sqrt(MP.pi) * MP.exp(-(MP.convert(x) ** 2))


def erf_inv(x: Number) -> Number:
    """The y with erf(y) = x."""
    return MP.erfinv(x)


def erf_inv_slope(x: Number) -> Number:
    """sqrt(pi)/2 exp(y^2)."""
    return MP.sqrt(MP.pi) / 2 * MP.exp(MP.erfinv(x) ** 2)


def digamma(x: Number) -> Number:
    """d/dx log Gamma(x)."""
    return MP.digamma(x)


def digamma_slope(x: Number) -> Number:
    """The sum of 1 / (x + k)^2, k = 0, 1, ...; from k = 30 on as an asymptotic series."""
    return MP.polygamma(1, x)


def polygamma(x: Number, *, n: int = 1) -> Number:
    """The n-th derivative of digamma."""
    return MP.polygamma(n, x)


def polygamma_slope(x: Number, *, n: int = 1) -> Number:
    """The next one."""
    return MP.polygamma(n + 1, x)


INTERVALS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("log", "sqrt", "rsqrt", "lgamma", "digamma", "polygamma"), (0.0, math.inf)),
    **dict.fromkeys(("asin", "acos", "atanh", "erf_inv"), (-1.0, 1.0)),
    "log1p": (-1.0, math.inf),
    "acosh": (1.0, math.inf),
}

PRECISE_GATES: dict[str, tuple[Callable[..., Number], Callable[..., Number]]] = {
    "rsqrt": (rsqrt, rsqrt_slope),
    "cbrt": (cbrt, cbrt_slope),
    "exp2": (exp2, exp2_slope),
    "expm1": (expm1, expm1_slope),
    "log1p": (log1p, log1p_slope),
    "sin": (sin, sin_slope),
    "cos": (cos, cos_slope),
    "tan": (tan, tan_slope),
    "asin": (asin, asin_slope),
    "acos": (acos, acos_slope),
    "atan": (atan, atan_slope),
    "sinh": (sinh, sinh_slope),
    "cosh": (cosh, cosh_slope),
    "asinh": (asinh, asinh_slope),
    "acosh": (acosh, acosh_slope),
    "atanh": (atanh, atanh_slope),
    "erf": (erf, erf_slope),
    "erfc": (erfc, erfc_slope),
    "erf_inv": (erf_inv, erf_inv_slope),
    "digamma": (digamma, digamma_slope),
    "polygamma": (polygamma, polygamma_slope),
}
