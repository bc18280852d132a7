"""Where `jax.grad` of the idiomatic form is wrong, and what is right.

A row is an op, an input, the idiomatic form, what `jax.grad` gives for it in float32, and what is
right with 50 digits (or by convention, at a point without derivative). The op gives what is right.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from purebp import Op
from purebp.activations import celu, elu, gelu, selu
from purebp.gates import (
    acosh,
    asinh,
    atan2,
    cumlogsumexp,
    digamma,
    expm1,
    igamma,
    logsumexp,
    norm,
    pow,
    rem,
    sigmoid,
    std,
    tanh,
)
from purebp.linalg import det, hermitian_function
from purebp.losses import binary_cross_entropy, cosine_distance, triplet
from reference.precise import MP, PRECISE
from reference.precise_gates import PRECISE_GATES

INF, NAN = np.inf, np.nan
SLOPES = {name: slope for name, (_, slope) in {**PRECISE, **PRECISE_GATES}.items()}


class Row(NamedTuple):
    """One place: the derivative is that of the sum of the output in one argument."""

    op: Op
    args: tuple[Any, ...]
    idiom: Callable[..., Any]
    autodiff: Any
    right: Any
    why: str
    argnum: int = 0

    @property
    def name(self) -> str:
        """The op and its input."""
        return f"{self.op.name}{self.args}"


def tail(op: Op, x: float, idiom: Callable[[Any], Any], autodiff: float, why: str) -> Row:
    """A row whose right slope is known with 50 digits."""
    right = float(SLOPES[op.name](float(np.float32(x))))
    return Row(op, (x,), idiom, autodiff, right, why)


def plain_triplet(anchor: Any, positive: Any, negative: Any) -> Any:
    near, far = jnp.linalg.norm(anchor - positive), jnp.linalg.norm(anchor - negative)
    return jnp.maximum(0, near - far + 1)


def plain_cosine_distance(x: Any, y: Any) -> Any:
    return 1 - jnp.sum(x * y) / (jnp.linalg.norm(x) * jnp.linalg.norm(y))


def plain_binary_cross_entropy(z: Any, t: Any) -> Any:
    return jnp.mean(jnp.maximum(z, 0) - z * t + jnp.log1p(jnp.exp(-jnp.abs(z))))


def plain_exponential(a: Any) -> Any:
    w, v = jnp.linalg.eigh(a)
    return (v * jnp.exp(w)) @ v.T


def derivative(function: Callable[..., Any], row: Row) -> np.ndarray:
    """The gradient of the sum of a function at the input of a row, in float32."""

    def total(*args: Any) -> Any:
        return jnp.sum(function(*args))

    return np.asarray(jax.grad(total, row.argnum)(*(jnp.float32(arg) for arg in row.args)))


ROUNDED = "the slope is taken from a value that was rounded to 1 or -1"
SQUARED = "a square overflows or vanishes on the way"
ZERO = (0.0, 0.0)
DENSITY = float(MP.exp(99999 * MP.log(100000) - 100000 - MP.loggamma(100000)))
ROWS = (
    tail(sigmoid, 20.0, jax.nn.sigmoid, 0.0, ROUNDED),
    tail(tanh, 10.0, jnp.tanh, 0.0, ROUNDED),
    tail(expm1, -20.0, jnp.expm1, 0.0, ROUNDED),
    tail(elu, -20.0, jax.nn.elu, 0.0, ROUNDED),
    tail(selu, -20.0, jax.nn.selu, 0.0, ROUNDED),
    tail(celu, -20.0, jax.nn.celu, 0.0, ROUNDED),
    tail(gelu, -6.0, jax.nn.gelu, 0.0, ROUNDED),
    tail(digamma, -20.5, jax.scipy.special.digamma, -0.04761006, "too few terms below 0"),
    Row(igamma, (1e5, 1e5), lax.igamma, 0.0011708796, DENSITY, "logs of 10^6 cancel", argnum=1),
    tail(asinh, 1e25, jnp.arcsinh, 0.0, SQUARED),
    tail(acosh, 1e20, jnp.arccosh, 0.0, SQUARED),
    Row(atan2, (1e-25, 1e-25), jnp.arctan2, INF, 5e24, SQUARED),
    Row(atan2, (1e25, 1e25), jnp.arctan2, 0.0, 5e-26, SQUARED),
    Row(pow, (0.0, 0.0), jnp.power, NAN, 0.0, "x^0 is 1 for every x"),
    Row(pow, (0.0, -1.0), jnp.power, NAN, -INF, "0^y is inf below y = 0", argnum=1),
    Row(rem, (1.0, 1 / 3), lax.rem, -3.0, -2.0, "2.9999999 is rounded to 3", argnum=1),
    Row(norm, (ZERO,), jnp.linalg.norm, (NAN, NAN), ZERO, "0 / 0; 0 is a subgradient"),
    Row(std, ((3.0, 3.0),), jnp.std, (NAN, NAN), ZERO, "0 / 0; 0 is a subgradient"),
    Row(logsumexp, ((-INF, -INF),), jax.nn.logsumexp, (NAN, NAN), ZERO, "a masked row"),
    Row(
        cumlogsumexp,
        ((-INF, -INF, 0.0),),
        lax.cumlogsumexp,
        (NAN, NAN, 1.0),
        (0.0, 0.0, 1.0),
        "a masked start",
    ),
    Row(
        det,
        (((0, 0, 0, 0), (0, 2, 0, 0), (0, 0, 3, 0), (0, 0, 0, 4)),),
        jnp.linalg.det,
        np.zeros((4, 4)),
        np.diag([24.0, 0, 0, 0]),
        "a pivot is 0, and not the last one",
    ),
    Row(
        hermitian_function,
        (((1.0, 0.0), (0.0, 1.0)),),
        plain_exponential,
        np.full((2, 2), NAN),
        np.full((2, 2), np.e),
        "eigenvectors of equal eigenvalues have no derivative, but exp has",
    ),
    Row(
        triplet,
        ((1.0, 2.0), (1.0, 2.0), (1.0, 1.5)),
        plain_triplet,
        (NAN, NAN),
        (0.0, -1.0),
        "the distance to the positive is 0",
    ),
    Row(
        cosine_distance,
        (ZERO, (1.0, 2.0)),
        plain_cosine_distance,
        (NAN, NAN),
        ZERO,
        "a zero vector has no direction",
    ),
    Row(
        binary_cross_entropy,
        (30.0, 1.0),
        plain_binary_cross_entropy,
        0.0,
        float(-1 / (1 + MP.exp(30))),
        "s(z) - t cancels",
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_op_is_right_where_autodiff_is_not(row: Row) -> None:
    np.testing.assert_allclose(derivative(row.op, row), row.right, rtol=1e-6)
    came = derivative(row.idiom, row)
    if np.allclose(came, row.right, rtol=1e-3, atol=0):
        pytest.skip("this JAX is right here")
    np.testing.assert_allclose(came, row.autodiff, rtol=1e-6, err_msg=row.why)


def test_the_idiomatic_forms_have_the_values_of_the_ops() -> None:
    for row in ROWS:
        args = [jnp.float32(arg) for arg in row.args]
        if row.op.name != "cosine_distance":  # it has a value where the quotient is 0 / 0
            np.testing.assert_allclose(row.op(*args), row.idiom(*args), rtol=1e-6, atol=1e-9)
