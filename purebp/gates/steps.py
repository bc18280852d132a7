"""Gates that are flat between steps: their slope is 0, and the upstream gradient stops there."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gate import Gate

METHODS = {
    "even": lax.RoundingMethod.TO_NEAREST_EVEN,
    "away": lax.RoundingMethod.AWAY_FROM_ZERO,
}


def sign_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = 1 for x > 0, -1 for x < 0, and x itself where it is 0, -0 or nan.

    Maths: y is flat on both sides of 0: x_bar = 0, whatever comes from upstream, nan too.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: the step at 0 counts as flat. (A straight-through estimator is another function.)
    Raises: DtypeError for integers.
    Source: derivative of a constant.

    Example:
        >>> y, res = sign.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*sign.bwd(res, y))
        [0. 0. 0.]
    """
    return jnp.sign(x)


def floor_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = the largest integer that is at most x.

    Maths: y is flat between integers: x_bar = 0.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: the steps at integers count as flat.
    Raises: DtypeError for integers.
    Source: derivative of a constant.

    Example:
        >>> y, res = floor.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*floor.bwd(res, y))
        [0. 0. 0.]
    """
    return jnp.floor(x)


def ceil_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = the smallest integer that is at least x.

    Maths: y is flat between integers: x_bar = 0.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: the steps at integers count as flat.
    Raises: DtypeError for integers.
    Source: derivative of a constant.

    Example:
        >>> y, res = ceil.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*ceil.bwd(res, y))
        [0. 0. 0.]
    """
    return jnp.ceil(x)


def round_definition(x: Float[Array, "*s"], *, half: str = "even") -> Float[Array, "*s"]:
    """y = the integer next to x; of two the even one, or with half="away" that away from 0.

    Maths: y is flat between the halves: x_bar = 0.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: the steps at halves count as flat.
    Raises: OptionError for another `half`, DtypeError for integers.
    Source: derivative of a constant.

    Example:
        >>> y, res = round.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*round.bwd(res, y))
        [[0. 0. 0.]
         [0. 0. 0.]]
    """
    return lax.round(x, METHODS[half])


def no_slope(y_bar: Array) -> Array:
    return jnp.zeros_like(y_bar)


def check_half(x: Array, *, half: Any) -> None:
    """Raise for an unknown way to round halves."""
    if half not in METHODS:
        raise OptionError(f"round: half is {half!r}, expected one of {', '.join(METHODS)}")


step = partial(Gate, kinks="a step counts as flat")
sign = step(sign_definition, no_slope, primitive="sign")
floor = step(floor_definition, no_slope, primitive="floor")
ceil = step(ceil_definition, no_slope, primitive="ceil")
round = step(
    round_definition,
    no_slope,
    primitive="round",
    options={"half": ("even", "away")},
    check=check_half,
)

OPS = (sign, floor, ceil, round)
