"""The largest and the smallest entry over axes: routers with many inputs."""

from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.gate import Gate
from purebp.gates.reduction import TRIED, Axis, check_axis, restore_axes


def reduce_max_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """y = the largest entry of x over `axis` (all axes by default).

    Maths: x_bar_i = y_bar [x_i = y] / (number of i with x_i = y).
    Shapes: y lacks the axes reduced over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: x and y.
    Kinks: ties share equally, as in JAX.
    Raises: OptionError if x has no such axis, ValueError if there is nothing to choose from.
    Source: the max gate, with more inputs.

    Example:
        >>> y, res = reduce_max.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*reduce_max.bwd(res, 1.0))
        [[0. 0. 1.]
         [0. 0. 0.]]
    """
    return jnp.max(x, axis=axis, keepdims=keepdims)


def reduce_min_definition(
    x: Float[Array, "*s"], *, axis: Axis = None, keepdims: bool = False
) -> Float[Array, "..."]:
    """y = the smallest entry of x over `axis` (all axes by default).

    Maths: x_bar_i = y_bar [x_i = y] / (number of i with x_i = y).
    Shapes: y lacks the axes reduced over (size 1 with `keepdims`); x_bar is shaped like x.
    Residuals: x and y.
    Kinks: ties share equally, as in JAX.
    Raises: OptionError if x has no such axis, ValueError if there is nothing to choose from.
    Source: the min gate, with more inputs.

    Example:
        >>> y, res = reduce_min.fwd(jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]]))
        >>> print(*reduce_min.bwd(res, 1.0))
        [[0. 0. 0.]
         [0. 1. 0.]]
    """
    return jnp.min(x, axis=axis, keepdims=keepdims)


def extreme_x_bar(y_bar: Array, x: Array, y: Array, axis: Axis, keepdims: bool) -> Array:
    chosen = x == restore_axes(y, axis, keepdims)
    count = jnp.sum(chosen, axis=axis, keepdims=True, dtype=jnp.promote_types(x.dtype, "float32"))
    return jnp.where(chosen, restore_axes(y_bar, axis, keepdims) / count, 0)


reduce_max = Gate(
    reduce_max_definition,
    extreme_x_bar,
    options=TRIED,
    check=partial(check_axis, "reduce_max"),
    primitive="reduce_max",
    kinks="ties share equally",
)
reduce_min = Gate(
    reduce_min_definition,
    extreme_x_bar,
    options=TRIED,
    check=partial(check_axis, "reduce_min"),
    primitive="reduce_min",
    kinks="ties share equally",
)

OPS = (reduce_max, reduce_min)
