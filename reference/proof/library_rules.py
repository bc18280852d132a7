"""Functions of JAX and optax that use hand-written derivatives, with ordinary arguments.

`purebp.verify` looks at them as at anybody's layers: `verified(LIBRARY["special.xlogy"])`. What it
finds stands in the README, each finding with its test.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy import special

from purebp.verification import Report, verify

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3)).astype(np.float32)
Y = RNG.standard_normal((4, 3)).astype(np.float32)
SQUARE = RNG.standard_normal((3, 3)).astype(np.float32)
LARGE = RNG.standard_normal((4, 4)).astype(np.float32)
LABELS = np.asarray([0, 1, 2, 1])
POSITIVE = np.abs(X) + np.float32(0.5)
PARTS = np.asarray(jax.nn.softmax(Y))
UNIT = np.asarray(jax.nn.sigmoid(X))

SAFE_ENTROPY = optax.losses.safe_softmax_cross_entropy
BINARY_ENTROPY = optax.losses.sigmoid_binary_cross_entropy
SPARSEMAX = optax.losses.multiclass_sparsemax_loss


class Library(NamedTuple):
    """A function that uses rules, and its example arguments."""

    name: str
    function: Callable[..., Any]
    examples: tuple[Any, ...]


def faddeeva(x: Any, y: Any) -> Any:
    """The Faddeeva function, of a complex number by its parts."""
    return special.wofz(x + 1j * y)


def exponential_integral(x: Any) -> Any:
    """E_2."""
    return special.expn(2, x)


_LIBRARY = (
    Library("jax.nn.relu", jax.nn.relu, (X,)),
    Library("jax.nn.relu6", jax.nn.relu6, (X,)),
    Library("jax.nn.log1mexp", jax.nn.log1mexp, (POSITIVE,)),
    Library("jnp.i0", jnp.i0, (X,)),
    Library("jnp.logaddexp", jnp.logaddexp, (X, Y)),
    Library("jnp.logaddexp2", jnp.logaddexp2, (X, Y)),
    Library("jnp.linalg.det", jnp.linalg.det, (LARGE,)),
    Library("jnp.linalg.slogdet", jnp.linalg.slogdet, (SQUARE,)),
    Library("jnp.linalg.pinv", jnp.linalg.pinv, (X,)),
    Library("special.logit", special.logit, (UNIT,)),
    Library("special.xlogy", special.xlogy, (POSITIVE, POSITIVE)),
    Library("special.xlog1py", special.xlog1py, (POSITIVE, POSITIVE)),
    Library("special.entr", special.entr, (POSITIVE,)),
    Library("special.log_ndtr", special.log_ndtr, (X,)),
    Library("special.expi", special.expi, (POSITIVE,)),
    Library("special.expn", exponential_integral, (POSITIVE,)),
    Library("special.sici", special.sici, (X,)),
    Library("special.poch", special.poch, (POSITIVE, POSITIVE)),
    Library("special.hyp1f1", special.hyp1f1, (POSITIVE, POSITIVE, X)),
    Library("special.zeta", special.zeta, (1 + POSITIVE, POSITIVE)),
    Library("special.fresnel", special.fresnel, (X,)),
    Library("special.wofz", faddeeva, (X, POSITIVE)),
    Library("special.erfcx", special.erfcx, (X,)),
    Library("special.dawsn", special.dawsn, (X,)),
    Library("special.owens_t", special.owens_t, (X, Y)),
    Library("optax.losses.log_cosh", optax.losses.log_cosh, (X, Y)),
    Library("optax.losses.safe_softmax_cross_entropy", SAFE_ENTROPY, (X, PARTS)),
    Library("optax.losses.sigmoid_binary_cross_entropy", BINARY_ENTROPY, (X, PARTS)),
    Library("optax.losses.sigmoid_focal_loss", optax.losses.sigmoid_focal_loss, (X, PARTS)),
    Library("optax.losses.multiclass_sparsemax_loss", SPARSEMAX, (X, LABELS)),
    Library("optax.projections.projection_simplex", optax.projections.projection_simplex, (X[0],)),
)
LIBRARY = {library.name: library for library in _LIBRARY}


def verified(library: Library, **how: Any) -> Report:
    """The report on one function."""
    return verify(library.function, *library.examples, **how)
