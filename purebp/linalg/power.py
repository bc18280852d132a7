"""Integer powers of a square matrix, by squaring."""

from functools import partial

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from purebp.errors import OptionError
from purebp.linalg.matrices import Wide, eye_like, product
from purebp.linalg.solve import inverse
from purebp.op import FULL_RANK, Op, conditioned


def matrix_power_definition(
    a: Wide[Array, "*batch n n"], *, power: int = 2
) -> Wide[Array, "*batch n n"]:
    """y = a^power: 1 for the power 0, powers of the inverse for negative ones.

    Maths: y = a^p; a_bar = sum over k < p of (a^T)^k y_bar (a^T)^(p-1-k), which is what the chain
        of squarings and products gives in reverse. For p < 0 with b = a^-1 the same for b^-p, and
        a_bar = -b^T b_bar b^T.
    Shapes: a, y (*batch, n, n).
    Residuals: a, or its inverse; the squares are computed again (once, in one program with fwd).
    Kinks: none.
    Raises: OptionError if the power is not an integer, ShapeError for a matrix that is not square,
        DtypeError for 16 bits and integers.
    Source: product rule.

    Example:
        >>> y, res = matrix_power.fwd(jnp.array([[2.0, 1.0], [1.0, 3.0]]))
        >>> print(*matrix_power.bwd(res, y))
        [[30. 40.]
         [40. 70.]]
    """
    return jnp.linalg.matrix_power(a, power)


def _squares(base: Array, power: int) -> list[Array]:
    """base, base^2, base^4, ... up to the highest bit of the power."""
    squares = [base]
    for _ in range(power.bit_length() - 1):
        squares.append(product(squares[-1], squares[-1]))
    return squares


def _partial_products(squares: list[Array], power: int) -> list[tuple[int, Array | None]]:
    """For each bit of the power its place, and the product of the squares before it."""
    before: Array | None = None
    steps: list[tuple[int, Array | None]] = []
    for place, square in enumerate(squares):
        if power >> place & 1:
            steps.append((place, before))
            before = square if before is None else product(before, square)
    return steps


def matrix_power_fwd(a: Array, *, power: int = 2) -> tuple[Array, Array]:
    if power == 0:
        return eye_like(a), a
    base, count = (inverse(a), -power) if power < 0 else (a, power)
    squares = _squares(base, count)
    place, before = _partial_products(squares, count)[-1]
    y = squares[place] if before is None else product(before, squares[place])
    return y, base


def matrix_power_bwd(base: Array, y_bar: Array, *, power: int) -> tuple[Array]:
    if power == 0:
        return (jnp.zeros_like(base),)
    squares = _squares(base, abs(power))
    bars: dict[int, Array] = {}
    for place, before in reversed(_partial_products(squares, abs(power))):
        bars[place] = y_bar if before is None else _transposed_times(before, y_bar)
        y_bar = _times_transposed(y_bar, squares[place]) if before is not None else y_bar
    bar = bars[len(squares) - 1]
    for place in reversed(range(len(squares) - 1)):
        back = squares[place]
        bar = _transposed_times(back, bar) + _times_transposed(bar, back)
        bar = bar + bars[place] if place in bars else bar
    if power < 0:
        bar = -_transposed_times(base, _times_transposed(bar, base))
    return (bar,)


def _transposed_times(x: Array, y: Array) -> Array:
    """x^T y, without a transpose, which XLA would move into the product that x came from."""
    return jnp.einsum("...ki,...kj->...ij", x, y, precision=lax.Precision.HIGHEST)


def _times_transposed(x: Array, y: Array) -> Array:
    """x y^T."""
    return jnp.einsum("...ik,...jk->...ij", x, y, precision=lax.Precision.HIGHEST)


def check_power(op: str, a: Array, *, power: object) -> None:
    """Raise unless the power is an integer."""
    if not isinstance(power, int) or isinstance(power, bool):
        raise OptionError(f"{op}: power is {power!r}, expected an integer")


matrix_power = Op(
    matrix_power_fwd,
    matrix_power_bwd,
    definition=matrix_power_definition,
    options={"power": (3, -2, 0)},
    domains={"a": FULL_RANK},
    sizes={"batch": ((), (2,), (), ()), "n": (3, 2, 3, 3)},
    check=partial(check_power, "matrix_power"),
    tolerance=conditioned("powers magnify rounding, and their sums cancel", pooled=True),
)

OPS = (matrix_power,)
