"""Scalar gates and activations and their slopes with 50 digits, by mpmath.

PRECISE[name] is (f, slope). Both take a number (a float is taken as exactly the number it is) and
return an mpf with 50 digits; `elu`, `swish` and `gelu` take the options of the op. The formulas
are written so that no digits cancel in the tails either.
"""

from collections.abc import Callable
from typing import Any

import mpmath

DIGITS = 50
MP: Any = mpmath.mp.clone()  # arithmetic of its own: mpmath's global precision stays as it is
MP.dps = DIGITS
Number = Any  # a float or an mpf


def exp(x: Number) -> Number:
    """e to the power x."""
    return MP.exp(x)


def exp_slope(x: Number) -> Number:
    """exp(x)."""
    return MP.exp(x)


def log(x: Number) -> Number:
    """Natural logarithm, x > 0."""
    return MP.log(x)


def log_slope(x: Number) -> Number:
    """1 / x."""
    return 1 / MP.convert(x)


def sqrt(x: Number) -> Number:
    """Square root, x >= 0."""
    return MP.sqrt(x)


def sqrt_slope(x: Number) -> Number:
    """1 / (2 sqrt(x))."""
    return 1 / (2 * MP.sqrt(x))


def square(x: Number) -> Number:
    """x^2."""
    return MP.convert(x) ** 2


def square_slope(x: Number) -> Number:
    """2 x."""
    return 2 * MP.convert(x)


def reciprocal(x: Number) -> Number:
    """1 / x."""
    return 1 / MP.convert(x)


def reciprocal_slope(x: Number) -> Number:
    """-1 / x^2."""
    return -1 / MP.convert(x) ** 2


def sigmoid(x: Number) -> Number:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + MP.exp(-MP.convert(x)))


def sigmoid_slope(x: Number) -> Number:
    """exp(-x) / (1 + exp(-x))^2 = sigmoid(x) * sigmoid(-x)."""
    return sigmoid(x) * sigmoid(-MP.convert(x))


def tanh(x: Number) -> Number:
    """sinh(x) / cosh(x)."""
    return MP.sinh(x) / MP.cosh(x)


def tanh_slope(x: Number) -> Number:
    """1 / cosh(x)^2."""
    return 1 / MP.cosh(x) ** 2


def elu(x: Number, *, alpha: float = 1.0) -> Number:
    """x above 0, alpha * (exp(x) - 1) below."""
    return MP.convert(x) if x > 0 else alpha * MP.expm1(x)


def elu_slope(x: Number, *, alpha: float = 1.0) -> Number:
    """1 above 0, alpha * exp(x) below and at 0."""
    return MP.mpf(1) if x > 0 else alpha * MP.exp(x)


def swish(x: Number, *, beta: float = 1.0) -> Number:
    """x * sigmoid(beta * x)."""
    x = MP.convert(x)
    return x * sigmoid(beta * x)


def swish_slope(x: Number, *, beta: float = 1.0) -> Number:
    """sigmoid(beta x) + beta x sigmoid'(beta x)."""
    z = beta * MP.convert(x)
    return sigmoid(z) + z * sigmoid_slope(z)


def twice_gelu_argument(x: Number) -> tuple[Number, Number]:
    """2u and d(2u)/dx for u = sqrt(2 / pi) * (x + 0.044715 x^3)."""
    x, cube, scale = MP.convert(x), MP.mpf("0.044715"), 2 * MP.sqrt(2 / MP.pi)
    return scale * (x + cube * x**3), scale * (1 + 3 * cube * x**2)


def gelu(x: Number, *, approximate: bool = True) -> Number:
    """x / 2 * (1 + tanh(u)) = x * sigmoid(2u); approximate=False: x * Phi(x).

    Phi(x) = (1 + erf(x / sqrt 2)) / 2 = erfc(-x / sqrt 2) / 2.
    """
    x = MP.convert(x)
    if approximate:
        return x * sigmoid(twice_gelu_argument(x)[0])
    return x * MP.erfc(-x / MP.sqrt(2)) / 2


def gelu_slope(x: Number, *, approximate: bool = True) -> Number:
    """sigmoid(2u) + x sigmoid'(2u) d(2u)/dx; approximate=False: Phi(x) + x phi(x).

    phi(x) = exp(-x^2 / 2) / sqrt(2 pi).
    """
    x = MP.convert(x)
    if approximate:
        twice_u, slope = twice_gelu_argument(x)
        return sigmoid(twice_u) + x * sigmoid_slope(twice_u) * slope
    return MP.erfc(-x / MP.sqrt(2)) / 2 + x * MP.exp(-(x**2) / 2) / MP.sqrt(2 * MP.pi)


PRECISE: dict[str, tuple[Callable[..., Number], Callable[..., Number]]] = {
    "exp": (exp, exp_slope),
    "log": (log, log_slope),
    "sqrt": (sqrt, sqrt_slope),
    "square": (square, square_slope),
    "reciprocal": (reciprocal, reciprocal_slope),
    "sigmoid": (sigmoid, sigmoid_slope),
    "tanh": (tanh, tanh_slope),
    "elu": (elu, elu_slope),
    "swish": (swish, swish_slope),
    "gelu": (gelu, gelu_slope),
}
