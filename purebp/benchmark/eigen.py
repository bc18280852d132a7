"""Eigenvectors of matrices that need not be symmetric."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.benchmark.case import Case, normal
from purebp.compat import eig_with_derivatives
from purebp.linalg import eig


def turned_eig(a: Array) -> tuple[Array, Array]:
    """The order and the turns of purebp, so that both compute the same."""
    w, v = eig_with_derivatives(a)
    order = jnp.argsort(w)
    w, v = w[order], v[:, order]
    place = lax.stop_gradient(jnp.argmax(jnp.abs(v), axis=-2, keepdims=True))
    top = jnp.take_along_axis(v, place, -2)
    return w, v * jnp.conj(jnp.sign(top))


CASES = (Case(eig, turned_eig, "lax.linalg.eig", (normal(8, 8),), (normal(64, 64),)),)
