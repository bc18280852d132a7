"""Sinusoidal positions: a fixed wave for each feature, added to x."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from purebp.errors import OptionError, ShapeError
from purebp.numerics import widen
from purebp.op import Op, index_below
from purebp.residuals import Spec, spec_of


def sinusoidal_definition(
    x: Float[Array, "*batch t d"],
    scale: Float[Array, ""] | None = None,
    positions: Integer[Array, "*#batch t"] | None = None,
    *,
    base: float = 10000.0,
) -> Float[Array, "*batch t d"]:
    """y = x + scale w: w a sine and a cosine of the position for each pair of features.

    Maths: w_(p, 2i) = sin(p base^(-2i/d)), w_(p, 2i+1) = cos(p base^(-2i/d)). x_bar = y_bar,
        scale_bar = sum y_bar w. A sum of waves turns into that of another position by a rotation
        that depends on the distance alone.
    Shapes: x, y (*batch, t, d); scale one number, learned, or None for 1; positions (*batch, t),
        which broadcast, or None for 0, ..., t - 1. With odd d the last feature is a sine.
    Residuals: the positions: y is linear in x and scale, and w is cheap to compute again.
    Kinks: none.
    Raises: ShapeError for positions that do not fit, OptionError unless base > 0, DtypeError for
        positions that are not integers. Angles are rounded to the precision of x (float32 for 16
        bits).
    Source: Vaswani et al. 2017, "Attention is all you need", section 3.5.

    Example:
        >>> y, res = sinusoidal.fwd(jax.random.normal(jax.random.key(0), (5, 3)))
        >>> for bar in sinusoidal.bwd(res, y): print(bar)
        [[ 1.6226422   3.0252647  -0.43359444]
         [ 0.7628536   0.7163932  -0.9699348 ]
         [ 0.41399866  0.07823175  0.6686582 ]
         [-0.80904347  1.1895379  -1.9486873 ]
         [-0.39823177 -0.49584848  1.2857023 ]]
        None
        None
    """
    wide = widen(x)
    waves = _waves(positions, x.shape[-2], x.shape[-1], base, wide.dtype)
    y = wide + waves if scale is None else wide + widen(scale) * waves
    return y.astype(x.dtype if scale is None else jnp.result_type(x, scale))


class SinusoidalResiduals(NamedTuple):
    positions: Integer[Array, "*#batch t"] | None
    x: Spec
    scale: Spec | None


def sinusoidal_fwd(
    x: Array,
    scale: Array | None = None,
    positions: Array | None = None,
    *,
    base: float = 10000.0,
) -> tuple[Array, SinusoidalResiduals]:
    wide = widen(x)
    waves = _waves(positions, x.shape[-2], x.shape[-1], base, wide.dtype)
    factor = jnp.ones((), wide.dtype) if scale is None else widen(scale)
    dtype = x.dtype if scale is None else jnp.result_type(x, scale)
    y = (wide + factor * waves).astype(dtype)
    return y, SinusoidalResiduals(positions, spec_of(x), None if scale is None else spec_of(scale))


def sinusoidal_bwd(
    res: SinusoidalResiduals, y_bar: Array, *, base: float = 10000.0
) -> tuple[Array | None, ...]:
    positions, x, scale = res
    if scale is None:
        return y_bar.astype(x.dtype), None, None
    wide = widen(y_bar)
    waves = _waves(positions, x.shape[-2], x.shape[-1], base, wide.dtype)
    return y_bar.astype(x.dtype), jnp.sum(wide * waves).astype(scale.dtype), None


def _waves(
    positions: Array | None, length: int, features: int, base: float, dtype: np.dtype
) -> Array:
    """(*batch, t, d)."""
    places = jnp.arange(length) if positions is None else positions
    pairs = np.arange(features) // 2
    frequencies = jnp.asarray(base ** (-2 * pairs / max(features, 1)), dtype)
    angles = places[..., None].astype(dtype) * frequencies
    return jnp.where(np.arange(features) % 2 == 0, jnp.sin(angles), jnp.cos(angles))


def check_sinusoidal(
    x: Array, scale: Array | None, positions: Array | None, *, base: float
) -> None:
    """Raise for positions with too many axes, and unless base > 0."""
    if positions is not None and positions.ndim > x.ndim - 1:
        raise ShapeError(
            f"sinusoidal: positions has shape {positions.shape}, expected one that broadcasts to "
            f"{x.shape[:-1]} from x"
        )
    if not base > 0:
        raise OptionError(f"sinusoidal: base is {base}, expected a number above 0")


sinusoidal = Op(
    sinusoidal_fwd,
    sinusoidal_bwd,
    definition=sinusoidal_definition,
    options={"base": (10000.0, 100.0)},
    domains={"positions": index_below("t")},
    sizes={"batch": ((2,), ()), "t": (3, 5), "d": (4, 3)},
    check=check_sinusoidal,
)

OPS = (sinusoidal,)
