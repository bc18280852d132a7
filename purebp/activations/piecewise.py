"""Activations made of straight pieces: the gradient passes, is scaled, or stops."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import Op
from purebp.residuals import Spec, spec_of


def relu_definition(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = max(0, x). Where x < 0 no gradient passes: a unit that is never above 0 is dead.

    Maths: y = max(0, x), nan for nan; x_bar = y_bar [x > 0].
    Shapes: y and x_bar are shaped like x.
    Residuals: y, which the next layer keeps anyway; y > 0 exactly where x > 0.
    Kinks: the slope at 0 is 0, as in jax.nn.relu.
    Raises: DtypeError for integers.
    Source: Nair and Hinton 2010, "Rectified linear units"; CS231n, lecture 4.

    Example:
        >>> y, res = relu.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*relu.bwd(res, jnp.ones(3)))
        [1. 0. 1.]
    """
    return jnp.where(x <= 0, jnp.zeros_like(x), x)


def relu_x_bar(y_bar: Array, y: Array) -> Array:
    return jnp.where(y > 0, y_bar, jnp.zeros_like(y_bar))


relu = Gate(relu_definition, relu_x_bar, kinks="slope 0 at 0")


def leaky_relu_definition(x: Float[Array, "*s"], *, slope: float = 0.01) -> Float[Array, "*s"]:
    """y = x where x > 0, else slope * x: no unit dies.

    Maths: y = x [x > 0] + a x [x <= 0]; x_bar = y_bar ([x > 0] + a [x <= 0]), a the slope.
    Shapes: y and x_bar are shaped like x.
    Residuals: where x > 0, one byte an entry. The sign of y does not tell it where a is 0 or less.
    Kinks: the slope at 0 is a.
    Raises: DtypeError for integers.
    Source: Maas, Hannun and Ng 2013, "Rectifier nonlinearities".

    Example:
        >>> y, res = leaky_relu.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*leaky_relu.bwd(res, y))
        [[ 1.0000000e+00 -4.9999999e-05  2.0000000e+00]
         [ 5.0000000e-01 -1.4999999e-04  3.0000001e-01]]
    """
    return jnp.where(x > 0, x, slope * x)


def leaky_relu_fwd(x: Array, *, slope: float = 0.01) -> tuple[Array, Array]:
    above = x > 0
    return jnp.where(above, x, (slope * widen(x)).astype(x.dtype)), above


def leaky_relu_bwd(above: Array, y_bar: Array, *, slope: float = 0.01) -> tuple[Array]:
    return (jnp.where(above, y_bar, (slope * widen(y_bar)).astype(y_bar.dtype)),)


leaky_relu = Op(
    leaky_relu_fwd,
    leaky_relu_bwd,
    definition=leaky_relu_definition,
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

    Example:
        >>> y, res = prelu.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*prelu.bwd(res, y))
        [ 1.    -1.125  2.   ] [ 0.    -0.375  0.   ]
    """
    return jnp.where(x > 0, x, alpha * x)


def prelu_x_bar(y_bar: Array, x: Array, alpha: Array) -> Array:
    return jnp.where(x > 0, y_bar, alpha * y_bar)


def prelu_alpha_bar(y_bar: Array, x: Array) -> Array:
    return y_bar * jnp.where(x > 0, jnp.zeros_like(x), x)


prelu = Gate(prelu_definition, prelu_x_bar, prelu_alpha_bar, kinks="slope alpha at 0")


class MaxoutResiduals(NamedTuple):
    """Which piece won, and statically the shape of x."""

    winner: Int[Array, "*batch k"]
    x: Spec


def maxout_definition(x: Float[Array, "*batch d"], *, pieces: int = 2) -> Float[Array, "*batch k"]:
    """y_j = the largest of `pieces` consecutive features of x, the router with several inputs.

    Maths: y_j = max_i x_{pieces j + i}; x_bar = y_bar at the first largest entry, else 0.
    Shapes: x: (*batch, k pieces), y: (*batch, k).
    Residuals: the number of the winner, a byte for each entry of y.
    Kinks: at a tie the first entry receives all.
    Raises: OptionError if pieces is below 1, ShapeError if it does not divide the last axis of x.
    Source: Goodfellow et al. 2013, "Maxout networks", equation 1.

    Example:
        >>> y, res = maxout.fwd(jnp.array([1.0, -0.5, 2.0, 0.5, -1.5, 0.3]))
        >>> print(*maxout.bwd(res, y))
        [1.  0.  2.  0.  0.  0.3]
    """
    groups = _groups(x, pieces)
    first = jnp.argmax(groups, axis=-1, keepdims=True)
    return jnp.take_along_axis(groups, first, axis=-1)[..., 0]


def maxout_fwd(
    x: Float[Array, "*batch d"], *, pieces: int = 2
) -> tuple[Float[Array, "*batch k"], MaxoutResiduals]:
    groups = _groups(x, pieces)
    winner = lax.argmax(groups, groups.ndim - 1, jnp.uint8 if pieces <= 256 else jnp.int32)
    return jnp.max(groups, axis=-1), MaxoutResiduals(winner, spec_of(x))


def maxout_bwd(res: MaxoutResiduals, y_bar: Array, *, pieces: int = 2) -> tuple[Array]:
    winner = res.winner[..., None]
    place = lax.broadcasted_iota(winner.dtype, (*y_bar.shape, pieces), y_bar.ndim)
    x_bar = jnp.where(winner == place, y_bar[..., None], 0)
    return (x_bar.reshape(res.x.shape),)


def _groups(x: Array, pieces: int) -> Array:
    return x.reshape(*x.shape[:-1], x.shape[-1] // pieces, pieces)


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


OPS = (relu, leaky_relu, prelu, maxout)
