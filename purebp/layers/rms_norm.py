"""Norms that divide by a root mean square or a length, without taking the mean away.

Both are y = x r with r = (sum x^2 / n)^(-1/2), or without the n. A change of x moves r too, so

    x_bar = r (g - x r^2 <g x>)

with g what arrives at x r and < > the mean, or for the length the sum, over the normalised axis.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.errors import OptionError, ShapeError
from purebp.numerics import widen
from purebp.op import Op, conditioned

CANCELS = conditioned("g - x r^2 <g x> is a difference that cancels", pooled=True)
EXACT = lax.Precision.HIGHEST


def rms_norm_definition(
    x: Float[Array, "*batch d"], gamma: Float[Array, "d"], *, eps: float = 1e-6
) -> Float[Array, "*batch d"]:
    """y = gamma x / sqrt(mean x^2 + eps): the features of an example with mean square 1.

    Maths: r = 1 / sqrt(<x^2> + eps), y = gamma x r; with g = gamma y_bar:
        x_bar = r (g - x r^2 <g x>), gamma_bar = sum y_bar x r, the sum over the examples.
    Shapes: x, y (*batch, d); gamma (d).
    Residuals: x, and r of each example.
    Kinks: none for eps > 0.
    Raises: ShapeError if gamma does not fit x, OptionError unless eps > 0.
    Source: Zhang and Sennrich 2019, "Root mean square layer normalization", equation 4; derived
        by hand.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 5))
        >>> gamma = jnp.array([0.5, -1.5, 0.3, -2.0, 1.5])
        >>> y, res = rms_norm.fwd(x, gamma)
        >>> for bar in rms_norm.bwd(res, y): print(bar)
        [[-1.3832256   1.1834784   0.41945812 -0.14477906  0.10290004]
         [ 2.4624574  -0.52770734 -1.3946652   2.7997015  -1.0123351 ]]
        [ 1.7958977  -5.0821276   0.17244884 -1.5971552   2.47005   ]
    """
    square = jnp.mean(x * x, axis=-1, keepdims=True)
    return gamma * (x / jnp.sqrt(square + eps))


class RmsNormResiduals(NamedTuple):
    """x, and the reciprocal root mean square of each example."""

    x: Float[Array, "*batch d"]
    r: Float[Array, "*batch"]
    gamma: Float[Array, "d"]


def rms_norm_fwd(x: Array, gamma: Array, *, eps: float = 1e-6) -> tuple[Array, RmsNormResiduals]:
    wide = widen(x)
    r = lax.rsqrt(sum_products(wide, wide) / x.shape[-1] + eps)
    y = (gamma * (wide * r[..., None])).astype(jnp.result_type(x, gamma))
    return y, RmsNormResiduals(x, r, gamma)


def rms_norm_bwd(res: RmsNormResiduals, y_bar: Array) -> tuple[Array, Array]:
    x, r, gamma = res
    wide, examples = widen(x), tuple(range(x.ndim - 1))
    product = widen(y_bar) * wide
    slope = sum_products(product, widen(gamma)) / x.shape[-1]
    x_bar = r[..., None] * (widen(y_bar) * gamma - wide * (r * r * slope)[..., None])
    sharding = explicit_sharding(gamma)
    gamma_bar = jnp.tensordot(
        product, r, axes=(examples, examples), precision=EXACT, out_sharding=sharding
    )
    return x_bar.astype(x.dtype), gamma_bar.astype(gamma.dtype)


def sum_products(x: Array, y: Array) -> Array:
    """sum x y over the last axis: a product, which XLA sums faster than it sums an array."""
    return jnp.vecdot(x, y, precision=EXACT)


def check_rms_norm(x: Array, gamma: Array, *, eps: float) -> None:
    """Raise unless eps keeps the division defined."""
    check_eps("rms_norm", eps)


def check_eps(op: str, eps: float) -> None:
    """Raise unless eps is above 0."""
    if not eps > 0:
        raise OptionError(f"{op}: eps is {eps}, expected a number above 0")


rms_norm = Op(
    rms_norm_fwd,
    rms_norm_bwd,
    definition=rms_norm_definition,
    options={"eps": (1e-6, 1e-2)},
    sizes={"d": (5, 3, 1, 4)},
    check=check_rms_norm,
    tolerance=CANCELS,
)


def l2_normalize_definition(
    x: Float[Array, "*s"], *, axis: int = -1, eps: float = 1e-12
) -> Float[Array, "*s"]:
    """y = x / max(|x|, eps): vectors along an axis with length 1; at 0, y is 0.

    Maths: r = 1 / max(|x|, eps), y = x r; x_bar = r (y_bar - y sum y y_bar) where |x| > eps: the
        part of y_bar along x is lost. Elsewhere r is constant and x_bar = r y_bar.
    Shapes: x, y alike; `axis` is where the vectors lie.
    Residuals: x and the sum of squares of each vector.
    Kinks: |x| = eps takes the slope from below, 1 / eps. The same at 0, where |x| has no slope.
    Raises: ShapeError if x has no such axis, OptionError unless eps > 0 and its square is not 0.
    Source: derived by hand from the slope of a length, x / |x|.

    Example:
        >>> y, res = l2_normalize.fwd(jnp.array([1.0, -0.5, 2.0, 0.5, -1.5]))
        >>> print(*l2_normalize.bwd(res, jnp.ones_like(y)))
        [0.28968596 0.39397293 0.22016132 0.3244483  0.46349755]
    """
    square = jnp.sum(x * x, axis=axis, keepdims=True)
    return x / jnp.sqrt(jnp.maximum(square, eps * eps))


class L2NormalizeResiduals(NamedTuple):
    """x, and the sum of squares of each vector with an axis of size 1."""

    x: Array
    square: Array


def l2_normalize_fwd(
    x: Array, *, axis: int = -1, eps: float = 1e-12
) -> tuple[Array, L2NormalizeResiduals]:
    wide = widen(x)
    square = jnp.expand_dims(jnp.vecdot(wide, wide, axis=axis, precision=EXACT), axis)
    r = lax.rsqrt(jnp.maximum(square, eps * eps))
    return (wide * r).astype(x.dtype), L2NormalizeResiduals(x, square)


def l2_normalize_bwd(
    res: L2NormalizeResiduals, y_bar: Array, *, axis: int = -1, eps: float = 1e-12
) -> tuple[Array]:
    x, square = widen(res.x), res.square
    along = jnp.expand_dims(jnp.vecdot(widen(y_bar), x, axis=axis, precision=EXACT), axis)
    r = lax.rsqrt(jnp.maximum(square, eps * eps))
    slope = jnp.where(square > eps * eps, r * r * along, 0)
    return ((r * (widen(y_bar) - x * slope)).astype(res.x.dtype),)


def check_l2_normalize(x: Array, *, axis: int, eps: float) -> None:
    """Raise if x has no such axis, or if the square of eps is 0 in float32."""
    if x.ndim == 0:
        raise ShapeError("l2_normalize: x has shape (), expected at least one axis")
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"l2_normalize: axis is {axis}, expected an axis of x of shape {x.shape}")
    if not eps >= 1e-18:
        raise OptionError(f"l2_normalize: eps is {eps}, expected a number from 1e-18 on")


l2_normalize = Op(
    l2_normalize_fwd,
    l2_normalize_bwd,
    definition=l2_normalize_definition,
    options={"axis": (-1, 0), "eps": (1e-12, 0.7)},
    sizes={"s": ((3, 4), (5,), (2, 3, 2), (2, 1))},
    check=check_l2_normalize,
    kinks="|x| = eps takes the slope from below, 1 / eps",
    tolerance=CANCELS,
)

OPS = (rms_norm, l2_normalize)
