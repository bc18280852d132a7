"""The rule of `cond` and `switch`: back through the branch that was taken.

The branches leave their residuals in common slots, by type.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from jax import lax

from purebp.autodiff.rule import Rule, Step, Values, arrived
from purebp.autodiff.split import Split, split
from purebp.compat import in_place, sharding_of, varying_axes, zeros_of


class Slot(NamedTuple):
    """A type: shape, dtype, the axes of the mesh over which it varies, explicit sharding."""

    shape: tuple[int, ...]
    dtype: Any
    vma: frozenset[str]
    sharding: Any


class Taken(NamedTuple):
    """What a switch leaves behind: which branch, its operands, and the slots."""

    branches: list[Split]
    slots: list[Slot]
    index: Any
    operands: Values
    values: list[Any]


def _forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    index, *operands = args
    wanted, arriving = step.wanted[1:], step.arriving
    free = [True] * len(operands)
    branches = [
        split(branch, wanted, arriving, step.rules, free)
        for branch in step.equation.params["branches"]
    ]
    slots = _slots(branches)
    outs = lax.switch(index, [partial(_run, b, slots) for b in branches], *operands)
    first, rest = list(outs[: len(arriving)]), list(outs[len(arriving) :])
    return first, Taken(branches, slots, index, operands, rest)


def _run(branch: Split, slots: list[Slot], *operands: Any) -> list[Any]:
    outs, residuals = branch.run(operands)
    filled = [zeros_of(slot) for slot in slots]
    for place, value in zip(_places(branch, slots), residuals, strict=True):
        filled[place] = value
    return [*outs, *filled]


def _backward(step: Step, taken: Taken, bars: Values) -> Values:
    arriving, branches = arrived(step, bars), taken.branches
    somewhere = [
        any(branch.bars_of_inputs[k] is not None for branch in branches)
        for k in range(len(taken.operands))
    ]
    pulls = [partial(_pull, branch, taken.slots, somewhere) for branch in branches]
    found = iter(lax.switch(taken.index, pulls, taken.operands, taken.values, arriving))
    return [None, *(next(found) if use else None for use in somewhere)]


def _pull(
    branch: Split,
    slots: list[Slot],
    somewhere: list[bool],
    operands: Values,
    slot_values: list[Any],
    bars: list[Any],
) -> list[Any]:
    kept = [slot_values[place] for place in _places(branch, slots)]
    found = iter(branch.pull(dict(zip(branch.inputs, operands, strict=True)), kept, bars))
    every = [
        zeros_of(v.aval) if bar is None else in_place(v.aval, next(found))
        for v, bar in zip(branch.inputs, branch.bars_of_inputs, strict=True)
    ]
    return [bar for bar, use in zip(every, somewhere, strict=True) if use]


def _slots(branches: Sequence[Split]) -> list[Slot]:
    """As many of each kind as the branch needs that needs most."""
    most = Counter[Slot]()
    for branch in branches:
        most |= Counter(map(_slot_of, branch.residuals))
    return list(most.elements())


def _slot_of(variable: Any) -> Slot:
    aval = variable.aval
    return Slot(tuple(aval.shape), aval.dtype, varying_axes(aval), sharding_of(aval))


def _places(branch: Split, slots: list[Slot]) -> list[int]:
    """The slot of each residual of a branch."""
    free = list(enumerate(slots))
    places = list[int]()
    for variable in branch.residuals:
        found = next(pair for pair in free if pair[1] == _slot_of(variable))
        free.remove(found)
        places.append(found[0])
    return places


switch = Rule(_forward, _backward)
