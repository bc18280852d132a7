"""LoRA: an affine layer with a change of low rank beside its weights."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.errors import OptionError
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
    frozen: bool = False,
) -> Float[Array, "*batch k"]:
    """y = x w + scale (x down) up + b.

    Maths: with z = x down and u = scale y_bar up^T, both of r features: x_bar = y_bar w^T +
        u down^T, down_bar = x^T u, up_bar = scale z^T y_bar, w_bar = x^T y_bar,
        b_bar = sum y_bar. The product down up, (d, k), is never built. frozen: w and b are
        constants; their cotangents are None, and nothing is computed or kept for them.
    Shapes: x (*batch, d), w (d, k), down (d, r), up (r, k), b (k) or None; y (*batch, k).
    Residuals: x (for down_bar), w (for x_bar), down, up and z; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if the shapes do not fit, DtypeError for integers, OptionError for a
        `frozen` that is not True or False.
    Source: Hu et al. 2021, "LoRA", equation 3 (scale is their alpha/r); derived by hand.

    Example:
        >>> x = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> w = jnp.array([[0.5, -1.5], [0.3, -2.0], [1.5, 0.8]])
        >>> down = jnp.array([[-2.0, 1.5], [0.8, -0.2], [0.6, -1.0]])
        >>> up = jnp.array([[-0.2, 0.6], [-1.0, 1.0]])
        >>> b = jnp.array([1.0, -0.5])
        >>> y, res = lora_affine.fwd(x, w, down, up, b)
        >>> [jnp.shape(bar) for bar in lora_affine.bwd(res, y)]
        [(2, 3), (3, 2), (3, 2), (2, 2), (2,)]
    """
    if frozen:
        w, b = lax.stop_gradient(w), lax.stop_gradient(b)
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
    frozen: bool = False,
) -> tuple[Array, LoraResiduals]:
    z = jnp.matmul(x, down)
    y = jnp.matmul(x, w) + scale * jnp.matmul(z, up)
    res = LoraResiduals(x, w, down, up, z, None if frozen or b is None else spec_of(b))
    return (y if b is None else y + b), res


def lora_affine_bwd(
    res: LoraResiduals, y_bar: Array, *, scale: float = 1.0, frozen: bool = False
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
        None if frozen else _product(x, y_bar, w),
        _product(x, u, down),
        scale * _product(z, y_bar, up),
        b_bar,
    )


def _product(left: Array, right: Array, w: Array) -> Array:
    """left^T right over all examples, the cotangent of w."""
    axes = tuple(range(left.ndim - 1))
    sharding = explicit_sharding(w)
    return jnp.tensordot(left, right, (axes, axes), out_sharding=sharding).astype(w.dtype)


def check_lora_affine(
    x: Array, w: Array, down: Array, up: Array, b: Array | None, *, scale: float, frozen: bool
) -> None:
    """Raise unless frozen is True or False."""
    if not isinstance(frozen, bool):
        raise OptionError(f"lora_affine: frozen is {frozen!r}, expected True or False")


lora_affine = Op(
    lora_affine_fwd,
    lora_affine_bwd,
    definition=lora_affine_definition,
    options={"scale": (1.0, 0.5)},
    sizes={"batch": ((2,), ()), "d": (3, 2), "k": (2, 4), "r": (2, 1)},
    check=check_lora_affine,
    tolerance=conditioned(
        "x down and y_bar up^T are rounded before they are multiplied", pooled=True
    ),
)

OPS = (lora_affine,)
