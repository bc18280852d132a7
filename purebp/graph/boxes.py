"""Which gates belong together: by the calls, loops and functions that they were made in.

A call of `jax.jit`, a step of a loop, a branch and a checkpoint are boxes by themselves. A Python
function leaves no mark in a program but its name in the traceback of each equation: equations
that follow each other, and came from one function called at one place, are one box. It ends where
the first place in that function comes up again after it has gone on: then it was called again.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from purebp.autodiff.straight import Call
from purebp.autodiff.straight import Node as Step
from purebp.compat import frames_of_equation
from purebp.errors import file_name
from purebp.graph.node import Box

NAMELESS = ("<lambda>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<module>")
PLUMBING = (
    "flax/linen/module.py",
    "flax/core/",
    "flax/nnx/transforms/",
    "equinox/_",
    "functools.py",
)
"""Where libraries call what their users wrote; such functions are no boxes."""


class Function(NamedTuple):
    """A Python function that was running: where it was called, and where it is now."""

    name: str
    line: str
    called_at: tuple[Any, ...]
    now_at: tuple[Any, ...]


@dataclass
class _Open:
    """A box that is being filled, and the first and the last place that was reached in it."""

    level: Function | Call
    box: Box
    first: Any
    last: Any


def boxes_of(steps: Sequence[Step]) -> list[tuple[Box, ...]]:
    """For each gate the boxes that it is in, the outermost first."""
    found, opened, numbers = list[tuple[Box, ...]](), list[_Open](), itertools.count()
    for step in steps:
        levels = _levels(step)
        opened = _still_open(opened, levels)
        for level in levels[len(opened) :]:
            line = level.line if isinstance(level, Function) else ""
            box = Box(_shown(level.name), line, next(numbers))
            opened.append(_Open(level, box, _place(level), _place(level)))
        for each, level in zip(opened, levels, strict=True):
            each.last = _place(level)
        found.append(tuple(each.box for each in opened))
    return found


def _shown(name: str) -> str:
    """A name without what says nothing: `make.<locals>.block`, `Dense.__call__`, `_var`."""
    return name.rpartition("<locals>.")[2].removesuffix(".__call__").lstrip("_")


def _still_open(opened: list[_Open], levels: Sequence[Function | Call]) -> list[_Open]:
    """The boxes that the next gate is in too."""
    for depth, (each, level) in enumerate(zip(opened, levels, strict=False)):
        if not _same(each.level, level):
            return opened[:depth]
        if _place(level) == each.first != each.last:
            return opened[:depth]
    return opened[: len(levels)]


def _same(one: Function | Call, other: Function | Call) -> bool:
    if isinstance(one, Function) and isinstance(other, Function):
        return one.called_at == other.called_at
    return one is other


def _place(level: Function | Call) -> Any:
    """Where a function is; a call begins but once."""
    return level.now_at if isinstance(level, Function) else None


def _levels(step: Step) -> list[Function | Call]:
    """The functions and calls that a gate is in; the outermost function is the graph itself."""
    levels, equations = list[Function | Call](), set[int]()
    for call in step.calls:
        if id(call.equation) not in equations:  # a loop and its steps are calls of one equation
            levels += _functions(call.equation)
        equations.add(id(call.equation))
        levels.append(call)
    return [*levels, *_functions(step.equation)]


def _functions(equation: Any) -> list[Function]:
    """The user's functions between the innermost call, which is a box itself, and an equation."""
    found, way = list[Function](), tuple[Any, ...]()
    for depth, frame in enumerate(frames_of_equation(equation)):
        called, way = way, (*way, (frame.file, frame.function, frame.at))
        nameless = frame.function.endswith(NAMELESS) or any(p in frame.file for p in PLUMBING)
        if depth and not nameless:
            line = f"{file_name(frame.file)}:{frame.line}"
            place = (*called, frame.file, frame.function)
            found.append(Function(frame.function, line, place, way))
    return found
