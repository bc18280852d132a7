"""Norms of weights, not of values: a weight is a direction times a length."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError, ShapeError
from purebp.numerics import full_product, widen
from purebp.op import FIXED, Op, conditioned
from purebp.residuals import Spec

EPS = 1e-12


def weight_norm_definition(
    v: Float[Array, "*s"], g: Float[Array, "k"], *, axis: int = -1
) -> Float[Array, "*s"]:
    """w = g v / |v|: each feature's weights as a direction v and a length g.

    Maths: u = v / |v|, |v| over all axes but that of the features: g_bar = sum w_bar u,
        v_bar = g / |v| (w_bar - u sum w_bar u): the part of w_bar along v is lost.
    Shapes: v, w (*s), g (k) with k features along `axis`: -1 for affine, 0 for conv2d.
    Residuals: v, g and 1 / |v| of each feature.
    Kinks: weights that are all 0 stay 0, and their gradients are 0.
    Raises: ShapeError if g does not fit, OptionError if v has no such axis.
    Source: Salimans and Kingma 2016, "Weight normalization", equations 2 and 3.

    Example:
        >>> v, g = jnp.array([[1.0, -0.5], [2.0, 0.5], [-1.5, 0.3]]), jnp.array([0.5, -1.5])
        >>> y, res = weight_norm.fwd(v, g)
        >>> for bar in weight_norm.bwd(res, jnp.ones_like(y)): print(bar)
        [[ 0.14727561 -2.4493167 ]
         [ 0.10885589 -1.4563506 ]
         [ 0.24332492 -1.6549437 ]]
        [0.557086   0.39056674]
    """
    wide, others = widen(v), _others(v, axis)
    square = jnp.sum(wide * wide, axis=others, keepdims=True)
    zero = square == 0
    r = jnp.where(zero, 0, 1 / jnp.sqrt(jnp.where(zero, 1, square)))
    return (wide * r * _along(widen(g), v, axis)).astype(jnp.result_type(v, g))


def _others(v: Array, axis: int) -> tuple[int, ...]:
    return tuple(each for each in range(v.ndim) if each != axis % v.ndim)


def _along(g: Array, v: Array | Spec, axis: int) -> Array:
    """One number for each feature, ready to multiply v."""
    rank = len(v.shape)
    return g.reshape([-1 if each == axis % rank else 1 for each in range(rank)])


class WeightNormResiduals(NamedTuple):
    v: Array
    g: Array
    r: Array


def weight_norm_fwd(v: Array, g: Array, *, axis: int = -1) -> tuple[Array, WeightNormResiduals]:
    wide = widen(v)
    square = jnp.sum(wide * wide, axis=_others(v, axis))
    r = jnp.where(square == 0, 0, lax.rsqrt(square))
    w = wide * _along(r * widen(g), v, axis)
    return w.astype(jnp.result_type(v, g)), WeightNormResiduals(v, g, r)


def weight_norm_bwd(
    res: WeightNormResiduals, w_bar: Array, *, axis: int = -1
) -> tuple[Array, Array]:
    v, bar = widen(res.v), widen(w_bar)
    g_bar = res.r * jnp.sum(bar * v, axis=_others(v, axis))
    scale = res.r * widen(res.g)
    v_bar = bar * _along(scale, v, axis) - v * _along(scale * res.r * g_bar, v, axis)
    return v_bar.astype(res.v.dtype), g_bar.astype(res.g.dtype)


def check_weight_norm(v: Array, g: Array, *, axis: int) -> None:
    """Raise unless v has such an axis, with a feature for each entry of g."""
    if not -v.ndim <= axis < v.ndim:
        raise OptionError(f"weight_norm: axis is {axis}, expected an axis of v of shape {v.shape}")
    if g.shape[0] != v.shape[axis]:
        raise ShapeError(
            f"weight_norm: g has shape {g.shape}, expected ({v.shape[axis]},) from axis {axis} of v"
        )


weight_norm = Op(
    weight_norm_fwd,
    weight_norm_bwd,
    definition=weight_norm_definition,
    options={"axis": (-1, 0)},
    sizes={"s": ((4, 3), (3, 2, 2, 3), (1, 3), (3, 2)), "k": (3, 3, 3, 2)},
    check=check_weight_norm,
    kinks="slope 0 where the weights of a feature are all 0",
    tolerance=conditioned("w_bar - u sum w_bar u cancels where w_bar is along v", pooled=True),
)


def spectral_norm_definition(
    w: Float[Array, "d k"], left: Float[Array, "d"], right: Float[Array, "k"]
) -> Float[Array, "d k"]:
    """y = w / s, s = u^T w v the largest singular value: y stretches no vector.

    u and v, `left` and `right`, are the singular vectors as `power_iteration` finds them.

    Maths: u and v are not differentiated: w_bar = (y_bar - sum(y_bar y) u v^T) / s. At the singular
        vectors that is all of the gradient: there s does not change with u and v.
    Shapes: w, y (d, k), a convolution's kernel as (filters, -1); left (d), right (k).
    Residuals: w, u, v and 1 / s.
    Kinks: none.
    Raises: ShapeError if a vector does not fit.
    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks",
        algorithm 1 and equation 12.

    Example:
        >>> w = jax.random.normal(jax.random.key(0), (4, 3))
        >>> left = jnp.array([0.0, 0.1, -0.8, 0.6])
        >>> right = jnp.array([-0.9, -0.5, 0.1])
        >>> y, res = spectral_norm.fwd(w, left, right)
        >>> for bar in spectral_norm.bwd(res, y): print(bar)
        [[  6.997703    8.734028   -1.8698918]
         [-15.098482   -7.440292   -2.552232 ]
         [115.939545   67.729546  -10.254475 ]
         [-92.65427   -39.798836    1.4079707]]
        None
        None
    """
    u, v = lax.stop_gradient((widen(left), widen(right)))
    s = jnp.einsum("d,dk,k->", u, widen(w), v, precision=lax.Precision.HIGHEST)
    return (widen(w) / s).astype(w.dtype)


class SpectralVectors(NamedTuple):
    """The left and the right singular vector of the largest singular value."""

    left: Array
    right: Array


def power_iteration(w: Array, left: Array, right: Array, *, iterations: int = 1) -> SpectralVectors:
    """Better singular vectors for `spectral_norm`: v = w^T u / |w^T u|, u = w v / |w v|.

    In training one step for each step of the weights, from what the last one gave; at first from
    random vectors. Nothing is differentiated.

    Example:
        >>> w = jnp.array([[3.0, 0.0], [0.0, 1.0]])
        >>> print(*power_iteration(w, jnp.array([0.6, 0.8]), jnp.array([0.6, 0.8])))
        [0.98920345 0.14654867] [0.91381156 0.40613848]
    """
    if isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 0:
        raise OptionError(
            f"power_iteration: iterations is {iterations!r}, expected an integer from 0 on"
        )
    wide, u, v = lax.stop_gradient((widen(w), widen(left), widen(right)))
    for _ in range(iterations):
        v = _unit(full_product(u, wide))
        u = _unit(full_product(wide, v))
    return SpectralVectors(u.astype(left.dtype), v.astype(right.dtype))


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.sqrt(jnp.sum(x * x)), EPS)


class SpectralResiduals(NamedTuple):
    w: Array
    u: Array
    v: Array
    r: Array


def spectral_norm_fwd(w: Array, left: Array, right: Array) -> tuple[Array, SpectralResiduals]:
    wide = widen(w)
    u, v = lax.stop_gradient((widen(left), widen(right)))
    r = 1 / jnp.sum(u * full_product(wide, v))
    return (wide * r).astype(w.dtype), SpectralResiduals(w, u, v, r)


def spectral_norm_bwd(res: SpectralResiduals, y_bar: Array) -> tuple[Array, None, None]:
    w, u, v, r = res
    bar = widen(y_bar)
    along = r * jnp.sum(bar * widen(w))
    return (r * (bar - (along * u)[:, None] * v)).astype(w.dtype), None, None


def _example(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """A matrix and what two steps of the iteration find."""
    w, u, v = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in ((4, 3), 4, 3))
    left, right = power_iteration(w, u, v, iterations=2)
    return w, left, right


spectral_norm = Op(
    spectral_norm_fwd,
    spectral_norm_bwd,
    definition=spectral_norm_definition,
    domains={"left": FIXED, "right": FIXED},
    tolerance=conditioned("y_bar - sum(y_bar y) u v^T cancels", pooled=True),
    example=_example,
)

OPS = (weight_norm, spectral_norm)
