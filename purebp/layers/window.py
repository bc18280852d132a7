"""How windows step over images: the options of conv2d, max_pool and avg_pool made uniform."""

import operator
from typing import Literal, NamedTuple

from purebp.errors import OptionError, ShapeError

Pair = int | tuple[int, int]
Sides = tuple[tuple[int, int], tuple[int, int]]
Padding = int | tuple[int, int] | Sides | Literal["SAME", "VALID"]


class Steps(NamedTuple):
    """Windows along one axis: output i covers the padded entries i stride ... i stride + window-1.

    `low` and `high` entries are added before and after the `size` entries of the axis.
    """

    size: int
    window: int
    stride: int
    low: int
    high: int

    @property
    def padded(self) -> int:
        """The number of entries with the padding."""
        return self.low + self.size + self.high

    @property
    def outputs(self) -> int:
        """The number of windows, (size - window + low + high) // stride + 1."""
        return (self.padded - self.window) // self.stride + 1

    @property
    def reach(self) -> int:
        """The number of entries from the first to the last start of a window."""
        return (self.outputs - 1) * self.stride + 1


def steps_over(
    op: str, sizes: tuple[int, int], window: tuple[int, int], stride: Pair, padding: Padding
) -> tuple[Steps, Steps]:
    """The windows along rows and columns; raises OptionError or ShapeError where there are none."""
    strides = pair(op, "stride", stride, least=1)
    sides = _sides(op, sizes, window, strides, padding)
    rows, columns = (
        Steps(size, length, step, low, high)
        for size, length, step, (low, high) in zip(sizes, window, strides, sides, strict=True)
    )
    if rows.window > rows.padded or columns.window > columns.padded:
        raise ShapeError(
            f"{op}: the window is {window}, expected at most {(rows.padded, columns.padded)}, "
            f"the size of x with its padding; raise padding (now {padding!r})"
        )
    return rows, columns


def pair(op: str, option: str, value: object, *, least: int) -> tuple[int, int]:
    """(rows, columns) from one integer for both or from a pair of integers."""
    found = _integers(value if isinstance(value, tuple) else (value, value))
    if found is None or len(found) != 2 or min(found) < least:
        raise OptionError(
            f"{op}: {option} is {value!r}, expected an integer of at least {least}, or two of them"
        )
    return found[0], found[1]


def _sides(
    op: str,
    sizes: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
) -> Sides:
    if padding == "VALID":
        return (0, 0), (0, 0)
    if padding == "SAME":
        rows, columns = map(_same, sizes, window, stride)
        return rows, columns
    expected = (
        "an integer of at least 0, a pair (rows, columns), ((low, high), (low, high)), "
        "'SAME' or 'VALID'"
    )
    if isinstance(padding, tuple) and len(padding) == 2:
        found = [_integers(p if isinstance(p, tuple) else (p, p)) for p in padding]
    else:
        found = [_integers((padding, padding))] * 2
    sides = [side for side in found if side and len(side) == 2 and min(side) >= 0]
    if len(sides) < 2:
        raise OptionError(f"{op}: padding is {padding!r}, expected {expected}")
    return (sides[0][0], sides[0][1]), (sides[1][0], sides[1][1])


def _same(size: int, window: int, stride: int) -> tuple[int, int]:
    """The least padding with ceil(size / stride) outputs; an odd entry goes to the high side."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _integers(values: tuple[object, ...]) -> tuple[int, ...] | None:
    try:
        return tuple(operator.index(value) for value in values)  # type: ignore[arg-type]
    except TypeError:
        return None
