"""Legendre functions of an angle."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from reference.wrong_gradients.layer import Layer

Array = Any


def angles(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four angles."""
    return (rng.standard_normal(4).astype(np.float32),)


def _polynomials(c: Array, degree: int) -> tuple[Array, Array, Array]:
    """P_l(c), P_l'(c) and P_l''(c) for l = 0 ... degree, along a new first axis."""
    zero = jnp.zeros_like(c)
    values, slopes, bends = [zero + 1, c], [zero, zero + 1], [zero, zero]
    for order in range(2, degree + 1):
        value = ((2 * order - 1) * c * values[-1] - (order - 1) * values[-2]) / order
        bends.append(c * bends[-1] + (order + 1) * slopes[-1])
        slopes.append(c * slopes[-1] + order * values[-1])
        values.append(value)
    return jnp.stack(values), jnp.stack(slopes), jnp.stack(bends)


def _orders(degree: int, like: Array) -> Array:
    """1 ... degree along the first axis, to go with `like`."""
    return jnp.arange(1, degree + 1, dtype=like.dtype).reshape(-1, *[1] * like.ndim)


def legendre_fwd(theta: Array, *, degree: int = 2) -> tuple[Array, Any]:
    """P_l^-1(cos theta) = sin(theta) P_l'(cos theta) / (l (l + 1)) for l = 1 ... degree."""
    if degree < 1:
        raise ValueError(f"expected degree >= 1, got {degree}")
    order = _orders(degree, theta)
    slopes = _polynomials(jnp.cos(theta), degree)[1][1:]
    return jnp.sin(theta) * slopes / (order * (order + 1)), theta


def legendre_short_bwd(theta: Array, y_bar: Array, *, degree: int = 2) -> tuple[Array]:
    """dP_l^-1 / dtheta = (P_l - (l - 1) (l + 2) P_l^-2) / 2."""
    order = _orders(degree, theta)
    values, _, bends = (each[1:] for each in _polynomials(jnp.cos(theta), degree))
    second = jnp.sin(theta) ** 2 * bends / ((order + 2) * (order + 1) * order)
    slopes = 0.5 * (values - (order - 1) * (order + 2) * second)
    return ((slopes * y_bar).sum(0),)


def legendre_bwd(theta: Array, y_bar: Array, *, degree: int = 2) -> tuple[Array]:
    """The same with P_l^-2 = sin(theta)^2 P_l'' / ((l + 2) (l + 1) l (l - 1))."""
    order = _orders(degree, theta)
    values, _, bends = (each[1:] for each in _polynomials(jnp.cos(theta), degree))
    slopes = 0.5 * (values - jnp.sin(theta) ** 2 * bends / (order * (order + 1)))
    return ((slopes * y_bar).sum(0),)


LAYERS = (
    Layer(
        name="legendre",
        bug="B007",
        wrong=(legendre_fwd, legendre_short_bwd),
        right=(legendre_fwd, legendre_bwd),
        example=angles,
        diagnosis="option",
        why="a factor l - 1 is missing, which is 1 up to degree 2; of an angle, so that it is "
        "defined everywhere",
    ),
)
