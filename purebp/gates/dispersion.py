"""Variance, standard deviation and norm over axes, with gradients where JAX has nan."""

import math
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gates.reduction import TRIED, Axis, axes_of, check_axis, restore_axes
from purebp.numerics import widen
from purebp.op import Op, conditioned

CENTRED = conditioned("x - mean is a difference that cancels", pooled=True)
SIZES = {"s": ((2,), (3, 2), (4,), (2, 3))}


class CentredResiduals(NamedTuple):
    """x, its mean, and (for std) the standard deviation, with axes of size 1."""

    x: Array
    mean: Array
    std: Array | None


def _centre(x: Array, axis: Axis, ddof: int) -> tuple[Array, Array]:
    """The mean and the variance, in float32 or better, with axes of size 1."""
    wide = widen(x)
    mean = jnp.mean(wide, axis=axis, keepdims=True)
    total = jnp.sum((wide - mean) ** 2, axis=axis, keepdims=True)
    return mean, total / _freedom(x, axis, ddof)


def _freedom(x: Array, axis: Axis, ddof: int) -> float:
    count = math.prod(x.shape[i] for i in axes_of(axis, x.ndim)) - ddof
    return float(count) if count > 0 else math.nan


def _settle(y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    return (y if keepdims else jnp.squeeze(y, axes_of(axis, x.ndim))).astype(x.dtype)


def check_dispersion(op: str, x: Array, *, axis: Axis, keepdims: bool, ddof: int) -> None:
    """Raise if x has no such axis."""
    check_axis(op, x, axis=axis, keepdims=keepdims)


def var_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False, ddof: int = 0
) -> Float[Array, "..."]:
    """y = variance of x over `axis` (all axes by default).

    Maths: y = 1/(n - ddof) sum (x_i - mean)^2; x_bar_i = 2 y_bar (x_i - mean) / (n - ddof), for
        the mean's own gradient adds up to 0.
    Shapes: y lacks the axes reduced over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: x, and the mean.
    Kinks: none. The variance of ddof entries or fewer is nan.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: chain rule.

    Example:
        >>> y, res = var.fwd(jnp.array([1.0, -0.5]))
        >>> print(*var.bwd(res, 1.0))
        [ 0.75 -0.75]
    """
    _, var = _centre(x, axis, ddof)
    return _settle(var, x, axis, keepdims)


def var_fwd(
    x: Array, *, axis: Axis = None, keepdims: bool = False, ddof: int = 0
) -> tuple[Array, CentredResiduals]:
    mean, var = _centre(x, axis, ddof)
    return _settle(var, x, axis, keepdims), CentredResiduals(x, mean, None)


def var_bwd(
    res: CentredResiduals, y_bar: Array, *, axis: Axis, keepdims: bool, ddof: int
) -> tuple[Array]:
    scale = widen(restore_axes(y_bar, axis, keepdims)) * (2 / _freedom(res.x, axis, ddof))
    return ((scale * (widen(res.x) - res.mean)).astype(res.x.dtype),)


var = Op(
    var_fwd,
    var_bwd,
    definition=var_definition,
    options={**TRIED, "ddof": (0, 1)},
    sizes=SIZES,
    check=partial(check_dispersion, "var"),
    tolerance=CENTRED,
)


def std_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False, ddof: int = 0
) -> Float[Array, "..."]:
    """y = standard deviation of x over `axis` (all axes by default).

    Maths: x_bar_i = y_bar (x_i - mean) / ((n - ddof) y).
    Shapes: y lacks the axes reduced over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: x, the mean and y.
    Kinks: at equal entries y is 0 and x_bar is 0 (in JAX nan); any vector with entries that add
        up to 0 and of length 1 / sqrt(n - ddof) at most is a subgradient there.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: chain rule.

    Example:
        >>> y, res = std.fwd(jnp.array([1.0, -0.5]))
        >>> print(*std.bwd(res, 1.0))
        [ 0.5 -0.5]
    """
    _, var = _centre(x, axis, ddof)
    constant = var == 0
    std = jnp.where(constant, 0, jnp.sqrt(jnp.where(constant, 1, var)))
    return _settle(std, x, axis, keepdims)


def std_fwd(
    x: Array, *, axis: Axis = None, keepdims: bool = False, ddof: int = 0
) -> tuple[Array, CentredResiduals]:
    mean, var = _centre(x, axis, ddof)
    std = jnp.sqrt(var)
    return _settle(std, x, axis, keepdims), CentredResiduals(x, mean, std)


def std_bwd(
    res: CentredResiduals, y_bar: Array, *, axis: Axis, keepdims: bool, ddof: int
) -> tuple[Array]:
    assert res.std is not None
    wide = widen(restore_axes(y_bar, axis, keepdims))
    constant = res.std == 0
    share = jnp.where(constant, 0, wide / jnp.where(constant, 1, res.std))
    scale = share / _freedom(res.x, axis, ddof)
    return ((scale * (widen(res.x) - res.mean)).astype(res.x.dtype),)


std = Op(
    std_fwd,
    std_bwd,
    definition=std_definition,
    options={**TRIED, "ddof": (0, 1)},
    sizes=SIZES,
    check=partial(check_dispersion, "std"),
    kinks="slope 0 at equal entries",
    tolerance=CENTRED,
)


class NormResiduals(NamedTuple):
    """x, and its norm with axes of size 1."""

    x: Array
    norm: Array


def norm_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """y = Euclidean length of x over `axis` (all axes by default).

    Maths: y = sqrt(sum x_i^2); x_bar_i = y_bar x_i / y.
    Shapes: y lacks the axes reduced over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: x and y.
    Kinks: at x = 0 x_bar is 0 (in JAX nan), the smallest of its subgradients.
    Raises: OptionError if x has no such axis, DtypeError for integers.
    Source: chain rule.

    Example:
        >>> y, res = norm.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*norm.bwd(res, 1.0))
        [[ 0.35714287 -0.17857143  0.71428573]
         [ 0.17857143 -0.53571427  0.10714287]]
    """
    square = jnp.sum(widen(x) ** 2, axis=axis, keepdims=True)
    zero = square == 0
    norm = jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))
    return _settle(norm, x, axis, keepdims)


def norm_fwd(x: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, NormResiduals]:
    norm = jnp.sqrt(jnp.sum(widen(x) ** 2, axis=axis, keepdims=True))
    return _settle(norm, x, axis, keepdims), NormResiduals(x, norm)


def norm_bwd(res: NormResiduals, y_bar: Array, *, axis: Axis, keepdims: bool) -> tuple[Array]:
    zero = res.norm == 0
    wide = widen(restore_axes(y_bar, axis, keepdims))
    scale = jnp.where(zero, 0, wide / jnp.where(zero, 1, res.norm))
    return ((scale * widen(res.x)).astype(res.x.dtype),)


norm = Op(
    norm_fwd,
    norm_bwd,
    definition=norm_definition,
    options=TRIED,
    check=partial(check_axis, "norm"),
    kinks="slope 0 at 0",
)

OPS = (var, std, norm)
