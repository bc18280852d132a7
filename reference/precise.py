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


def softplus(x: Number) -> Number:
    """log(1 + exp(x))."""
    return MP.log1p(MP.exp(x))


def log_sigmoid(x: Number) -> Number:
    """-softplus(-x)."""
    return -softplus(-MP.convert(x))


def log_sigmoid_slope(x: Number) -> Number:
    """sigmoid(-x)."""
    return sigmoid(-MP.convert(x))


def mish(x: Number) -> Number:
    """x * tanh(softplus(x))."""
    return MP.convert(x) * tanh(softplus(x))


def mish_slope(x: Number) -> Number:
    """tanh(p) + x sigmoid(x) / cosh(p)^2, p = softplus(x)."""
    p = softplus(x)
    return tanh(p) + MP.convert(x) * sigmoid(x) * tanh_slope(p)


def softsign(x: Number) -> Number:
    """x / (1 + |x|)."""
    x = MP.convert(x)
    return x / (1 + abs(x))


def softsign_slope(x: Number) -> Number:
    """1 / (1 + |x|)^2."""
    return 1 / (1 + abs(MP.convert(x))) ** 2


def squareplus(x: Number, *, b: float = 4.0) -> Number:
    """(x + sqrt(x^2 + b)) / 2; below 0 as b / 2 / (sqrt(x^2 + b) - x)."""
    x = MP.convert(x)
    r = MP.sqrt(x * x + b)
    return (x + r) / 2 if x > 0 else b / (2 * (r - x))


def squareplus_slope(x: Number, *, b: float = 4.0) -> Number:
    """y / sqrt(x^2 + b)."""
    return squareplus(x, b=b) / MP.sqrt(MP.convert(x) ** 2 + b)


SELU_ALPHA = MP.mpf("1.6732632423543772848170429916717")
SELU_SCALE = MP.mpf("1.0507009873554804934193349852946")


def selu(x: Number) -> Number:
    """scale * elu(x) with the given alpha."""
    return SELU_SCALE * elu(x, alpha=SELU_ALPHA)


def selu_slope(x: Number) -> Number:
    """scale * elu'(x)."""
    return SELU_SCALE * elu_slope(x, alpha=SELU_ALPHA)


def celu(x: Number, *, alpha: float = 1.0) -> Number:
    """x above 0, alpha * (exp(x / alpha) - 1) below."""
    return MP.convert(x) if x > 0 else alpha * MP.expm1(MP.convert(x) / alpha)


def celu_slope(x: Number, *, alpha: float = 1.0) -> Number:
    """1 above 0, exp(x / alpha) below."""
    return MP.mpf(1) if x > 0 else MP.exp(MP.convert(x) / alpha)


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
    "softplus": (softplus, sigmoid),
    "log_sigmoid": (log_sigmoid, log_sigmoid_slope),
    "mish": (mish, mish_slope),
    "softsign": (softsign, softsign_slope),
    "squareplus": (squareplus, squareplus_slope),
    "selu": (selu, selu_slope),
    "celu": (celu, celu_slope),
}
