"""Gates that change the precision of a number."""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import DtypeError, OptionError
from purebp.gate import Gate


def cast_definition(x: Float[Array, "*s"], *, dtype: Any = float) -> Float[Array, "*s"]:
    """y = x in another dtype, by default in JAX's widest (float32, or float64 if that is enabled).

    Maths: x_bar = y_bar in the dtype of x: the rounding counts as the identity.
    Shapes: y and x_bar are shaped like x.
    Residuals: none; the dtype of x is static.
    Kinks: the steps of the rounding.
    Raises: DtypeError unless both dtypes are floating. (Integers have no gradient.)
    Source: the convention of mixed precision: the slope of a rounding is 1.

    Example:
        >>> y, res = cast.fwd(jnp.array([1.0, 0.1]), dtype=jnp.bfloat16)
        >>> print(y, *cast.bwd(res, jnp.ones_like(y)))
        [1 0.100098] [1. 1.]
    """
    return x.astype(dtype)


def cast_x_bar(y_bar: Array) -> Array:
    return y_bar  # every gate hands back the dtype of its operand


def check_cast(x: Array, *, dtype: Any) -> None:
    """Raise unless the new dtype is floating."""
    if not jnp.issubdtype(dtype, jnp.floating):
        raise DtypeError(f"cast: dtype is {dtype!r}, expected a floating dtype")


cast = Gate(cast_definition, cast_x_bar, primitive="convert_element_type", check=check_cast)


def reduce_precision_definition(
    x: Float[Array, "*s"], *, exponent_bits: int = 11, mantissa_bits: int = 52
) -> Float[Array, "*s"]:
    """y = x rounded to a floating format with fewer bits; its dtype stays.

    Maths: x_bar = y_bar rounded in the same way, as JAX has it: the slope of a rounding is 1.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: the steps of the rounding. The bits of float64, by default, have none.
    Raises: OptionError for no exponent bits or negative numbers, DtypeError for integers.
    Source: IEEE 754; straight-through estimator (Bengio et al. 2013).

    Example:
        >>> y, res = reduce_precision.fwd(jnp.array([1.0, 0.1]), exponent_bits=8, mantissa_bits=2)
        >>> print(y, *reduce_precision.bwd(res, jnp.ones(2)))
        [1.      0.09375] [1. 1.]
    """
    return lax.reduce_precision(x, exponent_bits, mantissa_bits)


def reduce_precision_x_bar(y_bar: Array, exponent_bits: int, mantissa_bits: int) -> Array:
    return lax.reduce_precision(y_bar, exponent_bits, mantissa_bits)


def check_reduce_precision(x: Array, *, exponent_bits: int, mantissa_bits: int) -> None:
    """Raise for formats that are none."""
    if exponent_bits < 1 or mantissa_bits < 0:
        raise OptionError(
            f"reduce_precision: exponent_bits and mantissa_bits are {exponent_bits} and "
            f"{mantissa_bits}, expected at least 1 and 0"
        )


reduce_precision = Gate(
    reduce_precision_definition,
    reduce_precision_x_bar,
    primitive="reduce_precision",
    check=check_reduce_precision,
)

OPS = (cast, reduce_precision)
