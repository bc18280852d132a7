"""Cotangents of a loop's constants are sums over its steps: what of them is done after the loop.

A product of two things that both change from step to step, x_t^T g_t, is one product over all the
steps, after the loop: no step adds to an array of its size. What is linear in such products alone
(a transpose, a slice) waits with them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jax import lax
from jax.extend.core import Literal

from purebp.autodiff.split import bytes_of, evaluate, variables_of

LINEAR = {
    *("reshape", "squeeze", "transpose", "broadcast_in_dim", "slice", "split", "reduce_sum"),
    *("neg", "add", "sub", "add_any", "copy", "rev"),
}
"""Primitives whose outputs, summed over the steps, are those of the summed operands."""


class Sums(NamedTuple):
    """The equations of a backward body: those of each step, and those after the loop.

    `factors`: the operands of the products, of which all steps are kept; `late`: what is known
    after the loop only.
    """

    within: list[Any]
    products: list[Any]
    after: list[Any]
    factors: list[Any]
    late: set[Any]

    def wait_for(self, variable: Any) -> bool:
        """Whether something is known after the loop only."""
        return _is_in(self.late, variable)

    def totals(self, stacked: Mapping[Any, Any], wanted: Sequence[Any]) -> list[Any]:
        """Late variables, from the factors of all steps."""
        found = dict[Any, Any]()
        for equation in self.products:
            x, y = (stacked[v] for v in equation.invars)
            found[equation.outvars[0]] = _over_all_steps(equation.params, x, y)
        return evaluate(self.after, found, wanted)


def sums_of(
    equations: Sequence[Any],
    summed: Iterable[Any],
    others: Iterable[Any],
    stacked: set[Any],
    moving: set[Any],
) -> Sums:
    """Which equations of a backward body can wait until after the loop.

    `summed` are the cotangents of constants, `others` what else a step hands on. `stacked` is what
    there is an array of all steps of anyway; `moving` are the other inputs that change.
    """
    moving = moving | stacked | {v for equation in equations for v in equation.outvars}
    kinds = {id(equation): _kind(equation, moving, stacked) for equation in equations}
    late, before = set[Any](), dict[int, str]()
    while kinds != before:
        before = dict(kinds)
        within, waited_for = _variables(others), _variables(summed)
        for equation in reversed(equations):
            is_early = any(v in within for v in equation.outvars)
            if is_early or not any(v in waited_for for v in equation.outvars):
                kinds[id(equation)] = ""
            waits = kinds[id(equation)] == "after"
            (waited_for if waits else within).update(variables_of(equation))
        late.clear()
        for equation in equations:
            if kinds[id(equation)] == "after" and not all(_is_in(late, v) for v in equation.invars):
                kinds[id(equation)] = ""
            late.update(equation.outvars if kinds[id(equation)] else ())
    chosen = [[e for e in equations if kinds[id(e)] == kind] for kind in ("", "product", "after")]
    factors = dict.fromkeys(v for equation in chosen[1] for v in equation.invars)
    return Sums(chosen[0], chosen[1], chosen[2], list(factors), late)


def _kind(equation: Any, moving: set[Any], stacked: set[Any]) -> str:
    """A product is worth its while where its factors are smaller than what it would be added to."""
    if equation.primitive.name in LINEAR:
        return "after"
    if equation.primitive.name != "dot_general" or not all(
        _is_in(moving, v) for v in equation.invars
    ):
        return ""
    new = {v for v in equation.invars if v not in stacked}
    return "product" if sum(map(bytes_of, new)) < bytes_of(equation.outvars[0]) else ""


def _is_in(variables: set[Any], operand: Any) -> bool:
    return not isinstance(operand, Literal) and operand in variables


def _variables(operands: Iterable[Any]) -> set[Any]:
    return {v for v in operands if v is not None and not isinstance(v, Literal)}


def _over_all_steps(params: Mapping[str, Any], x: Any, y: Any) -> Any:
    """A product that is summed over the first axis of both factors, too."""
    over, batch = params["dimension_numbers"]
    over_x, over_y = ((0, *(k + 1 for k in axes)) for axes in over)
    batch_x, batch_y = (tuple(k + 1 for k in axes) for axes in batch)
    return lax.dot_general(
        x,
        y,
        ((over_x, over_y), (batch_x, batch_y)),
        precision=params["precision"],
        preferred_element_type=params["preferred_element_type"],
        out_sharding=params.get("out_sharding"),
    )
