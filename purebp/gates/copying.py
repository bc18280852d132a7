"""Copy gates: where a value branches, the gradients of the branches add up."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from purebp.errors import OptionError
from purebp.gate import Gate


def identity_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = x.

    Maths: y = x; x_bar = y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: the straight branch of a residual connection.

    Example:
        >>> y, res = identity.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*identity.bwd(res, y))
        [ 1.  -0.5  2. ]
    """
    return jnp.asarray(x)


def identity_x_bar(y_bar: Array) -> Array:
    return y_bar


identity = Gate(identity_definition, identity_x_bar, primitive="copy")


def branch_definition(
    x: Inexact[Array, "*s"], *, copies: int = 2
) -> tuple[Inexact[Array, "*s"], ...]:
    """(y_1, ..., y_n) = (x, ..., x), the copy gate: an adder for gradients.

    Maths: y_i = x; x_bar = sum_i y_i_bar.
    Shapes: each y_i and x_bar are shaped like x.
    Residuals: none.
    Kinks: none.
    Raises: OptionError for copies below 1, DtypeError for integers.
    Source: CS231n, lecture 4, gradients add at branches.

    Example:
        >>> y, res = branch.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*branch.bwd(res, y))
        [[ 2.  -1.   4. ]
         [ 1.  -3.   0.6]]
    """
    return (x,) * copies


def branch_x_bar(y_bars: tuple[Array, ...]) -> Array:
    total = y_bars[0]
    for y_bar in y_bars[1:]:
        total = total + y_bar
    return total


def check_branch(x: Array, *, copies: int) -> None:
    """Raise if there is not at least one copy."""
    if not isinstance(copies, int) or copies < 1:
        raise OptionError(f"branch: copies is {copies!r}, expected an integer of at least 1")


branch = Gate(branch_definition, branch_x_bar, options={"copies": (2, 3)}, check=check_branch)

OPS = (identity, branch)
