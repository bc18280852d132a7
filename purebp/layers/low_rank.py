"""LoRA: an affine layer with a change of low rank beside its weights."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.op import Op, conditioned
from purebp.residuals import Spec, spec_of


def lora_affine_definition(
    x: Float[Array, "*batch d"],
    w: Float[Array, "d k"],
    down: Float[Array, "d r"],
    up: Float[Array, "r k"],
    b: Float[Array, "k"] | None = None,
    *,
    scale: float = 1.0,
) -> Float[Array, "*batch k"]:
    """y = x w + scale (x down) up + b.

    Maths: with z = x down and u = scale y_bar up^T, both of r features: x_bar = y_bar w^T +
        u down^T, down_bar = x^T u, up_bar = scale z^T y_bar, w_bar = x^T y_bar,
        b_bar = sum y_bar. The product down up, (d, k), is never built. Where w is frozen its
        cotangent is not used, and under jit not computed.
    Shapes: x (*batch, d), w (d, k), down (d, r), up (r, k), b (k) or None; y (*batch, k).
    Residuals: x, w, down, up and z.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers.
    Source: Hu et al. 2021, "LoRA", equation 3 (scale is their alpha/r); derived by hand.
    """
    y = jnp.matmul(x, w) + scale * jnp.matmul(jnp.matmul(x, down), up)
    return y if b is None else y + b


class LoraResiduals(NamedTuple):
    x: Float[Array, "*batch d"]
    w: Float[Array, "d k"]
    down: Float[Array, "d r"]
    up: Float[Array, "r k"]
    z: Float[Array, "*batch r"]
    b: Spec | None


def lora_affine_fwd(
    x: Array,
    w: Array,
    down: Array,
    up: Array,
    b: Array | None = None,
    *,
    scale: float = 1.0,
) -> tuple[Array, LoraResiduals]:
    z = jnp.matmul(x, down)
    y = jnp.matmul(x, w) + scale * jnp.matmul(z, up)
    res = LoraResiduals(x, w, down, up, z, None if b is None else spec_of(b))
    return (y if b is None else y + b), res


def lora_affine_bwd(
    res: LoraResiduals, y_bar: Array, *, scale: float = 1.0
) -> tuple[Array | None, ...]:
    x, w, down, up, z, b = res
    u = scale * jnp.matmul(y_bar, up.T, out_sharding=explicit_sharding(z))
    sharding = explicit_sharding(x)
    x_bar = jnp.matmul(y_bar, w.T, out_sharding=sharding)
    x_bar = x_bar + jnp.matmul(u, down.T, out_sharding=sharding)
    b_bar = None
    if b is not None:
        b_bar = jnp.sum(y_bar, axis=tuple(range(y_bar.ndim - 1))).astype(b.dtype)
    return (
        x_bar.astype(x.dtype),
        _product(x, y_bar, w),
        _product(x, u, down),
        scale * _product(z, y_bar, up),
        b_bar,
    )


def _product(left: Array, right: Array, w: Array) -> Array:
    """left^T right over all examples, the cotangent of w."""
    axes = tuple(range(left.ndim - 1))
    sharding = explicit_sharding(w)
    return jnp.tensordot(left, right, (axes, axes), out_sharding=sharding).astype(w.dtype)


lora_affine = Op(
    lora_affine_fwd,
    lora_affine_bwd,
    definition=lora_affine_definition,
    options={"scale": (1.0, 0.5)},
    sizes={"batch": ((2,), ()), "d": (3, 2), "k": (2, 4), "r": (2, 1)},
    tolerance=conditioned(
        "x down and y_bar up^T are rounded before they are multiplied", pooled=True
    ),
)

OPS = (lora_affine,)
