"""Penalties on the weights, the regularisation term of a loss."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.numerics import widen


def l2_definition(w: Float[Array, "*s"], *, strength: float = 1.0) -> Float[Array, ""]:
    """loss = strength / 2 * sum w^2, the penalty that keeps weights small.

    Maths: w_bar = loss_bar strength w.
    Shapes: w of any shape; loss ().
    Residuals: w.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 3, regularisation.
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


OPS = (l2, l1)
