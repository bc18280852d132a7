"""Activations with an exponential. Their slopes stay right in the tails, and in 16 bits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.gates import sigmoid
from purebp.numerics import widen
from purebp.op import conditioned

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
SQRT_1_OVER_2PI = math.sqrt(0.5 / math.pi)
GELU_CUBIC = 0.044715


def elu_definition(x: Float[Array, "*s"], *, alpha: float = 1.0) -> Float[Array, "*s"]:
    """y = x where x > 0, else alpha (e^x - 1).

    Maths: x_bar = y_bar where x > 0, else y_bar alpha e^x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y: y + alpha cancels in the left tail, where the slope is alpha e^x.
    Kinks: for alpha other than 1 the slope at 0 is alpha.
    Raises: DtypeError for integers.
    Source: Clevert, Unterthiner and Hochreiter 2015, "Exponential linear units", equation 15.

    Example:
        >>> y, res = elu.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*elu.bwd(res, y))
        [[ 1.         -0.23865122  2.        ]
         [ 0.5        -0.17334309  0.3       ]]
    """
    below = jnp.where(x > 0, jnp.zeros_like(x), x)
    small = below > -0.5
    near = _expm1_series_free(jnp.where(small, below, jnp.zeros_like(x)))
    far = jnp.exp(jnp.where(small, -jnp.ones_like(x), below)) - 1
    return jnp.where(x > 0, x, alpha * jnp.where(small, near, far))


def _expm1_series_free(x: Array) -> Array:
    """e^x - 1 = 2 sinh(x/2) e^(x/2): no cancellation, in the value or in its derivative."""
    return 2 * jnp.sinh(x / 2) * jnp.exp(x / 2)


def elu_forward(x: Array, *, alpha: float) -> Array:
    below = widen(jnp.where(x > 0, jnp.zeros_like(x), x))
    return jnp.where(x > 0, x, (alpha * jnp.expm1(below)).astype(x.dtype))


def elu_x_bar(y_bar: Array, x: Array, alpha: float) -> Array:
    below = widen(jnp.where(x > 0, jnp.zeros_like(x), x))
    return y_bar * jnp.where(x > 0, jnp.ones_like(below), alpha * jnp.exp(below))


elu = Gate(
    elu_definition,
    elu_x_bar,
    forward=elu_forward,
    options={"alpha": (1.0, 0.5)},
    kinks="slope alpha at 0",
)


def swish_definition(x: Float[Array, "*s"], *, beta: float = 1.0) -> Float[Array, "*s"]:
    """y = x s(beta x), s the sigmoid; with beta = 1 also called SiLU.

    Maths: x_bar = y_bar (s + beta x s(beta x) s(-beta x)).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: Ramachandran, Zoph and Le 2017, "Searching for activation functions".

    Example:
        >>> y, res = swish.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*swish.bwd(res, y))
        [[ 0.6781815  -0.04908761  1.9215189 ]
         [ 0.2302979   0.01129966  0.11163371]]
    """
    return x * sigmoid.definition(beta * x)


def swish_forward(x: Array, *, beta: float) -> Array:
    wide = widen(x)
    return (wide * jax.nn.sigmoid(beta * wide)).astype(x.dtype)


def swish_x_bar(y_bar: Array, x: Array, beta: float) -> Array:
    v = jnp.maximum(beta * widen(x), -_largest_exponent(widen(x)))
    s, t = _both_sigmoids(v)
    return y_bar * (s * (1 + v * t))


def _both_sigmoids(v: Array) -> tuple[Array, Array]:
    """s(v) and s(-v) with one exp and one division; e^-v must not overflow."""
    e = jnp.exp(-v)
    s = 1 / (1 + e)
    return s, e * s


def _largest_exponent(x: Array) -> float:
    """The largest v whose e^v is finite, but for its rounding."""
    return math.log(float(jnp.finfo(x.dtype).max)) - 0.1


swish = Gate(
    swish_definition,
    swish_x_bar,
    forward=swish_forward,
    options={"beta": (1.0, 1.7)},
    tolerance=conditioned("the slope has a zero near x = -1.28 / beta, where it cancels"),
)


def gelu_definition(x: Float[Array, "*s"], *, approximate: bool = True) -> Float[Array, "*s"]:
    """y = x P(X <= x) for a standard normal X; by default in the usual tanh form.

    Maths: exact, y = x F(x), x_bar = y_bar (F(x) + x f(x)), F and f the normal distribution
        function and density. Approximate, with u = sqrt(2/pi) (x + 0.044715 x^3), s the sigmoid
        and s' its slope: y = x s(2u), x_bar = y_bar (s(2u) + 2 x u' s'(2u)).
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: Hendrycks and Gimpel 2016, "Gaussian error linear units"; (1 + tanh u)/2 = s(2u).

    Example:
        >>> y, res = gelu.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*gelu.bwd(res, y))
        [[ 0.9109807  -0.02046296  2.1228874 ]
         [ 0.2998619   0.01282579  0.1357463 ]]
    """
    if approximate:
        return x * sigmoid.definition(2 * SQRT_2_OVER_PI * (x + GELU_CUBIC * x**3))
    return x * (jax.scipy.special.erfc(-x * SQRT_HALF) / 2)


def gelu_forward(x: Array, *, approximate: bool) -> Array:
    wide = widen(x)
    if approximate:
        y = wide / (1 + jnp.exp(-_gelu_argument(wide)[0]))
    else:
        y = wide * (jax.scipy.special.erfc(-wide * SQRT_HALF) / 2)
    return y.astype(x.dtype)


def gelu_x_bar(y_bar: Array, x: Array, approximate: bool) -> Array:
    wide = widen(x)
    if approximate:
        near = jnp.clip(wide, _gelu_left_end(wide), 100)
        v, slope = _gelu_argument(near)
        s, t = _both_sigmoids(v)
        return y_bar * (s * (1 + near * slope * t))
    density = SQRT_1_OVER_2PI * jnp.exp(-wide * wide / 2)
    return y_bar * (jax.scipy.special.erfc(-wide * SQRT_HALF) / 2 + wide * density)


def _gelu_argument(x: Array) -> tuple[Array, Array]:
    """v = 2u and its slope."""
    scale = 2 * SQRT_2_OVER_PI
    return scale * x * (1 + GELU_CUBIC * x * x), scale * (1 + 3 * GELU_CUBIC * x * x)


def _gelu_left_end(x: Array) -> float:
    """Where e^-v overflows: left of it the slope is 0 in this precision."""
    cubic = (GELU_CUBIC, 0, 1, _largest_exponent(x) / (2 * SQRT_2_OVER_PI))
    return float(min(np.roots(cubic), key=_imaginary).real)


def _imaginary(root: complex) -> float:
    return abs(root.imag)


gelu = Gate(
    gelu_definition,
    gelu_x_bar,
    forward=gelu_forward,
    options={"approximate": (True, False)},
    tolerance=conditioned("the slope has a zero near x = -0.75, where it cancels"),
)


def softmax_definition(x: Float[Array, "*s"], *, axis: int = -1) -> Float[Array, "*s"]:
    """y_i = e^{x_i} / sum_j e^{x_j} over one axis.

    Maths: x_bar = y (y_bar - sum_j y_bar_j y_j). The Jacobian diag(y) - y y^T is never built.
        Where one y_k is near 1 this cancels, so the cotangents are first taken relative to that
        of the winner: with c = y_bar_k for y_k > 1/2 (else 0), x_bar = y (g - sum_j g_j y_j),
        g = y_bar - c. The definition is written as 1 / (1 + sum_{j != i} e^{x_j - x_i}) for the
        same reason: its autodiff does not cancel.
    Shapes: y and x_bar are shaped like x.
    Residuals: y alone.
    Kinks: none.
    Raises: ShapeError for an array without axes, OptionError if x has no such axis.
    Source: quotient rule; CS231n, lecture 3.

    Example:
        >>> y, res = softmax.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*softmax.bwd(res, y))
        [[-0.07345291 -0.02754798  0.10100088]
         [ 0.03557401 -0.02583204 -0.00974197]]
    """
    last = jnp.moveaxis(x, axis, -1)
    gaps = last[..., None, :] - last[..., :, None]
    largest = lax.stop_gradient(jnp.max(gaps, axis=-1, keepdims=True, initial=0))
    others = jnp.exp(gaps - largest) * (1 - jnp.eye(last.shape[-1], dtype=x.dtype))
    own = jnp.exp(-largest[..., 0])
    return jnp.moveaxis(own / (own + jnp.sum(others, axis=-1)), -1, axis)


def softmax_forward(x: Array, *, axis: int) -> Array:
    return jax.nn.softmax(widen(x), axis=axis).astype(x.dtype)


def softmax_x_bar(y_bar: Array, y: Array, axis: int) -> Array:
    y, y_bar = widen(y), widen(y_bar)
    winner = jnp.round(y)  # 1 where y > 1/2, else 0; unlike a mask XLA fuses it with the sum
    g = y_bar - jnp.sum(winner * y_bar, axis=axis, keepdims=True)
    return y * (g - jnp.sum(g * y, axis=axis, keepdims=True))


def check_softmax(x: Array, *, axis: int) -> None:
    """Raise if x has no such axis."""
    if x.ndim == 0:
        raise ShapeError("softmax: x has shape (), expected at least one axis")
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"softmax: axis is {axis}, expected an axis of x of shape {x.shape}")


softmax = Gate(
    softmax_definition,
    softmax_x_bar,
    forward=softmax_forward,
    options={"axis": (-1, 0)},
    check=check_softmax,
    tolerance=conditioned("e^(x - max) magnifies the rounding of x - max"),
)

OPS = (elu, swish, gelu, softmax)
