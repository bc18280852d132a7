"""The loss that keeps the experts of a mixture equally busy."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.numerics import widen
from purebp.op import Op, conditioned


def load_balance_definition(logits: Float[Array, "*batch e"], *, top: int = 2) -> Float[Array, ""]:
    """e sum_i f_i p_i: f_i the part of all choices that expert i has, p_i its mean probability.

    Maths: p = the mean over the tokens of softmax(logits), f = counts of the `top` largest logits
        of each token, divided by all of them. It is 1 if all experts are equally busy. f has no
        derivative; with s = softmax(logits) of a token and n tokens,
        logits_bar = loss_bar e/n s (f - <s, f>).
    Shapes: logits (*batch, e), as the router of mixture_of_experts makes them; loss a scalar.
    Residuals: the logits and f. The softmax is computed again.
    Kinks: where logits tie for the last place f jumps; the expert that comes first counts.
    Raises: OptionError unless top is from 1 to e, DtypeError for integers. Without tokens the
        loss is nan.
    Source: Fedus et al. 2021, "Switch Transformers", equations 4 to 6; derived by hand.

    Example:
        >>> y, res = load_balance.fwd(jax.random.normal(jax.random.key(0), (4, 3)))
        >>> print(*load_balance.bwd(res, 1.0))
        [[-0.01688605  0.02818913 -0.0113031 ]
         [-0.00606814  0.03697754 -0.03090938]
         [ 0.00730469  0.05631682 -0.06362148]
         [-0.00353373  0.00765953 -0.00412578]]
    """
    wide = widen(logits)
    shares, parts = jax.nn.softmax(wide), _parts(wide, top)
    mean = jnp.mean(shares.reshape(-1, shares.shape[-1]), axis=0)
    return (parts.size * jnp.sum(parts * mean)).astype(logits.dtype)


class LoadBalanceResiduals(NamedTuple):
    logits: Float[Array, "*batch e"]
    parts: Float[Array, "e"]


def load_balance_fwd(logits: Array, *, top: int = 2) -> tuple[Array, LoadBalanceResiduals]:
    wide = widen(logits)
    parts = _parts(wide, top)
    share = jnp.sum(jax.nn.softmax(wide) * parts) * (parts.size / _tokens(logits))
    return share.astype(logits.dtype), LoadBalanceResiduals(logits, parts)


def load_balance_bwd(res: LoadBalanceResiduals, loss_bar: Array) -> tuple[Array]:
    logits, parts = res
    shares = jax.nn.softmax(widen(logits))
    each = widen(loss_bar) * (parts.size / _tokens(logits))
    above = parts - jnp.sum(shares * parts, axis=-1, keepdims=True)
    return ((each * shares * above).astype(logits.dtype),)


def _parts(logits: Array, top: int) -> Array:
    """The part of all choices that each expert has."""
    _, chosen = lax.top_k(logits, top)
    experts = logits.shape[-1]
    hits = jnp.sum(chosen[..., None] == jnp.arange(experts), axis=tuple(range(chosen.ndim)))
    return hits.astype(logits.dtype) / (_tokens(logits) * top)


def _tokens(logits: Array) -> float:
    return float(math.prod(logits.shape[:-1])) or math.nan


def check_load_balance(logits: Array, *, top: int) -> None:
    """Raise unless so many experts can be chosen."""
    experts = logits.shape[-1]
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= experts:
        raise OptionError(f"load_balance: top is {top!r}, expected from 1 to the {experts} experts")


load_balance = Op(
    load_balance_fwd,
    load_balance_bwd,
    definition=load_balance_definition,
    options={"top": (2, 1)},
    sizes={"batch": ((4,), (2, 3)), "e": (3, 2)},
    check=check_load_balance,
    kinks="where logits tie for the last place the loss jumps",
    tolerance=conditioned("f - <s, f> cancels where the experts are equally busy", pooled=True),
)

OPS = (load_balance,)
