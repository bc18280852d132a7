"""Primitives that take the entries of arrays one by one."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

from purebp.verification.digits.values import INF, MP, NAN, Exact, exact, filled, is_exact

Number = Any


def _real(function: Callable[..., Any]) -> Callable[..., Number]:
    """Where a function has no real value: nan; at a pole: infinity as floating point has it."""

    def of_numbers(*numbers: Number) -> Number:
        if function is not power and any(MP.isnan(number) for number in numbers):
            return NAN
        try:
            value = function(*numbers)
        except (ValueError, ZeroDivisionError, MP.NoConvergence):
            return NAN
        return NAN if isinstance(value, MP.mpc) else value

    return of_numbers


def divide(x: Number, y: Number) -> Number:
    if y == 0:
        return NAN if x == 0 else INF * MP.sign(x)
    return x / y


def logarithm(x: Number) -> Number:
    return NAN if x < 0 else -INF if x == 0 else MP.log(x)


def power(x: Number, y: Number) -> Number:
    if y == 0 or x == 1:
        return MP.mpf(1)
    if MP.isnan(x) or MP.isnan(y):
        return NAN
    if x == 0:
        return MP.mpf(0) if y > 0 else INF
    if MP.isinf(y):
        return MP.mpf(1) if abs(x) == 1 else INF if (abs(x) > 1) == (y > 0) else MP.mpf(0)
    if x == -INF and not MP.isint(y):
        return INF if y > 0 else MP.mpf(0)
    return MP.power(x, y)


def integer_power(x: Number, y: int) -> Number:
    return INF if x == 0 and y < 0 else x**y


def remainder(x: Number, y: Number) -> Number:
    if MP.isinf(y):
        return NAN if MP.isinf(x) else x
    return NAN if y == 0 else x - y * truncated(x / y)


def truncated(x: Number) -> Number:
    return MP.floor(x) if x >= 0 else MP.ceil(x)


def to_even(x: Number) -> Number:
    return MP.nint(x)


def away_from_zero(x: Number) -> Number:
    return MP.sign(x) * MP.floor(abs(x) + MP.mpf(1) / 2)


def logistic(x: Number) -> Number:
    return 1 / (1 + MP.exp(-x))


def reciprocal_root(x: Number) -> Number:
    return INF if x == 0 else 1 / MP.sqrt(x)


def cube_root(x: Number) -> Number:
    return MP.sign(x) * MP.cbrt(abs(x))


def log_gamma(x: Number) -> Number:
    if MP.isinf(x) or (x <= 0 and MP.isint(x)):
        return INF
    return MP.re(MP.loggamma(x))


def digamma(x: Number) -> Number:
    return MP.psi(0, x)


def scaled_bessel(order: int, x: Number) -> Number:
    return MP.mpf(0) if MP.isinf(x) else MP.exp(-abs(x)) * MP.besseli(order, x)


def log_of_one_and(x: Number) -> Number:
    return NAN if x < -1 else -INF if x == -1 else MP.log1p(x)


def angle(y: Number, x: Number) -> Number:
    if MP.isinf(x) and MP.isinf(y):
        x, y = MP.sign(x), MP.sign(y)
    return MP.atan2(y, x)


def inverse_error(x: Number) -> Number:
    return NAN if abs(x) > 1 else INF * MP.sign(x) if abs(x) == 1 else MP.erfinv(x)


def larger(x: Number, y: Number) -> Number:
    return max(x, y)


def smaller(x: Number, y: Number) -> Number:
    return min(x, y)


def clamped(low: Number, x: Number, high: Number) -> Number:
    return smaller(larger(x, low), high)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "add_any": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": divide,
    "rem": remainder,
    "neg": operator.neg,
    "abs": abs,
    "sign": MP.sign,
    "square": lambda x: x * x,
    "sqrt": MP.sqrt,
    "rsqrt": reciprocal_root,
    "cbrt": cube_root,
    "pow": power,
    "max": larger,
    "min": smaller,
    "clamp": clamped,
    "exp": MP.exp,
    "exp2": lambda x: MP.power(2, x),
    "expm1": MP.expm1,
    "log": logarithm,
    "log1p": log_of_one_and,
    "logistic": logistic,
    "tanh": MP.tanh,
    "sinh": MP.sinh,
    "cosh": MP.cosh,
    "asinh": MP.asinh,
    "acosh": MP.acosh,
    "atanh": MP.atanh,
    "sin": MP.sin,
    "cos": MP.cos,
    "tan": MP.tan,
    "asin": MP.asin,
    "acos": MP.acos,
    "atan": MP.atan,
    "atan2": angle,
    "erf": MP.erf,
    "erfc": MP.erfc,
    "erf_inv": inverse_error,
    "lgamma": log_gamma,
    "digamma": digamma,
    "bessel_i0e": lambda x: scaled_bessel(0, x),
    "bessel_i1e": lambda x: scaled_bessel(1, x),
    "floor": MP.floor,
    "ceil": MP.ceil,
}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}
SAME = {
    "name",
    "copy",
    "copy_p",
    "reduce_precision",
    "stop_gradient",
    "optimization_barrier",
    "pvary",
}


def entrywise(function: Callable[..., Any], *arrays: Any) -> Exact:
    """A function of numbers on every entry; scalars go with arrays."""
    several = np.broadcast_arrays(*arrays)
    entries = zip(*(array.ravel() for array in several), strict=True)
    guarded = _real(function)
    return filled(several[0].shape, [guarded(*numbers) for numbers in entries])


def compared(function: Callable[[Any, Any], Any], x: Any, y: Any) -> np.ndarray:
    """A comparison of every entry."""
    pairs = np.broadcast_arrays(x, y)
    entries = zip(pairs[0].ravel(), pairs[1].ravel(), strict=True)
    return np.asarray([bool(function(a, b)) for a, b in entries], bool).reshape(pairs[0].shape)


def apply(name: str, params: dict[str, Any], arrays: list[Any]) -> Any | None:
    """The primitive of a name; None if it is not one of these."""
    if name in FUNCTIONS:
        return entrywise(FUNCTIONS[name], *arrays)
    if name in COMPARISONS:
        return compared(COMPARISONS[name], *arrays)
    if name in SAME:
        return list(arrays)
    if name == "integer_pow":
        y = params["y"]
        if y == 0:
            return entrywise(lambda _: MP.mpf(1), filled(arrays[0].shape, [0] * arrays[0].size))
        return entrywise(lambda x: integer_power(x, y), arrays[0])
    if name == "round":
        even = params["rounding_method"] == lax.RoundingMethod.TO_NEAREST_EVEN
        return entrywise(to_even if even else away_from_zero, arrays[0])
    if name == "is_finite":
        return np.asarray([bool(MP.isfinite(x)) for x in arrays[0].ravel()], bool).reshape(
            arrays[0].shape
        )
    if name == "select_n":
        return selected(*arrays)
    return None


def selected(which: np.ndarray, *cases: Any) -> Any:
    """The entry of the case that `which` names."""
    which = np.broadcast_to(np.asarray(which), np.shape(cases[0]))
    if not any(is_exact(case) for case in cases):
        return np.choose(which.astype(int), cases)
    chosen = [case if is_exact(case) else exact(case) for case in cases]
    flat = [case.ravel() for case in chosen]
    picks = [flat[int(k)][index] for index, k in enumerate(which.ravel())]
    return filled(which.shape, picks)
