"""A softmax with noise: a choice among classes that a gradient passes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from purebp.activations.smooth import softmax_definition, softmax_forward, softmax_x_bar
from purebp.compat import explicit_sharding
from purebp.errors import OptionError, ShapeError
from purebp.numerics import widen
from purebp.op import KEY, Op, conditioned
from purebp.residuals import Spec, spec_of


def gumbel_softmax_definition(
    logits: Float[Array, "*batch v"],
    key: PRNGKeyArray,
    *,
    temperature: float = 1.0,
    hard: bool = False,
) -> Float[Array, "*batch v"]:
    """y = softmax((logits + n) / T), n Gumbel noise: nearly a drawn class, with slopes.

    Maths: the largest of logits + n is a draw with softmax(logits); T to 0 makes y that class.
        With p = y: logits_bar = p (y_bar - sum y_bar p) / T, as softmax takes it.
        hard: y is 1 for the largest entry, the first in a tie, and 0 for the others. It has no
        slope, and logits_bar is by convention that of p ("straight through").
    Shapes: logits, y (*batch, v); key is one PRNG key.
    Residuals: p alone; the noise is not needed again.
    Kinks: none; hard is the convention above, everywhere.
    Raises: OptionError unless the temperature is above 0, ShapeError without classes. The noise is
        drawn in float32 in every precision, so that it is the same in each.
    Source: Jang, Gu and Poole 2016, "Categorical reparameterization with Gumbel-softmax"; Bengio,
        Leonard and Courville 2013, for straight through.

    Example:
        >>> logits, key = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]), jax.random.key(0)
        >>> y, res = gumbel_softmax.fwd(logits, key)
        >>> for bar in gumbel_softmax.bwd(res, y): print(bar)
        [[ 0.07548801 -0.04505736 -0.03043064]
         [ 0.10527372 -0.04472561 -0.06054811]]
        None
    """
    noise = jax.random.gumbel(key, logits.shape, jnp.float32)
    scores = (widen(logits) + noise) / temperature
    p = softmax_definition(scores)
    if hard:
        p = lax.stop_gradient(_largest(scores).astype(p.dtype)) + (p - lax.stop_gradient(p))
    return p.astype(logits.dtype)


class GumbelResiduals(NamedTuple):
    p: Array
    logits: Spec


def _largest(scores: Array) -> Array:
    """Where the first of the largest entries is."""
    return jnp.arange(scores.shape[-1]) == jnp.argmax(scores, axis=-1, keepdims=True)


def gumbel_softmax_fwd(
    logits: Array, key: PRNGKeyArray, *, temperature: float = 1.0, hard: bool = False
) -> tuple[Array, GumbelResiduals]:
    sharding = explicit_sharding(logits)
    noise = jax.random.gumbel(key, logits.shape, jnp.float32, out_sharding=sharding)
    scores = (widen(logits) + noise) / temperature
    p = softmax_forward(scores, axis=-1)
    y = _largest(scores) if hard else p
    return y.astype(logits.dtype), GumbelResiduals(p.astype(logits.dtype), spec_of(logits))


def gumbel_softmax_bwd(
    res: GumbelResiduals, y_bar: Array, *, temperature: float
) -> tuple[Array, None]:
    scores_bar = softmax_x_bar(y_bar, res.p, -1)
    return (scores_bar / temperature).astype(res.logits.dtype), None


def check_gumbel_softmax(
    logits: Array, key: PRNGKeyArray, *, temperature: float, hard: bool
) -> None:
    """Raise unless there are classes and the temperature is above 0."""
    if logits.shape[-1] == 0:
        raise ShapeError(
            f"gumbel_softmax: logits has shape {logits.shape}, expected at least one class"
        )
    if not temperature > 0:
        raise OptionError(
            f"gumbel_softmax: temperature is {temperature}, expected a number above 0"
        )


gumbel_softmax = Op(
    gumbel_softmax_fwd,
    gumbel_softmax_bwd,
    definition=gumbel_softmax_definition,
    options={"temperature": (1.0, 0.5)},
    domains={"key": KEY},
    check=check_gumbel_softmax,
    tolerance=conditioned("e^(x - max) magnifies the rounding of x - max"),
)

OPS = (gumbel_softmax,)
