"""Local response normalisation, between neighbouring channels, as in AlexNet."""

from functools import reduce
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.numerics import widen
from purebp.op import Op, conditioned

CHANNELS = 1


def local_response_norm_definition(
    x: Float[Array, "n c *spatial"],
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
) -> Float[Array, "n c *spatial"]:
    """y = x / (k + alpha sum of x^2 over `size` neighbouring channels)^beta.

    Maths: s_c = k + alpha sum_{|j - c| <= size // 2} x_j^2, f = s^(-beta), y = x f; with
        q = y_bar x f / s: x_bar_c = y_bar_c f_c - 2 alpha beta x_c sum_{|j - c| <= size // 2} q_j.
    Shapes: x, y (n, c, *spatial).
    Residuals: x, and f: a power costs more than to read it; s is summed again.
    Kinks: none for k > 0.
    Raises: OptionError unless size is odd, k > 0 and alpha >= 0; DtypeError for integers.
    Source: Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification", section 3.3; derived
        by hand. Some libraries divide alpha by the size.

    Example:
        >>> y, res = local_response_norm.fwd(jax.random.normal(jax.random.key(0), (2, 6, 2)))
        >>> [jnp.shape(bar) for bar in local_response_norm.bwd(res, y)]
        [(2, 6, 2)]
    """
    half = size // 2
    edges = ((0, 0), (half, half), *((0, 0) for _ in x.shape[2:]))
    squares = jnp.pad(x * x, edges)
    near = [squares[:, a : a + x.shape[CHANNELS]] for a in range(size)]
    return x / (k + alpha * sum(near)) ** beta


class ResponseNormResiduals(NamedTuple):
    x: Float[Array, "n c *spatial"]
    f: Float[Array, "n c *spatial"]


def local_response_norm_fwd(
    x: Array, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> tuple[Array, ResponseNormResiduals]:
    wide = widen(x)
    f = _power(k + alpha * _sum_near(wide * wide, size), beta)
    return (wide * f).astype(x.dtype), ResponseNormResiduals(x, f)


def local_response_norm_bwd(
    res: ResponseNormResiduals,
    y_bar: Array,
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
) -> tuple[Array]:
    x, f = widen(res.x), res.f
    s = k + alpha * _sum_near(x * x, size)
    own = widen(y_bar) * f
    x_bar = own - (2 * alpha * beta) * x * _sum_near(own * x / s, size)
    return (x_bar.astype(res.x.dtype),)


def _power(s: Array, beta: float) -> Array:
    """s^(-beta); by square roots for AlexNet's 3/4 and for 1/2."""
    if beta == 0.75:
        root = lax.rsqrt(s)
        return root * jnp.sqrt(root)
    return lax.rsqrt(s) if beta == 0.5 else s**-beta


def _sum_near(values: Array, size: int) -> Array:
    """The sum over the channels from c - size // 2 to c + size // 2."""
    half = size // 2
    config = [(0, 0, 0), (half, half, 0), *((0, 0, 0) for _ in values.shape[2:])]
    padded = lax.pad(values, jnp.zeros((), values.dtype), config)
    channels = values.shape[CHANNELS]
    return reduce(
        jnp.add, [lax.slice_in_dim(padded, a, a + channels, axis=CHANNELS) for a in range(size)]
    )


def check_local_response_norm(x: Array, *, size: int, alpha: float, beta: float, k: float) -> None:
    """Raise unless the window has a middle and the sum stays above 0."""
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise OptionError(f"local_response_norm: size is {size!r}, expected an odd integer")
    if not (k > 0 and alpha >= 0):
        raise OptionError(
            f"local_response_norm: k is {k} and alpha {alpha}, expected k above 0 and alpha from "
            "0 on"
        )


local_response_norm = Op(
    local_response_norm_fwd,
    local_response_norm_bwd,
    definition=local_response_norm_definition,
    options={"size": (5, 3), "alpha": (1e-4, 0.5), "beta": (0.75, 1.3)},
    sizes={"n": (2, 1), "c": (6, 2, 1), "spatial": ((2,), (), (1, 2), (3,))},
    check=check_local_response_norm,
    tolerance=conditioned("y_bar f - 2 alpha beta x sum q is a difference that cancels"),
)

OPS = (local_response_norm,)
