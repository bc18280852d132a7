"""Activations that are flat outside an interval: cheap, and dead beyond it."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.numerics import widen


def relu6_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = min(max(0, x), 6): a ReLU that a few bits can hold.

    Maths: x_bar = y_bar [0 < x < 6].
    Shapes: y and x_bar are shaped like x.
    Residuals: y, which the next layer keeps anyway; 0 < y < 6 exactly where 0 < x < 6.
    Kinks: slope 0 at 0 and at 6 (jax.nn.relu6 takes 1/2 there, by its ties).
    Raises: DtypeError for integers.
    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    Example:
        >>> y, res = relu6.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*relu6.bwd(res, y))
        [1. 0. 2.]
    """
    return jnp.where(x <= 0, jnp.zeros_like(x), jnp.where(x >= 6, jnp.full_like(x, 6), x))


def relu6_x_bar(y_bar: Array, y: Array) -> Array:
    return jnp.where((y > 0) & (y < 6), y_bar, jnp.zeros_like(y_bar))


relu6 = Gate(relu6_definition, relu6_x_bar, kinks="slope 0 at 0 and 6")


def hard_sigmoid_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = min(max(0, x + 3), 6) / 6, a sigmoid of three straight pieces.

    Maths: x_bar = y_bar / 6 where -3 < x < 3, else 0.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: slope 0 at -3 and at 3.
    Raises: DtypeError for integers.
    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2.

    Example:
        >>> y, res = hard_sigmoid.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*hard_sigmoid.bwd(res, y))
        [0.11111112 0.06944445 0.1388889 ]
    """
    inside = (x > -3) & (x < 3)
    flat = jnp.where(x >= 3, 1, jnp.where(x <= -3, 0, x)).astype(x.dtype)
    return jnp.where(inside, (x + 3) / 6, flat)


def hard_sigmoid_forward(x: Array) -> Array:
    wide = widen(x)
    return (jnp.clip(wide + 3, 0, 6) / 6).astype(x.dtype)


def hard_sigmoid_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(y_bar)
    return jnp.where((x > -3) & (x < 3), wide / 6, jnp.zeros_like(wide))


hard_sigmoid = Gate(
    hard_sigmoid_definition,
    hard_sigmoid_x_bar,
    forward=hard_sigmoid_forward,
    kinks="slope 0 at -3 and 3",
)


def hard_tanh_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = min(max(-1, x), 1), a hyperbolic tangent of three straight pieces.

    Maths: x_bar = y_bar [-1 < x < 1].
    Shapes: y and x_bar are shaped like x.
    Residuals: y; -1 < y < 1 exactly where -1 < x < 1.
    Kinks: slope 0 at -1 and at 1.
    Raises: DtypeError for integers.
    Source: Collobert 2004, "Large scale machine learning".

    Example:
        >>> y, res = hard_tanh.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*hard_tanh.bwd(res, y))
        [ 0.  -0.5  0. ]
    """
    low, high = jnp.full_like(x, -1), jnp.full_like(x, 1)
    return jnp.where(x <= -1, low, jnp.where(x >= 1, high, x))


def hard_tanh_x_bar(y_bar: Array, y: Array) -> Array:
    return jnp.where((y > -1) & (y < 1), y_bar, jnp.zeros_like(y_bar))


hard_tanh = Gate(hard_tanh_definition, hard_tanh_x_bar, kinks="slope 0 at -1 and 1")


def hard_swish_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = x min(max(0, x + 3), 6) / 6, a swish without an exponential.

    Maths: x_bar = y_bar (2x + 3) / 6 where -3 < x < 3, y_bar where x >= 3, else 0.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: slope 0 at -3, slope 1 at 3.
    Raises: DtypeError for integers.
    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2.

    Example:
        >>> y, res = hard_swish.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*hard_swish.bwd(res, y))
        [ 0.5555556  -0.06944445  1.9444447 ]
    """
    middle = (x > -3) & (x < 3)
    low = middle & (x < -0.75)  # around the zero of the slope the square has the exact slope
    centred = jnp.where(low, x + 1.5, jnp.zeros_like(x))
    near = jnp.where(middle & ~low, x, jnp.zeros_like(x))
    inside = jnp.where(low, (centred * centred - 2.25) / 6, near * (near + 3) / 6)
    return jnp.where(middle, inside, jnp.where(x <= -3, 0 * near, x))


def hard_swish_forward(x: Array) -> Array:
    wide = widen(x)
    inside = jnp.clip(wide, -3, 3)
    return jnp.where(wide >= 3, wide, inside * (inside + 3) / 6).astype(x.dtype)


def hard_swish_x_bar(y_bar: Array, x: Array) -> Array:
    wide = widen(x)
    slope = jnp.where(wide >= 3, 1, (2 * wide + 3) / 6)
    return jnp.where(wide <= -3, 0, y_bar * slope)


hard_swish = Gate(
    hard_swish_definition,
    hard_swish_x_bar,
    forward=hard_swish_forward,
    kinks="slope 0 at -3, slope 1 at 3",
)


def relu_squared_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = max(0, x)^2, a ReLU whose slope has no jump.

    Maths: x_bar = 2 y_bar max(0, x).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none; the slope at 0 is 0.
    Raises: DtypeError for integers.
    Source: So et al. 2021, "Primer: searching for efficient transformers".

    Example:
        >>> y, res = relu_squared.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*relu_squared.bwd(res, y))
        [ 2.  0. 16.]
    """
    above = jnp.where(x <= 0, jnp.zeros_like(x), x)
    return above * above


def relu_squared_x_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * (2 * jnp.where(x <= 0, jnp.zeros_like(x), x))


relu_squared = Gate(relu_squared_definition, relu_squared_x_bar)

OPS = (relu6, hard_sigmoid, hard_tanh, hard_swish, relu_squared)
