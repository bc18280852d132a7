"""The power of the inputs: which planted mistakes they would have shown.

A mistake is planted into the right Jacobian of each case. Nothing is run again for it. One that
leaves all numbers as they are on every case could stand in the backward pass unseen.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from purebp.verification.cases import Case
from purebp.verification.diagnosis.views import equal
from purebp.verification.probe import Probe


class Mistake(NamedTuple):
    """What a wrong backward pass would do to an argument, and the Jacobian it would have then.

    `change(rows, shape)`: from the right one, outputs by entries of the argument.
    """

    argument: str
    text: str
    change: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]


def of_an_argument(name: str, shape: tuple[int, ...]) -> Iterator[Mistake]:
    """The mistakes that are planted into the cotangent of one argument."""
    yield Mistake(name, f"gives no gradient for {name}", lambda rows, _: 0 * rows)
    yield Mistake(name, f"has another sign for {name}", lambda rows, _: -rows)
    yield Mistake(name, f"is 0.9 times the right one for {name}", lambda rows, _: 0.9 * rows)
    yield Mistake(name, f"is twice the right one for {name}", lambda rows, _: 2 * rows)
    for axis in range(len(shape)):
        yield Mistake(
            name,
            f"divides {name}_bar by the size of axis {axis}",
            lambda rows, shape, axis=axis: rows / shape[axis] if axis < len(shape) else rows,
        )


def of_an_output(outputs: int) -> Iterator[Mistake]:
    """The mistakes that are planted into what comes from the outputs."""
    if outputs > 1:
        yield Mistake("", "reads the first number of y_bar only", lambda rows, _: _spread(rows))


def _spread(rows: np.ndarray) -> np.ndarray:
    changed = np.zeros_like(rows)
    changed[:1] = rows.sum(axis=0)
    return changed


class Power:
    """The planted mistakes, and which of them no case has shown yet."""

    def __init__(self) -> None:
        self.planted: dict[tuple[str, str], bool] = {}

    def look(self, probe: Probe, case: Case) -> None:
        """Plant every mistake into the right Jacobian of a case; keep what it shows."""
        if not probe.output:
            return
        if self.planted and all(self.planted.values()) and case != probe.first:
            return
        jacobian = probe.evidence(case).truth.jacobian
        if jacobian is None or not np.isfinite(jacobian).all():
            return
        layout = probe.layout
        names, shapes = layout.chosen(layout.names), layout.chosen(layout.shapes)
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        needed = np.split(~probe.constant, ends)
        for name, shape, rows, used in zip(
            names, shapes, np.split(jacobian, ends, axis=1), needed, strict=True
        ):
            for mistake in of_an_argument(name, shape) if used.any() or not used.size else ():
                self._plant(mistake, rows, shape)
        for mistake in of_an_output(len(jacobian)):
            self._plant(mistake, jacobian, ())

    def _plant(self, mistake: Mistake, rows: np.ndarray, shape: tuple[int, ...]) -> None:
        key = (mistake.argument, mistake.text)
        if not self.planted.get(key, False):
            self.planted[key] = not equal(mistake.change(rows, shape), rows)

    @property
    def unseen(self) -> tuple[str, ...]:
        """What a backward pass could do without being found out."""
        left: dict[str, list[str]] = {}
        for (argument, text), seen in self.planted.items():
            left.setdefault(argument, []).extend([] if seen else [text])
        whole = {name for name, texts in left.items() if name and len(texts) == self._count(name)}
        return tuple(
            text
            for name, texts in left.items()
            for text in ([f"is wrong about {name} in any way"] if name in whole else texts)
        )

    def _count(self, argument: str) -> int:
        return sum(name == argument for name, _ in self.planted)
