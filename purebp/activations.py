"""Activations: the slopes that gradients pass through. sigmoid and tanh are the gates of that name.

Those of one operand and one formula are gates: one pullback says all.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.gates import sigmoid, tanh
from purebp.op import Op, conditioned
from purebp.residuals import Spec

SQRT_HALF = math.sqrt(0.5)
SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
SQRT_1_OVER_2PI = math.sqrt(0.5 / math.pi)
GELU_CUBIC = 0.044715


def relu_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = max(0, x). Where x < 0 no gradient passes: a unit that is never above 0 is dead.

    Maths: y = max(0, x); x_bar = y_bar [x > 0].
    Shapes: y and x_bar are shaped like x.
    Residuals: y, which the next layer keeps anyway; y > 0 exactly where x > 0.
    Kinks: the slope at 0 is 0, as in jax.nn.relu.
    Raises: DtypeError for integers.
    Source: Nair and Hinton 2010, "Rectified linear units"; CS231n, lecture 4.
    """
    return jnp.where(x > 0, x, jnp.zeros_like(x))


def relu_x_bar(y_bar: Array, y: Array) -> Array:
    return jnp.where(y > 0, y_bar, jnp.zeros_like(y_bar))


relu = Gate(relu_definition, relu_x_bar, kinks="slope 0 at 0")


def leaky_relu_definition(x: Float[Array, "*s"], *, slope: float = 0.01) -> Float[Array, "*s"]:
    """y = x where x > 0, else slope * x: no unit dies.

    Maths: y = x [x > 0] + a x [x <= 0]; x_bar = y_bar ([x > 0] + a [x <= 0]), a the slope.
    Shapes: y and x_bar are shaped like x.
    Residuals: x. The sign of y does not tell x where the slope is 0 or negative.
    Kinks: the slope at 0 is a.
    Raises: DtypeError for integers.
    Source: Maas, Hannun and Ng 2013, "Rectifier nonlinearities".
    """
    return jnp.where(x > 0, x, slope * x)


def leaky_relu_x_bar(y_bar: Array, x: Array, slope: float) -> Array:
    return jnp.where(x > 0, y_bar, slope * y_bar)


leaky_relu = Gate(
    leaky_relu_definition,
    leaky_relu_x_bar,
    options={"slope": (0.01, 0.3)},
    kinks="slope a at 0",
)


