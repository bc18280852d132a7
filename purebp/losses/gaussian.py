"""The divergence of a normal distribution from the standard one."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.losses.difference import check_entries
from purebp.losses.reduction import REDUCTIONS, Reduction, reduce_examples, spread_over_examples
from purebp.numerics import widen
from purebp.op import Op, conditioned


class GaussianKlResiduals(NamedTuple):
    mean: Array
    log_var: Array


def gaussian_kl_definition(
    mean: Float[Array, "*batch d"],
    log_var: Float[Array, "*batch d"],
    *,
    reduction: Reduction = "mean",
) -> Float[Array, "..."]:
    """loss = sum_j (m_j^2 + e^(v_j) - 1 - v_j) / 2, the divergence of N(m, e^v) from N(0, 1).

    Maths: m_bar = loss_bar m, v_bar = loss_bar (e^v - 1) / 2. Near v = 0 by the series, which XLA
        runs faster than expm1; both passes share it.
    Shapes: mean, log_var (*batch, d); loss () or (*batch) without reduction, in nats.
    Residuals: mean and log_var.
    Kinks: none.
    Raises: ShapeError if the shapes differ, OptionError for an unknown reduction.
    Source: Kingma and Welling 2013, "Auto-encoding variational Bayes", appendix B.

    Example:
        >>> mean = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> log_var = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> y, res = gaussian_kl.fwd(mean, log_var)
        >>> for bar in gaussian_kl.bwd(res, 1.0): print(bar)
        [[ 0.5  -0.25  1.  ]
         [ 0.25 -0.75  0.15]]
        [[ 0.1621803  -0.19421746  0.08746469]
         [-0.21616618  0.87042224  0.30638522]]
    """
    m, v = widen(mean), widen(log_var)
    losses = jnp.sum(m * m + (jnp.expm1(v) - v), axis=-1) / 2
    return reduce_examples(losses, reduction).astype(jnp.result_type(mean, log_var))


def _expm1(v: Array) -> Array:
    """e^v - 1, near 0 by its series."""
    near = jnp.abs(v) < 0.25
    s = jnp.where(near, v, 0)
    rest = jnp.zeros_like(s)
    for k in reversed(range(2, 14 if v.dtype.itemsize == 8 else 8)):
        rest = (1 + rest) * (s * (1 / k))
    return jnp.where(near, s + s * rest, jnp.exp(v) - 1)


def gaussian_kl_fwd(
    mean: Array, log_var: Array, *, reduction: Reduction = "mean"
) -> tuple[Array, GaussianKlResiduals]:
    m, v = widen(mean), widen(log_var)
    losses = jnp.sum(m * m + (_expm1(v) - v), axis=-1) / 2
    loss = reduce_examples(losses, reduction).astype(jnp.result_type(mean, log_var))
    return loss, GaussianKlResiduals(mean, log_var)


def gaussian_kl_bwd(
    res: GaussianKlResiduals, loss_bar: Array, *, reduction: Reduction
) -> tuple[Array, Array]:
    m, slope = widen(res.mean), _expm1(widen(res.log_var))
    share = spread_over_examples(loss_bar, m.shape[:-1], reduction)
    m_bar, v_bar = share * m, share * (slope / 2)
    return m_bar.astype(res.mean.dtype), v_bar.astype(res.log_var.dtype)


gaussian_kl = Op(
    gaussian_kl_fwd,
    gaussian_kl_bwd,
    definition=gaussian_kl_definition,
    options={"reduction": REDUCTIONS},
    check=partial(check_entries, "gaussian_kl"),
    tolerance=conditioned("autodiff of expm1 takes e^v - 1, which cancels where v is near 0"),
)

OPS = (gaussian_kl,)
