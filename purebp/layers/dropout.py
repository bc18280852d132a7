"""Dropout and drop path: a random mask, redrawn in the backward pass instead of stored."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from purebp.compat import explicit_sharding
from purebp.errors import OptionError
from purebp.op import KEY, Op


def dropout_definition(
    x: Float[Array, "*s"], key: PRNGKeyArray, *, rate: float = 0.5
) -> Float[Array, "*s"]:
    """y = x m / (1 - rate), m a mask of ones with probability 1 - rate ("inverted" dropout).

    Maths: y = m x / (1 - rate); x_bar = m y_bar / (1 - rate).
    Shapes: y and x_bar are shaped like x; key is one PRNG key.
    Residuals: the key. The same key draws the same mask again, so that no mask is stored.
    Kinks: none.
    Raises: OptionError for a rate below 0 or not below 1, DtypeError for integers.
    Source: Srivastava et al. 2014, "Dropout"; CS231n, assignment 2.

    Example:
        >>> x, key = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]), jax.random.key(0)
        >>> y, res = dropout.fwd(x, key)
        >>> for bar in dropout.bwd(res, y): print(bar)
        [[0.  0.  8. ]
         [2.  0.  1.2]]
        None
    """
    mask = jax.random.bernoulli(key, jnp.float32(1 - rate), x.shape).astype(x.dtype)
    return x * mask / (1 - rate)


def dropout_fwd(x: Array, key: PRNGKeyArray, *, rate: float = 0.5) -> tuple[Array, PRNGKeyArray]:
    return _drop(x, key, rate), key


def dropout_bwd(key: PRNGKeyArray, y_bar: Array, *, rate: float = 0.5) -> tuple[Array, None]:
    return _drop(y_bar, key, rate), None


def _drop(x: Array, key: PRNGKeyArray, rate: float) -> Array:
    """The mask is drawn in float32 in every precision, so that it is the same in each."""
    share = jnp.float32(1 - rate)
    keep = jax.random.bernoulli(key, share, x.shape, out_sharding=explicit_sharding(x))
    return jnp.where(keep, x / (1 - rate), jnp.zeros_like(x))


def check_rate(x: Array, key: PRNGKeyArray, *, rate: float) -> None:
    """Raise unless some entries are kept."""
    if not 0 <= rate < 1:
        raise OptionError(f"dropout: rate is {rate}, expected a number from 0 to below 1")


dropout = Op(
    dropout_fwd,
    dropout_bwd,
    definition=dropout_definition,
    options={"rate": (0.5, 0.0, 0.2)},
    domains={"key": KEY},
    check=check_rate,
)


def drop_path_definition(
    x: Float[Array, "n *rest"], key: PRNGKeyArray, *, rate: float = 0.5
) -> Float[Array, "n *rest"]:
    """y = x m / (1 - rate), one number of the mask m for each example: "stochastic depth".

    Put on the branch of a residual connection, it leaves the branch out for some examples.

    Maths: y_n = m_n x_n / (1 - rate), m_n = 1 with probability 1 - rate, else 0;
        x_bar_n = m_n y_bar_n / (1 - rate).
    Shapes: y and x_bar are shaped like x (n, ...); key is one PRNG key.
    Residuals: the key. The same key draws the same mask again, so that no mask is stored.
    Kinks: none.
    Raises: OptionError for a rate below 0 or not below 1, DtypeError for integers.
    Source: Huang et al. 2016, "Deep networks with stochastic depth", section 3.

    Example:
        >>> y, res = drop_path.fwd(jnp.array([[1.0, -0.5], [2.0, 0.5]]), jax.random.key(3))
        >>> for bar in drop_path.bwd(res, y): print(bar)
        [[ 4. -2.]
         [ 0.  0.]]
        None
    """
    keep = jax.random.bernoulli(key, jnp.float32(1 - rate), x.shape[:1])
    return x * keep.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1)) / (1 - rate)


def drop_path_fwd(x: Array, key: PRNGKeyArray, *, rate: float = 0.5) -> tuple[Array, PRNGKeyArray]:
    return _drop_examples(x, key, rate), key


def drop_path_bwd(key: PRNGKeyArray, y_bar: Array, *, rate: float = 0.5) -> tuple[Array, None]:
    return _drop_examples(y_bar, key, rate), None


def _drop_examples(x: Array, key: PRNGKeyArray, rate: float) -> Array:
    keep = jax.random.bernoulli(key, jnp.float32(1 - rate), x.shape[:1])
    keep = keep.reshape(-1, *(1,) * (x.ndim - 1))
    return jnp.where(keep, x / (1 - rate), jnp.zeros_like(x))


def check_drop_path(x: Array, key: PRNGKeyArray, *, rate: float) -> None:
    """Raise unless some examples are kept."""
    if not 0 <= rate < 1:
        raise OptionError(f"drop_path: rate is {rate}, expected a number from 0 to below 1")


drop_path = Op(
    drop_path_fwd,
    drop_path_bwd,
    definition=drop_path_definition,
    options={"rate": (0.5, 0.0, 0.2)},
    domains={"key": KEY},
    check=check_drop_path,
)

OPS = (dropout, drop_path)