def prelu_definition(x: Float[Array, "*#s"], alpha: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """y = x where x > 0, else alpha * x, with alpha learnt; alpha broadcasts against x.

    Maths: y = x [x > 0] + a x [x <= 0]; x_bar = y_bar ([x > 0] + a [x <= 0]),
        alpha_bar = sum over the broadcast axes of y_bar x [x <= 0].
    Shapes: x: s, alpha: broadcasts against s; the cotangents are shaped like x and alpha.
    Residuals: x and alpha.
    Kinks: the slope at 0 is a.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: He et al. 2015, "Delving deep into rectifiers", equations 1 and 9.
    """
    return jnp.where(x > 0, x, alpha * x)


def prelu_x_bar(y_bar: Array, x: Array, alpha: Array) -> Array:
    return jnp.where(x > 0, y_bar, alpha * y_bar)


def prelu_alpha_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * jnp.where(x > 0, jnp.zeros_like(x), x)


prelu = Gate(prelu_definition, prelu_x_bar, prelu_alpha_bar, kinks="slope alpha at 0")


def elu_definition(x: Float[Array, "*s"], *, alpha: float = 1.0) -> Float[Array, "*s"]:
    """y = x where x > 0, else alpha (e^x - 1).

    Maths: x_bar = y_bar where x > 0, else y_bar alpha e^x.
    Shapes: y and x_bar are shaped like x.
    Residuals: x, not y: y + alpha cancels in the left tail, where the slope is alpha e^x.
    Kinks: for alpha other than 1 the slope at 0 is alpha.
    Raises: DtypeError for integers.
    Source: Clevert, Unterthiner and Hochreiter 2015, "Exponential linear units", equation 15.
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
    return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.minimum(x, 0)))


def elu_x_bar(y_bar: Array, x: Array, alpha: float) -> Array:
    return jnp.where(x > 0, y_bar, alpha * y_bar * jnp.exp(jnp.minimum(x, 0)))


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
    """
    return x * sigmoid.definition(beta * x)


def swish_forward(x: Array, *, beta: float) -> Array:
    return x * jax.nn.sigmoid(beta * x)


def swish_x_bar(y_bar: Array, x: Array, beta: float) -> Array:
    s = jax.nn.sigmoid(beta * x)
    return y_bar * s * (1 + beta * x * jax.nn.sigmoid(-beta * x))


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
    """
    if approximate:
        return x * sigmoid.definition(2 * SQRT_2_OVER_PI * (x + GELU_CUBIC * x**3))
    return x * jax.scipy.special.erfc(-x * SQRT_HALF) / 2


def gelu_forward(x: Array, *, approximate: bool) -> Array:
    if approximate:
        return x * jax.nn.sigmoid(2 * _gelu_argument(x))
    return x * jax.scipy.special.erfc(-x * SQRT_HALF) / 2


def gelu_x_bar(y_bar: Array, x: Array, approximate: bool) -> Array:
    if approximate:
        u, slope = _gelu_argument(x), SQRT_2_OVER_PI * (1 + 3 * GELU_CUBIC * x * x)
        s = jax.nn.sigmoid(2 * u)
        return y_bar * s * (1 + 2 * x * slope * jax.nn.sigmoid(-2 * u))
    density = SQRT_1_OVER_2PI * jnp.exp(-x * x / 2)
    return y_bar * (jax.scipy.special.erfc(-x * SQRT_HALF) / 2 + x * density)


def _gelu_argument(x: Array) -> Array:
    return SQRT_2_OVER_PI * x * (1 + GELU_CUBIC * x * x)


gelu = Gate(
    gelu_definition,
    gelu_x_bar,
    forward=gelu_forward,
    options={"approximate": (True, False)},
    tolerance=conditioned("the slope has a zero near x = -0.75, where it cancels"),
)


class MaxoutResiduals(NamedTuple):
    """Which piece won: a mask shaped like the pieces, one byte an entry; and the shape of x."""

    wins: Bool[Array, "*batch k p"]
    x: Spec


def maxout_definition(x: Float[Array, "*batch d"], *, pieces: int = 2) -> Float[Array, "*batch k"]:
    """y_j = the largest of `pieces` consecutive features of x, the router with several inputs.

    Maths: y_j = max_i x_{pieces j + i}; x_bar = y_bar at the first largest entry, else 0.
    Shapes: x: (*batch, k pieces), y: (*batch, k).
    Residuals: a mask of the winners, a byte an entry, a quarter of x in float32.
    Kinks: at a tie the first entry receives all.
    Raises: OptionError if pieces is below 1, ShapeError if it does not divide the last axis of x.
    Source: Goodfellow et al. 2013, "Maxout networks", equation 1.
    """
    groups = x.reshape(*x.shape[:-1], -1, pieces)
    first = jnp.argmax(groups, axis=-1, keepdims=True)
    return jnp.take_along_axis(groups, first, axis=-1)[..., 0]


def maxout_fwd(
    x: Float[Array, "*batch d"], *, pieces: int = 2
) -> tuple[Float[Array, "*batch k"], MaxoutResiduals]:
    groups = x.reshape(*x.shape[:-1], x.shape[-1] // pieces, pieces)
    wins = jax.nn.one_hot(jnp.argmax(groups, axis=-1), pieces, dtype=bool)
    return jnp.max(groups, axis=-1), MaxoutResiduals(wins, Spec(x.shape, x.dtype))


def maxout_bwd(res: MaxoutResiduals, y_bar: Array) -> tuple[Array]:
    x_bar = jnp.where(res.wins, y_bar[..., None], jnp.zeros_like(y_bar[..., None]))
    return (x_bar.reshape(res.x.shape),)


def check_pieces(x: Array, *, pieces: int) -> None:
    """Raise unless the features fall into groups of `pieces`."""
    if pieces < 1:
        raise OptionError(f"maxout: pieces is {pieces}, expected 1 or more")
    if x.shape[-1] % pieces:
        raise ShapeError(
            f"maxout: x has {x.shape[-1]} features, expected a multiple of pieces = {pieces}"
        )


maxout = Op(
    maxout_fwd,
    maxout_bwd,
    definition=maxout_definition,
    options={"pieces": (2, 3)},
    sizes={"d": (6, 12, 6, 12)},
    check=check_pieces,
    kinks="ties go to the first",
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
    """
    last = jnp.moveaxis(x, axis, -1)
    others = 1 - jnp.eye(last.shape[-1], dtype=x.dtype)
    ratios = jnp.exp(last[..., None, :] - last[..., :, None]) * others
    return jnp.moveaxis(1 / (1 + jnp.sum(ratios, axis=-1)), -1, axis)


def softmax_forward(x: Array, *, axis: int) -> Array:
    return jax.nn.softmax(x, axis=axis)


def softmax_x_bar(y_bar: Array, y: Array, axis: int) -> Array:
    winner = jnp.where(y > 0.5, y_bar, jnp.zeros_like(y_bar))
    g = y_bar - jnp.sum(winner, axis=axis, keepdims=True)
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

OPS = (relu, leaky_relu, prelu, elu, swish, gelu, maxout, softmax)

__all__ = [
    "OPS",
    "elu",
    "gelu",
    "leaky_relu",
    "maxout",
    "prelu",
    "relu",
    "sigmoid",
    "softmax",
    "swish",
    "tanh",
]
