"""How windows step over axes: the options of the convolutions and pools made uniform."""

import operator
from typing import Literal, NamedTuple

from purebp.errors import OptionError, ShapeError

Numbers = int | tuple[int, ...]
Pair = int | tuple[int, int]
Sides = tuple[tuple[int, int], ...]
Padding = int | tuple[int, ...] | Sides | Literal["SAME", "VALID"]

EACH_OF = {1: "one of them in a tuple", 2: "two of them", 3: "three of them"}
LAYOUTS = {1: "(length,)", 2: "(rows, columns)", 3: "(depth, rows, columns)"}


class Steps(NamedTuple):
    """Windows along one axis: entry a of window i is the padded entry i stride + a dilation.

    `low` and `high` entries are added before and after the `size` entries of the axis.
    """

    size: int
    window: int
    stride: int
    low: int
    high: int
    dilation: int = 1

    @property
    def padded(self) -> int:
        """The number of entries with the padding."""
        return self.low + self.size + self.high

    @property
    def span(self) -> int:
        """The number of entries from the first to the last one of a window."""
        return (self.window - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        """The number of windows, (size - span + low + high) // stride + 1."""
        return (self.padded - self.span) // self.stride + 1

    @property
    def reach(self) -> int:
        """The number of entries from the first to the last start of a window."""
        return (self.outputs - 1) * self.stride + 1


Axes = tuple[Steps, ...]


def steps_over(
    op: str, sizes: tuple[int, int], window: tuple[int, int], stride: Pair, padding: Padding
) -> tuple[Steps, Steps]:
    """The windows along rows and columns; raises OptionError or ShapeError where there are none."""
    rows, columns = steps_along(op, sizes, window, stride, padding)
    return rows, columns


def steps_along(
    op: str,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    stride: Numbers,
    padding: Padding,
    dilation: Numbers = 1,
) -> Axes:
    """The windows along each axis; raises OptionError or ShapeError where there are none."""
    rank = len(sizes)
    strides = numbers(op, "stride", stride, rank, least=1)
    dilations = numbers(op, "dilation", dilation, rank, least=1)
    spans = tuple((w - 1) * d + 1 for w, d in zip(window, dilations, strict=True))
    sides = _sides(op, sizes, spans, strides, padding)
    axes = tuple(
        Steps(size, length, step, low, high, spread)
        for size, length, step, (low, high), spread in zip(
            sizes, window, strides, sides, dilations, strict=True
        )
    )
    if any(axis.span > axis.padded for axis in axes):
        most = tuple(axis.padded for axis in axes)
        spread = f" and spans {spans}" if spans != tuple(window) else ""
        raise ShapeError(
            f"{op}: the window is {_plain(window)}{spread}, expected at most {_plain(most)}, "
            f"the size of x with its padding; raise padding (now {padding!r})"
        )
    return axes


def _plain(values: tuple[int, ...]) -> str:
    return str(values[0] if len(values) == 1 else values)


def pair(op: str, option: str, value: object, *, least: int) -> tuple[int, int]:
    """(rows, columns) from one integer for both or from a pair of integers."""
    rows, columns = numbers(op, option, value, 2, least=least)
    return rows, columns


def numbers(op: str, option: str, value: object, rank: int, *, least: int) -> tuple[int, ...]:
    """One integer for each axis, from one for all of them or from a tuple."""
    found = _integers(value if isinstance(value, tuple) else (value,) * rank)
    if found is None or len(found) != rank or min(found) < least:
        raise OptionError(
            f"{op}: {option} is {value!r}, expected an integer of at least {least}, or "
            f"{EACH_OF[rank]}"
        )
    return found


def _sides(
    op: str,
    sizes: tuple[int, ...],
    spans: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding,
) -> Sides:
    if padding == "VALID":
        return ((0, 0),) * len(sizes)
    if padding == "SAME":
        return tuple(map(_same, sizes, spans, strides))
    return sides_of(op, padding, len(sizes), ", 'SAME' or 'VALID'")


def sides_of(op: str, padding: Padding, rank: int, names: str = "") -> Sides:
    """(low, high) for each axis, out of numbers."""
    if isinstance(padding, tuple) and len(padding) == rank:
        found = [_integers(p if isinstance(p, tuple) else (p, p)) for p in padding]
    else:
        found = [_integers((padding, padding))] * rank
    sides = [side for side in found if side and len(side) == 2 and min(side) >= 0]
    if len(sides) < rank:
        each = ", ".join(["(low, high)"] * rank) + ("," if rank == 1 else "")
        name = "a pair " if rank == 2 else ""
        before = ", " if names else " or "
        raise OptionError(
            f"{op}: padding is {padding!r}, expected an integer of at least 0, "
            f"{name}{LAYOUTS[rank]}{before}({each}){names}"
        )
    return tuple((low, high) for low, high in sides)


def _same(size: int, span: int, stride: int) -> tuple[int, int]:
    """The least padding with ceil(size / stride) outputs; an odd entry goes to the high side."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + span - size, 0)
    return total // 2, total - total // 2


def _integers(values: tuple[object, ...]) -> tuple[int, ...] | None:
    try:
        return tuple(operator.index(value) for value in values)  # type: ignore[arg-type]
    except TypeError:
        return None
