"""Losses of the difference between outputs and targets, entry by entry.

Each entry is an example: `reduction` is the mean or the sum over all entries, or none. The
target's cotangent is that of y with the other sign.
"""

import math
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.losses.reduction import (
    REDUCTIONS,
    Reduction,
    check_reduction,
    reduce_examples,
    share_of,
)
from purebp.numerics import log1p_of_fraction, widen
from purebp.op import POSITIVE, Op, conditioned
from purebp.residuals import Spec, spec_of


class DifferenceResiduals(NamedTuple):
    """The error y - target, and statically the shapes and dtypes."""

    error: Array
    y: Spec
    target: Spec


def _save(y: Array, target: Array) -> DifferenceResiduals:
    return DifferenceResiduals(y - target, spec_of(y), spec_of(target))


def _bars(res: DifferenceResiduals, error_bar: Array) -> tuple[Array, Array]:
    return error_bar.astype(res.y.dtype), -error_bar.astype(res.target.dtype)


def mse_definition(
    y: Float[Array, "*s"], target: Float[Array, "*s"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = (y - t)^2, the squared error.

    Maths: y_bar = 2 loss_bar (y - t), t_bar = -y_bar.
    Shapes: y, target (*s); loss () or (*s) without reduction.
    Residuals: the error y - t.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Legendre 1805, least squares.

    Example:
        >>> y = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> z, res = mse.fwd(y, target)
        >>> for bar in mse.bwd(res, 1.0): print(bar)
        [[ 0.16666667  0.33333334  0.5666667 ]
         [ 0.8333334  -1.         -0.16666667]]
        [[-0.16666667 -0.33333334 -0.5666667 ]
         [-0.8333334   1.          0.16666667]]
    """
    error = y - target
    return reduce_examples(widen(error) ** 2, reduction).astype(error.dtype)


def mse_fwd(
    y: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, DifferenceResiduals]:
    res = _save(y, target)
    wide = widen(res.error)
    return reduce_examples(wide * wide, reduction).astype(res.error.dtype), res


def mse_bwd(
    res: DifferenceResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    share = share_of(loss_bar, res.error.shape, reduction)
    return _bars(res, (2 * share) * widen(res.error))


def check_entries(op: str, *arrays: Array, reduction: str, **options: float) -> None:
    """Raise for an unknown reduction, and for options that are not above 0."""
    check_reduction(op, reduction)
    for name, value in options.items():
        if not value > 0:
            raise OptionError(f"{op}: {name} is {value}, expected a number above 0")


mse = Op(
    mse_fwd,
    mse_bwd,
    definition=mse_definition,
    options={"reduction": REDUCTIONS},
    check=partial(check_entries, "mse"),
)


def l1_loss_definition(
    y: Float[Array, "*s"], target: Float[Array, "*s"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = |y - t|, the absolute error.

    Maths: y_bar = loss_bar sign(y - t), t_bar = -y_bar.
    Shapes: y, target (*s); loss () or (*s) without reduction.
    Residuals: the error y - t.
    Kinks: the slope at y = t is 0.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Laplace 1774, least absolute deviations.

    Example:
        >>> y = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> z, res = l1_loss.fwd(y, target)
        >>> for bar in l1_loss.bwd(res, 1.0): print(bar)
        [[ 0.16666667  0.16666667  0.16666667]
         [ 0.16666667 -0.16666667 -0.16666667]]
        [[-0.16666667 -0.16666667 -0.16666667]
         [-0.16666667  0.16666667  0.16666667]]
    """
    error = y - target
    return reduce_examples(jnp.sign(error) * widen(error), reduction).astype(error.dtype)


def l1_loss_fwd(
    y: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, DifferenceResiduals]:
    res = _save(y, target)
    return reduce_examples(jnp.abs(widen(res.error)), reduction).astype(res.error.dtype), res


def l1_loss_bwd(
    res: DifferenceResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    share = share_of(loss_bar, res.error.shape, reduction)
    return _bars(res, share * jnp.sign(widen(res.error)))


l1_loss = Op(
    l1_loss_fwd,
    l1_loss_bwd,
    definition=l1_loss_definition,
    options={"reduction": REDUCTIONS},
    check=partial(check_entries, "l1_loss"),
    kinks="slope 0 at y = target",
)


def huber_definition(
    y: Float[Array, "*s"],
    target: Float[Array, "*s"],
    *,
    delta: float = 1.0,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = (y - t)^2 / 2 near 0, a straight line from |y - t| = delta on.

    Maths: with e = y - t: loss = e^2 / 2 for |e| <= delta, else delta (|e| - delta / 2);
        y_bar = loss_bar min(max(-delta, e), delta), t_bar = -y_bar.
    Shapes: y, target (*s); loss () or (*s) without reduction.
    Residuals: the error y - t.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError unless delta > 0.
    Source: Huber 1964, "Robust estimation of a location parameter".

    Example:
        >>> y = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> z, res = huber.fwd(y, target)
        >>> for bar in huber.bwd(res, 1.0): print(bar)
        [[ 0.08333334  0.16666667  0.16666667]
         [ 0.16666667 -0.16666667 -0.08333334]]
        [[-0.08333334 -0.16666667 -0.16666667]
         [-0.16666667  0.16666667  0.08333334]]
    """
    error = y - target
    wide = widen(error)
    size = jnp.where(wide < 0, -wide, wide)
    near = size <= delta
    losses = jnp.where(near, wide * wide / 2, delta * (size - delta / 2))
    return reduce_examples(losses, reduction).astype(error.dtype)


def huber_fwd(
    y: Array, target: Array, *, delta: float = 1.0, reduction: Reduction = "mean"
) -> tuple[Array, DifferenceResiduals]:
    res = _save(y, target)
    wide = widen(res.error)
    inside = jnp.clip(wide, -delta, delta)
    twice = reduce_examples(inside * (wide + (wide - inside)), reduction)
    return (twice / 2).astype(res.error.dtype), res


def huber_bwd(
    res: DifferenceResiduals, loss_bar: Array, *, delta: float, reduction: Reduction
) -> tuple[Array, Array]:
    share = share_of(loss_bar, res.error.shape, reduction)
    return _bars(res, share * jnp.clip(widen(res.error), -delta, delta))


huber = Op(
    huber_fwd,
    huber_bwd,
    definition=huber_definition,
    options={"delta": (1.0, 0.3), "reduction": REDUCTIONS},
    check=partial(check_entries, "huber"),
)


def log_cosh_definition(
    y: Float[Array, "*s"], target: Float[Array, "*s"], *, reduction: Reduction = "mean"
) -> Float[Array, "..."]:
    """loss = ln cosh(y - t): a parabola near 0, a straight line far out, smooth in between.

    Maths: with e = y - t: y_bar = loss_bar tanh e, t_bar = -y_bar. With u = tanh(e / 2) the
        value is ln(1 + 2u^2 / (1 - u^2)) near 0, where |e| + ln(1 + e^-2|e|) - ln 2 cancels.
    Shapes: y, target (*s); loss () or (*s) without reduction.
    Residuals: the error y - t.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: derivative of the hyperbolic cosine.

    Example:
        >>> y = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> z, res = log_cosh.fwd(y, target)
        >>> for bar in log_cosh.bwd(res, 1.0): print(bar)
        [[ 0.07701953  0.12693237  0.15590152]
         [ 0.16443573 -0.16584246 -0.07701953]]
        [[-0.07701953 -0.12693237 -0.15590152]
         [-0.16443573  0.16584246  0.07701953]]
    """
    error = y - target
    wide = widen(error)
    size = jnp.where(wide < 0, -wide, wide)
    near = size < 0.5
    small = jnp.where(near, wide, jnp.zeros_like(wide))
    close = jnp.log1p(2 * jnp.sinh(small / 2) ** 2)
    far = size + jnp.log1p(jnp.exp(-2 * size)) - math.log(2)
    return reduce_examples(jnp.where(near, close, far), reduction).astype(error.dtype)


def log_cosh_fwd(
    y: Array, target: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, DifferenceResiduals]:
    res = _save(y, target)
    size = jnp.abs(widen(res.error))
    near, square = size < 1, jnp.tanh(jnp.minimum(size, 1) / 2) ** 2
    fraction = jnp.where(near, 2 * square / (1 - square), jnp.exp(-2 * size))
    rest = log1p_of_fraction(fraction)
    losses = jnp.where(near, rest, size - math.log(2) + rest)
    return reduce_examples(losses, reduction).astype(res.error.dtype), res


def log_cosh_bwd(
    res: DifferenceResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    share = share_of(loss_bar, res.error.shape, reduction)
    return _bars(res, share * jnp.tanh(widen(res.error)))


log_cosh = Op(
    log_cosh_fwd,
    log_cosh_bwd,
    definition=log_cosh_definition,
    options={"reduction": REDUCTIONS},
    check=partial(check_entries, "log_cosh"),
)


class GaussianResiduals(NamedTuple):
    error: Array
    var: Array
    mean: Spec
    target: Spec


def gaussian_nll_definition(
    mean: Float[Array, "*s"],
    target: Float[Array, "*s"],
    var: Float[Array, "*s"],
    *,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = (ln v + (t - m)^2 / v) / 2: -ln of a normal density, without its constant.

    Maths: with e = m - t: mean_bar = loss_bar e / v, target_bar = -mean_bar,
        var_bar = loss_bar (1 - e^2 / v) / (2v).
    Shapes: mean, target, var (*s); loss () or (*s) without reduction.
    Residuals: e and v.
    Kinks: none for v > 0.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Nix and Weigend 1994, "Estimating the mean and variance of the target".

    Example:
        >>> mean = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> target = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> var = jnp.array([[0.8, 1.2, 0.5], [1.0, 2.0, 0.25]])
        >>> y, res = gaussian_nll.fwd(mean, target, var)
        >>> [jnp.shape(bar) for bar in gaussian_nll.bwd(res, 1.0)]
        [(2, 3), (2, 3), (2, 3)]
    """
    error = widen(mean) - widen(target)
    losses = (jnp.log(widen(var)) + error * error / var) / 2
    return reduce_examples(losses, reduction).astype(jnp.result_type(mean, target, var))


def gaussian_nll_fwd(
    mean: Array, target: Array, var: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, GaussianResiduals]:
    error = widen(mean) - widen(target)
    twice = reduce_examples(jnp.log(widen(var)) + error * error / var, reduction)
    loss = (twice / 2).astype(jnp.result_type(mean, target, var))
    kept = error.astype(jnp.result_type(mean, target))
    return loss, GaussianResiduals(kept, var, spec_of(mean), spec_of(target))


def gaussian_nll_bwd(
    res: GaussianResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array, Array]:
    share = share_of(loss_bar, res.error.shape, reduction) / widen(res.var)
    error = widen(res.error)
    mean_bar = share * error
    var_bar = share * ((1 - error * error / res.var) / 2)
    return (
        mean_bar.astype(res.mean.dtype),
        -mean_bar.astype(res.target.dtype),
        var_bar.astype(res.var.dtype),
    )


gaussian_nll = Op(
    gaussian_nll_fwd,
    gaussian_nll_bwd,
    definition=gaussian_nll_definition,
    options={"reduction": REDUCTIONS},
    domains={"var": POSITIVE},
    check=partial(check_entries, "gaussian_nll"),
    tolerance=conditioned("1 - e^2 / v cancels where the error has the size expected of it"),
)

OPS = (mse, l1_loss, huber, log_cosh, gaussian_nll)
