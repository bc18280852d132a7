"""Activations without an exponential: fractions and square roots."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.numerics import widen


def softsign_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = x / (1 + |x|), a sigmoid with slow tails.

    Maths: x_bar = y_bar / (1 + |x|)^2.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y: 1 - |y| would cancel in the tails.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: Turian, Bergstra and Bengio 2009; Glorot and Bengio 2010.

    Example:
        >>> y, res = softsign.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*softsign.bwd(res, y))
        [ 0.125      -0.14814816  0.07407408]
    """
    size, sign = jnp.where(x < 0, -x, x), jnp.where(x < 0, -1, 1).astype(x.dtype)
    return jnp.where(size < 1, x / (1 + size), sign * (1 - 1 / (1 + size)))


def softsign_forward(x: Array) -> Array:
    wide = widen(x)
    y = jnp.where(jnp.isinf(wide), jnp.sign(wide), wide / (1 + jnp.abs(wide)))
    return y.astype(x.dtype)


def softsign_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    r = 1 / (1 + jnp.where(wide < 0, -wide, wide))
    return y_bar * (r * r)


softsign = Gate(softsign_definition, softsign_x_bar, forward=softsign_forward)


def squareplus_definition(x: Float[Array, "*s"], *, b: float = 4.0) -> Float[Array, "*s"]:
    """y = (x + sqrt(x^2 + b)) / 2, a softplus without logarithm and exponential.

    Maths: with r = sqrt(x^2 + b): x_bar = y_bar y / r. For x < 0 the sum x + r cancels, and
        y = b / (2 (r - x)).
    Shapes: y and x_bar are shaped like x.
    Residuals: x; y and r are cheap. The forward pass takes r / 2 from x / 2: were it the same
        expression as in the backward pass, XLA would keep it from one to the other.
    Kinks: none.
    Raises: OptionError unless b > 0, DtypeError for integers.
    Source: Barron 2021, "Squareplus: a softplus-like algebraic rectifier".

    Example:
        >>> y, res = squareplus.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*squareplus.bwd(res, y))
        [[1.1708205  0.29570517 2.0606604 ]
         [0.79570514 0.09999999 0.66671926]]
    """
    r = jnp.sqrt(x * x + b)
    return jnp.where(x < 0, b / 2 / (r - x), (x + r) / 2)


def _hypotenuse(x: Array, square: float) -> Array:
    """sqrt(x^2 + square). Beyond 1e15 it is |x|, and x^2 would overflow further on."""
    size = jnp.where(x < 0, -x, x)
    near = jnp.minimum(size, 1e15)
    return jnp.where(size > near, size, jnp.sqrt(near * near + square))


def squareplus_forward(x: Array, *, b: float) -> Array:
    half = widen(x) / 2
    far = _hypotenuse(half, b / 4) + jnp.abs(half)
    return jnp.where(half < 0, (b / 4) / far, far).astype(x.dtype)


def squareplus_x_bar(y_bar: Array, x: Array, b: float) -> Array:
    wide = widen(x)
    r = _hypotenuse(wide, b)
    share = jnp.where(jnp.isinf(r), 1, (1 + jnp.abs(wide) / r) / 2)
    return y_bar * jnp.where(wide < 0, b / (4 * r * r) / share, share)


def check_squareplus(x: Array, *, b: float) -> None:
    """Raise unless b keeps the square root smooth."""
    if not b > 0:
        raise OptionError(f"squareplus: b is {b}, expected a number above 0")


squareplus = Gate(
    squareplus_definition,
    squareplus_x_bar,
    forward=squareplus_forward,
    options={"b": (4.0, 0.5)},
    check=check_squareplus,
)

OPS = (softsign, squareplus)
