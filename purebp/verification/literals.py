"""The constants of a program: where it compares, clips or divides, mistakes hide."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

MOST = 16
INFINITE = 1e8
"""A larger constant stands for infinity, as what masked scores are set to: no input is like it."""


def literals_of(jaxpr: Any) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The numbers and the integers that occur in a jaxpr, in the order in which they do."""
    floats, integers = dict[float, None](), dict[int, None]()
    for value in _scalars(jaxpr):
        if np.ndim(value) or not np.isfinite(value):
            continue
        if jnp.issubdtype(jnp.result_type(value), jnp.integer):
            integers[int(value)] = None
        elif jnp.issubdtype(jnp.result_type(value), jnp.floating) and 0 < abs(value) < INFINITE:
            floats[abs(float(value))] = None
    return tuple(floats)[:MOST], tuple(integers)[:MOST]


def _scalars(jaxpr: Any) -> Iterator[Any]:
    if isinstance(jaxpr, ClosedJaxpr):
        single = (const for const in jaxpr.consts if np.size(const) == 1)
        keys = jax.dtypes.extended
        yield from (np.asarray(c)[()] for c in single if not jnp.issubdtype(c.dtype, keys))
        jaxpr = jaxpr.jaxpr
    for equation in jaxpr.eqns:
        yield from (v.val for v in equation.invars if isinstance(v, Literal))
        for param in equation.params.values():
            for inner in param if isinstance(param, tuple | list) else (param,):
                if isinstance(inner, Jaxpr | ClosedJaxpr):
                    yield from _scalars(inner)
