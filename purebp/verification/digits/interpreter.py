"""A jaxpr, run with many digits."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from purebp.verification.digits import control, elementwise, factors, moves, sums
from purebp.verification.digits.values import (
    MP,
    UnsupportedError,
    exact,
    filled,
    is_exact,
    is_floating,
    value_of,
)

__all__ = ["UnsupportedError", "run"]


def run(jaxpr: ClosedJaxpr, arrays: list[Any]) -> list[Any]:
    """The outputs of a program; each floating array holds mpmath numbers."""
    if not isinstance(jaxpr, ClosedJaxpr):
        jaxpr = ClosedJaxpr(jaxpr, ())
    known: dict[Any, Any] = {}

    def read(variable: Any) -> Any:
        if isinstance(variable, Literal):
            return value_of(variable.val, jnp.result_type(variable.val))
        return known[variable]

    inner = jaxpr.jaxpr
    constants = [value_of(c, jnp.result_type(c)) for c in jaxpr.consts]
    known.update(zip(inner.constvars, constants, strict=True))
    known.update(zip(inner.invars, arrays, strict=True))
    for equation in inner.eqns:
        out = _step(equation, [read(variable) for variable in equation.invars])
        known.update(zip(equation.outvars, out, strict=True))
    return [read(variable) for variable in inner.outvars]


def _step(equation: Any, arrays: list[Any]) -> list[Any]:
    primitive, params = equation.primitive, equation.params
    name = str(primitive.name)
    called = control.apply(name, run, params, arrays)
    if called is not None:
        return called
    if not any(is_exact(array) for array in arrays):
        return _of_integers(equation, arrays)
    if name == "convert_element_type":
        return [_converted(arrays[0], params["new_dtype"])]
    if name == "sort":
        return moves.sort(params, arrays)
    if name == "top_k":
        return moves.top_k(params, arrays[0])
    out = elementwise.apply(name, params, arrays)
    out = sums.apply(name, primitive, params, arrays) if out is None else out
    out = factors.apply(name, params, arrays) if out is None else out
    out = moves.apply(name, primitive, params, arrays) if out is None else out
    if out is None:
        raise UnsupportedError(f"the primitive {name}")
    return out if isinstance(out, list) else [out]


def _of_integers(equation: Any, arrays: list[Any]) -> list[Any]:
    """A step without floating inputs is exact as it is."""
    if not all(isinstance(array, np.ndarray | np.generic) for array in arrays):
        return _bound(equation, arrays)
    given = ((np.shape(array), array.dtype, array.tobytes()) for array in arrays)
    return _bound_once(equation, tuple(given))


@lru_cache(maxsize=4096)
def _bound_once(equation: Any, given: tuple[tuple[Any, Any, bytes], ...]) -> list[Any]:
    """The same step on the same integers is taken again for each slope."""
    return _bound(equation, [np.frombuffer(b, dtype).reshape(shape) for shape, dtype, b in given])


def _bound(equation: Any, arrays: list[Any]) -> list[Any]:
    given = [jnp.asarray(array) if isinstance(array, np.ndarray) else array for array in arrays]
    out = equation.primitive.bind(*given, **equation.params)
    several = out if equation.primitive.multiple_results else [out]
    return [value_of(x, jax.typeof(x).dtype) for x in several]


def _converted(x: Any, dtype: Any) -> Any:
    if is_floating(dtype):
        return x if is_exact(x) else exact(x)
    if np.dtype(dtype) == bool:
        return np.asarray([number != 0 for number in x.ravel()]).reshape(x.shape)
    info = jnp.iinfo(dtype)
    whole = filled(x.shape, [_whole(number, int(info.min), int(info.max)) for number in x.ravel()])
    return whole.astype(dtype)


def _whole(number: Any, low: int, high: int) -> int:
    """Towards 0, the nearest that there is; 0 for nan."""
    if MP.isnan(number):
        return 0
    if number >= high:
        return high
    return low if number <= low else int(elementwise.truncated(number))
