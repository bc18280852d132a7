"""The rule of `dot_general`, the product of which all others are special cases."""

from typing import Any

from jax import lax

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
