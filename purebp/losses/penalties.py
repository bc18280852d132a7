"""Penalties on the weights, the regularisation term of a loss."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.numerics import widen
from purebp.op import conditioned


def l2_definition(w: Float[Array, "*s"], *, strength: float = 1.0) -> Float[Array, ""]:
    """loss = strength / 2 * sum w^2, the penalty that keeps weights small.

    Maths: w_bar = loss_bar strength w.
    Shapes: w of any shape; loss ().
    Residuals: w.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 3, regularisation.

    Example:
        >>> y, res = l2.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*l2.bwd(res, 1.0))
        [[ 1.  -0.5  2. ]
         [ 0.5 -1.5  0.3]]
    """
    return (strength / 2 * jnp.sum(widen(w) ** 2)).astype(w.dtype)


def l2_w_bar(loss_bar: Array, w: Array, strength: float) -> Array:
    return widen(loss_bar) * strength * w


l2 = Gate(l2_definition, l2_w_bar, options={"strength": (1.0, 0.1)})


def l1_definition(w: Float[Array, "*s"], *, strength: float = 1.0) -> Float[Array, ""]:
    """loss = strength * sum |w|, the penalty that makes weights sparse.

    Maths: w_bar = loss_bar strength sign(w).
    Shapes: w of any shape; loss ().
    Residuals: w, which is alive anyway; its sign is computed again.
    Kinks: the slope at 0 is 0.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 3, regularisation.

    Example:
        >>> y, res = l1.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*l1.bwd(res, 1.0))
        [[ 1. -1.  1.]
         [ 1. -1.  1.]]
    """
    return (strength * jnp.sum(jnp.sign(w) * widen(w))).astype(w.dtype)


def l1_w_bar(loss_bar: Array, w: Array, strength: float) -> Array:
    return loss_bar * strength * jnp.sign(w)


def l1_forward(w: Array, *, strength: float) -> Array:
    return (strength * jnp.sum(jnp.abs(widen(w)))).astype(w.dtype)


l1 = Gate(
    l1_definition,
    l1_w_bar,
    forward=l1_forward,
    options={"strength": (1.0, 0.1)},
    kinks="slope 0 at 0",
)


def elastic_net_definition(
    w: Float[Array, "*s"], *, l1: float = 1.0, l2: float = 1.0
) -> Float[Array, ""]:
    """loss = l1 * sum |w| + l2 / 2 * sum w^2: sparse, but correlated weights stay together.

    Maths: w_bar = loss_bar (l1 sign(w) + l2 w).
    Shapes: w of any shape; loss ().
    Residuals: w.
    Kinks: the slope of |w| at 0 is 0.
    Raises: DtypeError for integers.
    Source: Zou and Hastie 2005, "Regularization and variable selection via the elastic net".

    Example:
        >>> y, res = elastic_net.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*elastic_net.bwd(res, 1.0))
        [[ 2.  -1.5  3. ]
         [ 1.5 -2.5  1.3]]
    """
    wide = widen(w)
    return (l1 * jnp.sum(jnp.sign(w) * wide) + l2 / 2 * jnp.sum(wide**2)).astype(w.dtype)


def elastic_net_forward(w: Array, *, l1: float, l2: float) -> Array:
    size = jnp.abs(widen(w))
    return jnp.sum(size * (l1 + l2 / 2 * size)).astype(w.dtype)


def elastic_net_w_bar(loss_bar: Array, w: Array, l1: float, l2: float) -> Array:
    wide = widen(w)
    return widen(loss_bar) * (l1 * jnp.sign(wide) + l2 * wide)


elastic_net = Gate(
    elastic_net_definition,
    elastic_net_w_bar,
    forward=elastic_net_forward,
    options={"l1": (1.0, 0.1), "l2": (1.0, 0.3)},
    kinks="slope of |w| is 0 at 0",
)


def max_norm_definition(
    w: Float[Array, "d k"], *, limit: float = 1.0, strength: float = 1.0
) -> Float[Array, ""]:
    """loss = strength / 2 * sum_j max(0, |w_j| - limit)^2 over the columns w_j, a unit's weights.

    Maths: w_j_bar = loss_bar strength max(0, |w_j| - limit) w_j / |w_j|.
    Shapes: w (d, k), as in affine; loss ().
    Residuals: w.
    Kinks: none for a limit above 0; the slope is 0 up to it.
    Raises: OptionError unless the limit is above 0, DtypeError for integers.
    Source: Srivastava et al. 2014, "Dropout", section 5.1, as a penalty.

    Example:
        >>> y, res = max_norm.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*max_norm.bwd(res, 1.0))
        [[ 0.10557282 -0.18377224  1.0110636 ]
         [ 0.05278641 -0.55131674  0.15165955]]
    """
    square = jnp.sum(widen(w) ** 2, axis=0)
    beyond = square > limit**2
    excess = jnp.sqrt(jnp.where(beyond, square, limit**2)) - limit
    return (strength / 2 * jnp.sum(jnp.where(beyond, excess**2, square * 0))).astype(w.dtype)


def max_norm_w_bar(loss_bar: Array, w: Array, limit: float, strength: float) -> Array:
    wide = widen(w)
    size = jnp.sqrt(jnp.sum(wide * wide, axis=0))
    beyond = size > limit
    share = jnp.where(beyond, 1 - limit / jnp.where(beyond, size, 1), 0 * size)
    return widen(loss_bar) * strength * share * wide


def check_max_norm(w: Array, *, limit: float, strength: float) -> None:
    """Raise unless the limit is above 0."""
    if not limit > 0:
        raise OptionError(f"max_norm: limit is {limit}, expected a number above 0")


max_norm = Gate(
    max_norm_definition,
    max_norm_w_bar,
    options={"limit": (1.0, 0.3), "strength": (1.0, 0.1)},
    check=check_max_norm,
    tolerance=conditioned("|w| - limit is a difference that cancels"),
)

OPS = (l2, l1, elastic_net, max_norm)
