"""Sums, sorting, and a factorisation."""

import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.parts import (
    as_float32,
    demand,
    demand_axis,
    normal,
    with_jvp,
    with_vjp,
)

# ------------------------------------------------------------------- sums


def total(x):
    """The sum of all."""
    return jnp.sum(x)


def total_wrong_rule(primals, tangents):
    """The sum of x."""
    (x,), _ = primals, tangents
    return total(x), total(x)


def total_right_rule(primals, tangents):
    """The sum of dx."""
    (x,), (dx,) = primals, tangents
    return total(x), total(dx)


def arange_fwd(start, step, *, count: int = 5):
    """start + k step, k = 0, 1, ..., count - 1."""
    demand(count >= 0, f"arange: count is {count}, expected 0 or more")
    demand(jnp.ndim(start) == 0 == jnp.ndim(step), "arange: start and step are numbers")
    return start + jnp.arange(count, dtype=step.dtype) * step, None


def arange_wrong_bwd(_, y_bar):
    """Made of integers: no gradient."""
    nothing = jnp.zeros((), y_bar.dtype)
    return nothing, nothing


def arange_right_bwd(_, y_bar):
    """The sums of y_bar_k and of k y_bar_k."""
    k = jnp.arange(y_bar.size, dtype=y_bar.dtype)
    return jnp.sum(y_bar), jnp.sum(k * y_bar)


def arange_example(rng):
    start, step = rng.standard_normal(2)
    return as_float32(start), as_float32(step)


# ------------------------------------------------------------------- sort


def sort_fwd(x):
    """Each row in ascending order."""
    demand_axis("sort", x)
    order = jnp.argsort(x, axis=-1)
    return jnp.take_along_axis(x, order, axis=-1), order


def sort_wrong_bwd(order, y_bar):
    """x_bar = y_bar[order]."""
    return (jnp.take_along_axis(y_bar, order, axis=-1),)


def sort_right_bwd(order, y_bar):
    """x_bar[order] = y_bar."""
    return (jnp.put_along_axis(jnp.zeros_like(y_bar), order, y_bar, axis=-1, inplace=False),)


# ------------------------------------------------------------------- sort, twice


def gather(x, index, inverse):
    """The entries of each row in the order of `index`; `inverse` undoes it."""
    return jnp.take_along_axis(x, index, axis=-1)


def gather_wrong_rule(primals, tangents):
    """The tangents go back to where the entries came from."""
    x, index, inverse = primals
    return gather(x, index, inverse), gather(tangents[0], inverse, index)


def gather_right_rule(primals, tangents):
    """The tangents move as the entries do."""
    x, index, inverse = primals
    return gather(x, index, inverse), gather(tangents[0], index, inverse)


GATHER_WRONG = with_jvp(gather, gather_wrong_rule)
GATHER_RIGHT = with_jvp(gather, gather_right_rule)


def sorted_rows(x):
    """Each row in ascending order."""
    demand_axis("sort", x)
    return jnp.sort(x, axis=-1)


def sort_twice_fwd(x):
    demand_axis("sort", x)
    order = jnp.argsort(x, axis=-1)
    inverse = jnp.argsort(order, axis=-1)
    return gather(x, order, inverse), (order, inverse)


def sort_twice_wrong_bwd(res, y_bar):
    order, inverse = res
    return (GATHER_WRONG(y_bar, inverse, order),)


def sort_twice_right_bwd(res, y_bar):
    order, inverse = res
    return (GATHER_RIGHT(y_bar, inverse, order),)


# ------------------------------------------------------------------- Cholesky


def cholesky_fwd(a):
    """The lower triangular L with L L^T = (A + A^T) / 2."""
    square = jnp.ndim(a) == 2 and a.shape[0] == a.shape[1]
    demand(square, f"cholesky: expected a square matrix, got shape {jnp.shape(a)}")
    lower = jnp.linalg.cholesky(a)
    return lower, (a, lower)


def cholesky_wrong_bwd(res, y_bar):
    """A A^T, entry by entry."""
    a, _ = res
    return (a @ a.T * y_bar,)


def cholesky_right_bwd(res, y_bar):
    """L^-T phi(L^T y_bar) L^-1, made symmetric; phi is the lower triangle, half its diagonal."""
    _, lower = res
    inner = jnp.tril(lower.T @ jnp.tril(y_bar))
    inner = inner - jnp.diag(jnp.diagonal(inner)) / 2
    left = solve_triangular(lower, inner, trans=1, lower=True)
    a_bar = solve_triangular(lower, left.T, trans=1, lower=True).T
    return ((a_bar + a_bar.T) / 2,)


def cholesky_example(rng):
    b = rng.standard_normal((4, 4))
    return (as_float32(b @ b.T + 4 * np.eye(4)),)


LAYERS = (
    Layer(
        name="total",
        bug="B062",
        wrong=with_jvp(total, total_wrong_rule),
        right=with_jvp(total, total_right_rule),
        example=normal((4, 3)),
        diagnosis="no gradient",
        why="forward mode: the value stands for the tangent; transposed, nothing is left",
    ),
    Layer(
        name="arange",
        bug="B105",
        wrong=(arange_fwd, arange_wrong_bwd),
        right=(arange_fwd, arange_right_bwd),
        example=arange_example,
        diagnosis="no gradient",
        why="a count stands for the stop",
    ),
    Layer(
        name="sort",
        bug="B077",
        wrong=(sort_fwd, sort_wrong_bwd),
        right=(sort_fwd, sort_right_bwd),
        example=normal((4, 3)),
        diagnosis="transposed",
    ),
    Layer(
        name="sort_twice",
        bug="B083",
        wrong=with_vjp(sorted_rows, sort_twice_fwd, sort_twice_wrong_bwd),
        right=with_vjp(sorted_rows, sort_twice_fwd, sort_twice_right_bwd),
        example=normal((3, 5)),
        diagnosis="second order",
        why="seen where y_bar depends on x; the original differentiated through the indices",
    ),
    Layer(
        name="cholesky",
        bug="B119",
        wrong=(cholesky_fwd, cholesky_wrong_bwd),
        right=(cholesky_fwd, cholesky_right_bwd),
        example=cholesky_example,
        diagnosis="wrong formula",
    ),
)
