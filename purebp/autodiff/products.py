"""The rules of `dot_general`, the product of which all others are special cases, and of groups.

In `ragged_dot` the rows of x are in groups, and each group has a matrix of its own.
"""

from typing import Any

import jax.numpy as jnp
from jax import lax

from purebp.autodiff.flow import refused
from purebp.autodiff.rule import Rule, Step, Values
from purebp.compat import run_equation, with_axes
from purebp.residuals import Spec, spec_of


def forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    """Each factor is kept for the other's cotangent."""
    x, y = args
    kept = (x if step.wanted[1] else None, y if step.wanted[0] else None)
    return run_equation(step.equation, args), (*kept, spec_of(x), spec_of(y))


def backward(step: Step, saved: Any, bars: Values) -> list[Any]:
    """x_bar = z_bar times y over the free axes of y, and the other way round."""
    x, y, x_spec, y_spec = saved
    (over_x, over_y), (batch_x, batch_y) = step.equation.params["dimension_numbers"]
    count = len(batch_x)
    free_x = len(x_spec.shape) - count - len(over_x)
    rank = bars[0].ndim
    after_x, after_y = range(count + free_x, rank), range(count, count + free_x)
    x_bar = y_bar = None
    if step.wanted[0]:
        x_bar = _product(bars[0], y, after_x, (over_y, batch_y), (over_x, batch_x), x_spec, step)
    if step.wanted[1]:
        y_bar = _product(bars[0], x, after_y, (over_x, batch_x), (over_y, batch_y), y_spec, step)
    return [x_bar, y_bar]


def _product(
    z_bar: Any, other: Any, over: range, theirs: Any, own: Any, spec: Spec, step: Step
) -> Any:
    """z_bar times the other factor over the axes that only the other has; axes then in place."""
    (over_other, batch_other), (over_own, batch_own) = theirs, own
    free_other = [k for k in range(other.ndim) if k not in (*over_other, *batch_other)]
    numbers = (
        (tuple(over), tuple(free_other)),
        (tuple(range(len(batch_other))), tuple(batch_other)),
    )
    # The axes that come out: the batch, those of the operand that stayed, those summed over.
    free_own = [k for k in range(len(spec.shape)) if k not in (*over_own, *batch_own)]
    remaining = [k for k in range(other.ndim) if k in over_other]
    summed = [over_own[list(over_other).index(k)] for k in remaining]
    order = [*batch_own, *free_own, *summed]
    found = lax.dot_general(
        z_bar,
        other,
        numbers,
        precision=step.equation.params["precision"],
        preferred_element_type=spec.dtype,
        out_sharding=with_axes(spec.sharding, order),
    )
    return lax.transpose(found, [order.index(k) for k in range(len(order))]).astype(spec.dtype)


dot_general = Rule(forward, backward)


BY_ROW = lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
"""Each row of x times the matrix of its group."""
BY_GROUP = lax.RaggedDotDimensionNumbers((((0,), (0,)), ((), ())), (0,), ())
"""For each group x^T y, summed over its rows."""


def _ragged_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    params = step.equation.params
    known = params["ragged_dot_dimension_numbers"] in (BY_ROW, BY_GROUP)
    if not known or params["group_offset"] is not None:
        raise refused(step.equation, "only the form of lax.ragged_dot and its transpose has a rule")
    return run_equation(step.equation, args), tuple(args)


def _ragged_backward(step: Step, saved: Any, bars: Values) -> list[Any]:
    """z = x w by groups: x_bar = z_bar w^T, w_bar = x^T z_bar; the other form likewise."""
    x, w, sizes = saved[:3]
    z_bar, params = bars[0], step.equation.params

    def product(one: Any, other: Any, numbers: Any, dtype: Any) -> Any:
        return lax.ragged_dot_general(
            one, other, sizes, numbers, params["precision"], preferred_element_type=dtype
        )

    if params["ragged_dot_dimension_numbers"] == BY_ROW:
        x_bar = product(z_bar, jnp.swapaxes(w, 1, 2), BY_ROW, x.dtype)
        w_bar = product(x, z_bar, BY_GROUP, w.dtype)
    else:
        x_bar = product(w, jnp.swapaxes(z_bar, 1, 2), BY_ROW, x.dtype)
        w_bar = product(x, z_bar, BY_ROW, w.dtype)
    return [x_bar, w_bar, *(None for _ in saved[2:])]


ragged_dot = Rule(_ragged_forward, _ragged_backward)
