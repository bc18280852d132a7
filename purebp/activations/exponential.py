"""Activations that are an exponential below 0 and a line above."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.numerics import widen

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _below(x: Array) -> Array:
    return jnp.where(x > 0, jnp.zeros_like(x), x)


def _expm1_definition(x: Array) -> Array:
    """e^x - 1 for x <= 0, as 2 sinh(x/2) e^(x/2) near 0: its autodiff does not cancel either."""
    small = x > -0.5
    near = jnp.where(small, x, jnp.zeros_like(x)) / 2
    far = jnp.exp(jnp.where(small, -jnp.ones_like(x), x)) - 1
    return jnp.where(small, 2 * jnp.sinh(near) * jnp.exp(near), far)


def selu_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = scale x where x > 0, else scale alpha (e^x - 1): activations keep mean 0, variance 1.

    Maths: x_bar = scale y_bar where x > 0, else scale alpha e^x y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y: y + scale alpha cancels in the left tail.
    Kinks: the slope at 0 is scale alpha.
    Raises: DtypeError for integers.
    Source: Klambauer et al. 2017, "Self-normalizing neural networks", equation 2.

    Example:
        >>> y, res = selu.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*selu.bwd(res, y))
        [ 1.1039727 -0.7376502  2.2079453]
    """
    return SELU_SCALE * jnp.where(x > 0, x, SELU_ALPHA * _expm1_definition(_below(x)))


def selu_forward(x: Array) -> Array:
    wide = widen(x)
    low = (SELU_SCALE * SELU_ALPHA) * jnp.expm1(_below(wide))
    return jnp.where(wide > 0, SELU_SCALE * wide, low).astype(x.dtype)


def selu_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    low = (SELU_SCALE * SELU_ALPHA) * jnp.exp(_below(wide))
    return y_bar * jnp.where(wide > 0, SELU_SCALE, low)


selu = Gate(selu_definition, selu_x_bar, forward=selu_forward, kinks="slope scale alpha at 0")


def celu_definition(x: Float[Array, "*s"], *, alpha: float = 1.0) -> Float[Array, "*s"]:
    """y = x where x > 0, else alpha (e^(x / alpha) - 1): an ELU without a kink for any alpha.

    Maths: x_bar = y_bar where x > 0, else e^(x / alpha) y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y: y / alpha + 1 cancels in the left tail.
    Kinks: none.
    Raises: OptionError unless alpha > 0, DtypeError for integers.
    Source: Barron 2017, "Continuously differentiable exponential linear units".

    Example:
        >>> y, res = celu.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*celu.bwd(res, y))
        [[ 1.         -0.23865122  2.        ]
         [ 0.5        -0.17334309  0.3       ]]
    """
    return jnp.where(x > 0, x, alpha * _expm1_definition(_below(x) / alpha))


def celu_forward(x: Array, *, alpha: float) -> Array:
    wide = widen(x)
    low = alpha * jnp.expm1(_below(wide) / alpha)
    return jnp.where(wide > 0, wide, low).astype(x.dtype)


def celu_x_bar(y_bar: Array, x: Array, alpha: float) -> Array:
    return y_bar * jnp.exp(_below(widen(x)) / alpha)


def check_celu(x: Array, *, alpha: float) -> None:
    """Raise unless the exponential falls to the left."""
    if not alpha > 0:
        raise OptionError(f"celu: alpha is {alpha}, expected a number above 0")


celu = Gate(
    celu_definition,
    celu_x_bar,
    forward=celu_forward,
    options={"alpha": (1.0, 0.5)},
    check=check_celu,
)

OPS = (selu, celu)
