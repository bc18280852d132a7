"""A function run by JAX in float64, and with many digits."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import enable_x64
from purebp.verification.digits.interpreter import run
from purebp.verification.digits.values import is_exact, rounded, value_of


def by_digits(function: Any, *args: Any) -> list[Any]:
    """The outputs with many digits, floating ones rounded to float64."""
    with enable_x64(True):
        given = [jnp.asarray(arg) for arg in args]
        jaxpr = jax.make_jaxpr(function)(*given)
        out = run(jaxpr, [value_of(arg, arg.dtype) for arg in given])
    return [rounded(leaf) if is_exact(leaf) else np.asarray(leaf) for leaf in out]


def by_jax(function: Any, *args: Any) -> list[Any]:
    """The outputs of the function itself, in float64."""
    with enable_x64(True):
        out = jax.jit(function)(*map(jnp.asarray, args))
        return [np.asarray(leaf) for leaf in jax.tree.leaves(out)]


def assert_same(function: Any, *args: Any, rtol: float = 1e-13) -> None:
    """Both ways give the same shapes, kinds and numbers; a nan is equal to a nan."""
    got, expected = by_digits(function, *args), by_jax(function, *args)
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-300)
        else:
            np.testing.assert_array_equal(one, other)
