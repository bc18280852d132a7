"""Group norm and instance norm: layer norm over groups of channels and all positions.

With x_hat = (x - mean) r and g = gamma y_bar, x_bar = r (g - <g> - x_hat <g x_hat>) as in
layer_norm, < > the mean over a group. gamma is constant over the positions of a channel. So two
sums over the positions, A = sum y_bar and B = sum y_bar x_hat, give everything: gamma_bar and
beta_bar are their sums over the examples, <g> and <g x_hat> the means of gamma A and gamma B over
the channels of a group.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError, ShapeError
from purebp.layers.norm import CANCELS
from purebp.layers.rms_norm import check_eps
from purebp.numerics import widen
from purebp.op import Op
from purebp.residuals import Spec, spec_of

CHANNELS = 2  # of a group; the positions follow


def group_norm_definition(
    x: Float[Array, "n c *spatial"],
    gamma: Float[Array, "c"],
    beta: Float[Array, "c"],
    *,
    groups: int = 32,
    eps: float = 1e-5,
) -> Float[Array, "n c *spatial"]:
    """y = gamma x_hat + beta, each group of channels of an example with mean 0 and variance 1.

    Maths: that of layer_norm, with < > over the channels of a group and all positions, and the sums
        of gamma_bar and beta_bar over the examples and positions.
    Shapes: x, y (n, c, *spatial); gamma, beta (c). Group i holds the c / groups channels from
        i c / groups on; 32 groups by default, as in the paper.
    Residuals: x, and for each group the mean, what its rounding left over, and r.
    Kinks: none for eps > 0.
    Raises: ShapeError if gamma or beta do not fit x or an example is empty, OptionError unless
        groups divides c and eps > 0.
    Source: Wu and He 2018, "Group normalization", equations 1 to 4; derived by hand.

    Example:
        >>> x = jnp.array([[1.0, -0.5, 2.0, 0.5]])
        >>> y, res = group_norm.fwd(x, jnp.ones(4), jnp.zeros(4), groups=1)
        >>> for bar in group_norm.bwd(res, jnp.array([[1.0, 0.0, 0.0, 0.0]])): print(bar)
        [[ 0.81071097 -0.17067724 -0.38401955 -0.25601417]]
        [ 0.2773484 -0.         0.        -0.       ]
        [1. 0. 0. 0.]
    """
    parts = x.reshape(x.shape[0], groups, -1)
    mean = jnp.mean(parts, axis=-1, keepdims=True)
    var = jnp.mean((parts - mean) ** 2, axis=-1, keepdims=True)
    x_hat = ((parts - mean) / jnp.sqrt(var + eps)).reshape(x.shape)
    each = (-1, *(1,) * (x.ndim - 2))
    return gamma.reshape(each) * x_hat + beta.reshape(each)


class GroupNormResiduals(NamedTuple):
    """x, and mean, rest and r of each group: x_hat = ((x - mean) - rest) r has the mean 0."""

    x: Float[Array, "n c *spatial"]
    mean: Float[Array, "n groups *ones"]
    rest: Float[Array, "n groups *ones"]
    r: Float[Array, "n groups *ones"]
    gamma: Float[Array, "c"]
    beta: Spec


def group_norm_fwd(
    x: Array, gamma: Array, beta: Array, *, groups: int = 32, eps: float = 1e-5
) -> tuple[Array, GroupNormResiduals]:
    parts = _in_groups(widen(x), groups)
    group = tuple(range(CHANNELS, parts.ndim))
    mean = jnp.mean(parts, axis=group, keepdims=True)
    centred = parts - mean
    rest = jnp.mean(centred, axis=group, keepdims=True)
    var = jnp.mean(centred * centred, axis=group, keepdims=True) - rest * rest
    r = lax.rsqrt(var + eps)
    y = (centred - rest) * (r * _by_channel(gamma, parts)) + _by_channel(beta, parts)
    dtype = jnp.result_type(x, gamma, beta)
    return y.reshape(x.shape).astype(dtype), GroupNormResiduals(
        x, mean, rest, r, gamma, spec_of(beta)
    )


def group_norm_bwd(
    res: GroupNormResiduals, y_bar: Array, *, groups: int
) -> tuple[Array, Array, Array]:
    x, mean, rest, r, gamma, beta = res
    upstream = _in_groups(widen(y_bar), groups)
    x_hat = ((_in_groups(widen(x), groups) - mean) - rest) * r
    each, positions = _by_channel(gamma, x_hat), tuple(range(CHANNELS + 1, x_hat.ndim))
    a = jnp.sum(upstream, axis=positions, keepdims=True)
    b = jnp.sum(upstream * x_hat, axis=positions, keepdims=True)
    count = math.prod(x_hat.shape[2:])
    g_mean = jnp.sum(each * a, axis=CHANNELS, keepdims=True) / count
    slope = jnp.sum(each * b, axis=CHANNELS, keepdims=True) / count
    x_bar = r * (each * upstream - g_mean - x_hat * slope)
    gamma_bar, beta_bar = jnp.sum(b, axis=0).reshape(-1), jnp.sum(a, axis=0).reshape(-1)
    return (
        x_bar.reshape(x.shape).astype(x.dtype),
        gamma_bar.astype(gamma.dtype),
        beta_bar.astype(beta.dtype),
    )


def _in_groups(x: Array, groups: int) -> Array:
    """x as (n, groups, channels of a group, *spatial)."""
    n, c, *spatial = x.shape
    return x.reshape(n, groups, c // groups, *spatial)


def _by_channel(values: Array, parts: Array) -> Array:
    """One value for each channel, shaped to broadcast against what `_in_groups` gives."""
    return values.reshape(*parts.shape[1:3], *(1,) * (parts.ndim - 3))


def check_group_norm(x: Array, gamma: Array, beta: Array, *, groups: int, eps: float) -> None:
    """Raise unless groups divides the channels, no group is empty and eps > 0."""
    check_eps("group_norm", eps)
    _check_not_empty("group_norm", x)
    if not isinstance(groups, int) or groups < 1 or x.shape[1] % groups:
        raise OptionError(
            f"group_norm: groups is {groups!r}, expected a divisor of the {x.shape[1]} channels "
            f"of x of shape {x.shape}"
        )


def _check_not_empty(op: str, x: Array) -> None:
    if 0 in x.shape[1:]:
        raise ShapeError(f"{op}: x has shape {x.shape}, expected entries in every example")


SIZES = {"n": (2, 1, 3), "spatial": ((2, 3), (), (4,), (1, 1))}

group_norm = Op(
    group_norm_fwd,
    group_norm_bwd,
    definition=group_norm_definition,
    options={"groups": (32, 1, 8), "eps": (1e-5, 1e-2)},
    sizes={"n": (1, 2), "c": (64, 64, 32), "spatial": ((3,), (), (1, 2))},
    check=check_group_norm,
    tolerance=CANCELS,
)


def instance_norm_definition(
    x: Float[Array, "n c *spatial"],
    gamma: Float[Array, "c"],
    beta: Float[Array, "c"],
    *,
    eps: float = 1e-5,
) -> Float[Array, "n c *spatial"]:
    """y = gamma x_hat + beta, each channel of an example with mean 0 and variance 1.

    Maths: group_norm with a group for each channel:
        x_bar = gamma r (y_bar - <y_bar> - x_hat <y_bar x_hat>), < > over the positions.
    Shapes: x, y (n, c, *spatial); gamma, beta (c).
    Residuals: those of group_norm.
    Kinks: none for eps > 0. With one position x_hat is 0 and so is x_bar.
    Raises: ShapeError if gamma or beta do not fit x or an example is empty, OptionError unless
        eps > 0.
    Source: Ulyanov, Vedaldi and Lempitsky 2016, "Instance normalization", equation 4.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 3, 2, 3))
        >>> gamma = jnp.array([0.5, -1.5, 0.3])
        >>> beta = jnp.array([-2.0, 1.5, 0.8])
        >>> y, res = instance_norm.fwd(x, gamma, beta)
        >>> [jnp.shape(bar) for bar in instance_norm.bwd(res, y * y)]
        [(2, 3, 2, 3), (3,), (3,)]
    """
    axes = tuple(range(2, x.ndim))
    mean = jnp.mean(x, axis=axes, keepdims=True)
    var = jnp.mean((x - mean) ** 2, axis=axes, keepdims=True)
    each = (-1, *(1,) * (x.ndim - 2))
    return gamma.reshape(each) * ((x - mean) / jnp.sqrt(var + eps)) + beta.reshape(each)


def instance_norm_fwd(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, GroupNormResiduals]:
    return group_norm_fwd(x, gamma, beta, groups=x.shape[1], eps=eps)


def instance_norm_bwd(res: GroupNormResiduals, y_bar: Array) -> tuple[Array, Array, Array]:
    return group_norm_bwd(res, y_bar, groups=res.x.shape[1])


def check_instance_norm(x: Array, gamma: Array, beta: Array, *, eps: float) -> None:
    """Raise unless every channel has positions and eps > 0."""
    check_eps("instance_norm", eps)
    _check_not_empty("instance_norm", x)


instance_norm = Op(
    instance_norm_fwd,
    instance_norm_bwd,
    definition=instance_norm_definition,
    options={"eps": (1e-5, 1e-2)},
    sizes={"c": (3, 2, 1), **SIZES},
    check=check_instance_norm,
    tolerance=CANCELS,
)

OPS = (group_norm, instance_norm)
