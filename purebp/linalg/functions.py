"""Functions of symmetric matrices: f of the eigenvalues, in the basis of the eigenvectors.

The derivative of V f(Lambda) V^T in the direction E is V (D * V^T E V) V^T with the divided
differences D_ij = (f(x) - f(y)) / (x - y) of the eigenvalues x, y (Daleckii and Krein). Autodiff
divides by x - y; here each D has a form of its own that is finite where x = y.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.errors import OptionError
from purebp.linalg.expm import exponential_series
from purebp.linalg.matrices import Wide, product, symmetrized, transposed
from purebp.op import SPD, Op, conditioned

Name = Literal["exp", "log", "sqrt", "rsqrt"]


def _slopes_of_exp(x: Array, y: Array) -> Array:
    """(e^x - e^y) / (x - y) = e^m (1 - e^-d) / d with the larger one m and d = |x - y|."""
    d = jnp.abs(x - y)
    ratio = -jnp.expm1(-d) / jnp.where(d == 0, 1, d)
    return jnp.exp(jnp.maximum(x, y)) * jnp.where(d == 0, 1, ratio)


def _slopes_of_log(x: Array, y: Array) -> Array:
    """(ln x - ln y) / (x - y) = ln(1 + d / m) / d with the smaller one m and d = |x - y|."""
    d, least = jnp.abs(x - y), jnp.minimum(x, y)
    return jnp.where(d == 0, 1 / least, jnp.log1p(d / least) / jnp.where(d == 0, 1, d))


def _slopes_of_sqrt(x: Array, y: Array) -> Array:
    return 1 / (jnp.sqrt(x) + jnp.sqrt(y))


def _slopes_of_rsqrt(x: Array, y: Array) -> Array:
    a, b = jnp.sqrt(x), jnp.sqrt(y)
    return -1 / (a * b * (a + b))


class Scalar(NamedTuple):
    """A function of numbers, and its divided differences."""

    value: Callable[[Array], Array]
    slopes: Callable[[Array, Array], Array]


FUNCTIONS = {
    "exp": Scalar(jnp.exp, _slopes_of_exp),
    "log": Scalar(jnp.log, _slopes_of_log),
    "sqrt": Scalar(jnp.sqrt, _slopes_of_sqrt),
    "rsqrt": Scalar(lax.rsqrt, _slopes_of_rsqrt),
}


def _integral(a: Array, weight: Callable[[Array, Array, Array], Array]) -> Array:
    """The integral over u of weight(a, e^u, (a + e^u)^-1), by the trapezoid rule.

    The integrand is analytic up to pi beside the axis: with steps of 1/2 the sum has 16 digits.
    """
    u = jnp.arange(-85, 85.25, 0.5, dtype=a.dtype)
    t = jnp.exp(u)[:, *(None,) * a.ndim]
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)
    return jnp.sum(weight(a, t, jnp.linalg.inv(a + t * eye)), axis=0) / 2


def _log_weight(a: Array, t: Array, inverse: Array) -> Array:
    """e^u / (1 + e^u) (a - 1) (a + e^u)^-1."""
    return t / (1 + t) * (a @ inverse - inverse)


def _sqrt_weight(a: Array, t: Array, inverse: Array) -> Array:
    return jnp.sqrt(t) * (a @ inverse) / jnp.pi


def _rsqrt_weight(a: Array, t: Array, inverse: Array) -> Array:
    return jnp.sqrt(t) * inverse / jnp.pi


def hermitian_function_definition(
    a: Wide[Array, "*batch n n"], *, function: Name = "exp"
) -> Wide[Array, "*batch n n"]:
    """f of the symmetric matrix (a + a^T)/2, for f = exp, log, sqrt or rsqrt, which is 1/sqrt.

    Maths: y = V f(Lambda) V^T; a_bar = V (D * V^T y_bar V) V^T, symmetrised, D the divided
        differences of f at the eigenvalues: D_ij = (f(w_i) - f(w_j)) / (w_i - w_j), D_ii =
        f'(w_i), and f'(w_i) too where w_j = w_i.
    Shapes: a, y (*batch, n, n); a_bar is symmetric.
    Residuals: the eigenvalues and eigenvectors.
    Kinks: none; equal eigenvalues are no exception. The derivative of a_bar goes through that of
        the eigenvectors, and is NaN there. log, sqrt and rsqrt are NaN where an eigenvalue is
        negative.
    Raises: ShapeError for a matrix that is not square, OptionError for an unknown function,
        DtypeError for 16 bits and integers.
    Source: Daleckii and Krein 1965; Higham 2008, "Functions of matrices", theorem 3.11.

    Example:
        >>> y, res = hermitian_function.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*hermitian_function.bwd(res, y))
        [[ 395.28394  613.9174 ]
         [ 613.9174  1009.20135]]
    """
    a = symmetrized(a)
    if function == "exp":
        return exponential_series(a)
    n = max(a.shape[-1], 1)
    size = lax.stop_gradient(jnp.trace(a, axis1=-2, axis2=-1)[..., None, None] / n)
    if function == "log":
        eye = jnp.eye(a.shape[-1], dtype=a.dtype)
        return _integral(a / size, _log_weight) + jnp.log(size) * eye
    if function == "sqrt":
        return _integral(a / size, _sqrt_weight) * jnp.sqrt(size)
    return _integral(a / size, _rsqrt_weight) / jnp.sqrt(size)


class FunctionResiduals(NamedTuple):
    w: Array
    v: Array


def hermitian_function_fwd(a: Array, *, function: Name = "exp") -> tuple[Array, FunctionResiduals]:
    w, v = jnp.linalg.eigh(a)
    y = product(v * FUNCTIONS[function].value(w)[..., None, :], transposed(v))
    return y, FunctionResiduals(w, v)


def hermitian_function_bwd(res: FunctionResiduals, y_bar: Array, *, function: Name) -> tuple[Array]:
    w, v = res
    inner = product(transposed(v), y_bar, v)
    slopes = FUNCTIONS[function].slopes(w[..., :, None], w[..., None, :])
    return (symmetrized(product(v, slopes * inner, transposed(v))),)


def check_function(op: str, a: Array, *, function: str) -> None:
    """Raise unless the function is one of those that are known."""
    if function not in FUNCTIONS:
        known = ", ".join(map(repr, FUNCTIONS))
        raise OptionError(f"{op}: function is {function!r}, expected one of {known}")


hermitian_function = Op(
    hermitian_function_fwd,
    hermitian_function_bwd,
    definition=hermitian_function_definition,
    options={"function": tuple(FUNCTIONS)},
    domains={"a": SPD},
    sizes={"batch": ((), (2,), (), ()), "n": (3, 2, 3, 3)},
    check=partial(check_function, "hermitian_function"),
    tolerance=conditioned(
        "eigenvalues are right beside the largest of them", pooled=True, whole=True
    ),
)

OPS = (hermitian_function,)
