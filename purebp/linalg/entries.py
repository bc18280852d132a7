"""Diagonals and triangles of matrices: linear gates, whose pullbacks put back what they took."""

from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.linalg.matrices import on_diagonal
from purebp.residuals import Spec

TRIED = {"offset": (0, 1, -1)}
SIZES = {"s": ((2,), (), (2,), (2,)), "n": (3, 2, 3, 3), "m": (4, 2, 4, 4)}


def check_offset(op: str, x: Array, *, offset: object) -> None:
    """Raise unless the offset is an integer."""
    if not isinstance(offset, int) or isinstance(offset, bool):
        raise OptionError(f"{op}: offset is {offset!r}, expected an integer")


def trace_definition(x: Inexact[Array, "*s n m"], *, offset: int = 0) -> Inexact[Array, "*s"]:
    """y = the sum of a diagonal of x: the main one, or that `offset` places to the right.

    Maths: y = sum_i x_i(i+offset); x_bar is y_bar on that diagonal, else 0.
    Shapes: x (*s, n, m), not necessarily square; y (*s).
    Residuals: none.
    Kinks: none.
    Raises: OptionError if the offset is not an integer, DtypeError for integers.
    Source: sum rule.

    Example:
        >>> y, res = trace.fwd(jnp.array([[1.0, -0.5], [2.0, 0.5]]))
        >>> print(*trace.bwd(res, 1.0))
        [[1. 0.]
         [0. 1.]]
    """
    return jnp.trace(x, offset=offset, axis1=-2, axis2=-1)


def trace_x_bar(y_bar: Array, x_spec: Spec, offset: int) -> Array:
    rows, columns = x_spec.shape[-2:]
    mask = jnp.eye(rows, columns, k=offset, dtype=bool)
    return jnp.where(mask, y_bar[..., None, None], 0)


trace = Gate(
    trace_definition,
    trace_x_bar,
    options=TRIED,
    sizes=SIZES,
    check=partial(check_offset, "trace"),
)


def diag_definition(x: Inexact[Array, "*s n"], *, offset: int = 0) -> Inexact[Array, "*s d d"]:
    """The square matrix with x on a diagonal, the main one or `offset` places to the right.

    Maths: y_i(i+offset) = x_i; x_bar_i = y_bar_i(i+offset).
    Shapes: x (*s, n); y (*s, d, d), d = n + |offset|.
    Residuals: none.
    Kinks: none.
    Raises: OptionError if the offset is not an integer, DtypeError for integers.
    Source: sum rule.

    Example:
        >>> y, res = diag.fwd(jnp.array([1.0, -0.5]))
        >>> print(*diag.bwd(res, y))
        [ 1.  -0.5]
    """
    return jnp.vectorize(partial(jnp.diag, k=offset), signature="(n)->(d,d)")(x)


def diag_forward(x: Array, *, offset: int = 0) -> Array:
    size = x.shape[-1] + abs(offset)
    return on_diagonal(x, size, size, offset)


def diag_x_bar(y_bar: Array, offset: int) -> Array:
    return jnp.diagonal(y_bar, offset, axis1=-2, axis2=-1)


diag = Gate(
    diag_definition,
    diag_x_bar,
    forward=diag_forward,
    options=TRIED,
    sizes=SIZES,
    check=partial(check_offset, "diag"),
)


def diagonal_definition(x: Inexact[Array, "*s n m"], *, offset: int = 0) -> Inexact[Array, "*s d"]:
    """A diagonal of x: the main one, or that `offset` places to the right.

    Maths: y_i = x_i(i+offset); x_bar is y_bar on that diagonal, else 0.
    Shapes: x (*s, n, m); y (*s, d), d the number of entries of the diagonal.
    Residuals: none.
    Kinks: none.
    Raises: OptionError if the offset is not an integer, DtypeError for integers.
    Source: sum rule.

    Example:
        >>> y, res = diagonal.fwd(jnp.array([[1.0, -0.5], [2.0, 0.5]]))
        >>> print(*diagonal.bwd(res, y))
        [[1.  0. ]
         [0.  0.5]]
    """
    return jnp.diagonal(x, offset, axis1=-2, axis2=-1)


def diagonal_x_bar(y_bar: Array, x_spec: Spec, offset: int) -> Array:
    rows, columns = x_spec.shape[-2:]
    return on_diagonal(y_bar, rows, columns, offset)


diagonal = Gate(
    diagonal_definition,
    diagonal_x_bar,
    options=TRIED,
    sizes=SIZES,
    check=partial(check_offset, "diagonal"),
)


def tril_definition(x: Inexact[Array, "*s n m"], *, offset: int = 0) -> Inexact[Array, "*s n m"]:
    """x up to a diagonal, and 0 above: the lower triangle.

    Maths: y_ij = x_ij for j <= i + offset, else 0; x_bar is that triangle of y_bar.
    Shapes: x, y (*s, n, m).
    Residuals: none.
    Kinks: none.
    Raises: OptionError if the offset is not an integer, DtypeError for integers.
    Source: sum rule.

    Example:
        >>> y, res = tril.fwd(jnp.array([[1.0, -0.5], [2.0, 0.5]]))
        >>> print(*tril.bwd(res, y))
        [[1.  0. ]
         [2.  0.5]]
    """
    return jnp.tril(x, offset)


def tril_x_bar(y_bar: Array, offset: int) -> Array:
    return jnp.tril(y_bar, offset)


tril = Gate(
    tril_definition,
    tril_x_bar,
    options=TRIED,
    sizes=SIZES,
    check=partial(check_offset, "tril"),
)


def triu_definition(x: Inexact[Array, "*s n m"], *, offset: int = 0) -> Inexact[Array, "*s n m"]:
    """x from a diagonal on, and 0 below: the upper triangle.

    Maths: y_ij = x_ij for j >= i + offset, else 0; x_bar is that triangle of y_bar.
    Shapes: x, y (*s, n, m).
    Residuals: none.
    Kinks: none.
    Raises: OptionError if the offset is not an integer, DtypeError for integers.
    Source: sum rule.

    Example:
        >>> y, res = triu.fwd(jnp.array([[1.0, -0.5], [2.0, 0.5]]))
        >>> print(*triu.bwd(res, y))
        [[ 1.  -0.5]
         [ 0.   0.5]]
    """
    return jnp.triu(x, offset)


def triu_x_bar(y_bar: Array, offset: int) -> Array:
    return jnp.triu(y_bar, offset)


triu = Gate(
    triu_definition,
    triu_x_bar,
    options=TRIED,
    sizes=SIZES,
    check=partial(check_offset, "triu"),
)

OPS = (trace, diag, diagonal, tril, triu)
