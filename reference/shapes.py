"""Small helpers about shapes: broadcasting, axes, windows and padding."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Index = tuple[int, ...]
Axis = int | tuple[int, ...] | None
Pair = int | tuple[int, int]
Numbers = int | tuple[int, ...]
Padding = int | tuple[int, ...] | tuple[tuple[int, int], ...] | Literal["SAME", "VALID"]


def float64(x: ArrayLike) -> Array:
    """x as a float64 array, or one of complex128 where it is complex."""
    dtype: Any = np.complex128 if np.iscomplexobj(x) else np.float64
    return np.asarray(x, dtype=dtype)


def cotangent_of(x: Array, x_bar: Array) -> Array:
    """The gradient as its argument takes it: without an imaginary part where x has none."""
    return x_bar if np.iscomplexobj(x) else x_bar.real


def source_index(index: Index, shape: Index) -> Index:
    """The entry of an array of this shape that broadcasting reads for the output entry `index`.

    Shapes line up at their last axes; an axis of size 1 is read at 0 again and again.
    """
    own = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else i for i, size in zip(own, shape, strict=True))


def reduced_axes(axis: Axis, rank: int) -> Index:
    """The axes to reduce, counted from 0: None means all of them, -1 means the last one."""
    if axis is None:
        return tuple(range(rank))
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(a + rank if a < 0 else a for a in axes)


def reduced_index(index: Index, axes: Index) -> Index:
    """Where the entry `index` lands in the result that keeps each reduced axis with size 1."""
    return tuple(0 if a in axes else i for a, i in enumerate(index))


def pair(value: Pair) -> tuple[int, int]:
    """(rows, columns) from one number for both or from a pair."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


class Windows(NamedTuple):
    """How windows of size `window` step over one axis of `size` entries.

    Output position i and window position a read the entry i * stride + a * dilation - low; an entry
    below 0 or from `size` on is padding.
    """

    size: int
    window: int
    stride: int
    low: int
    outputs: int
    dilation: int = 1

    def entry(self, i: int, a: int) -> int | None:
        """The input entry under window position a of output i, None where that is padding."""
        position = i * self.stride + a * self.dilation - self.low
        return position if 0 <= position < self.size else None


def windows_along(
    size: int, window: int, stride: int, padding: str | tuple[int, int], dilation: int = 1
) -> Windows:
    """Number of outputs (size - span + low + high) // stride + 1, never below 0.

    The span of a window is (window - 1) * dilation + 1. "VALID" pads nothing. "SAME" gives
    ceil(size / stride) outputs with the least padding that allows it; an odd entry of padding goes
    to the high side (the rule of XLA).
    """
    span = (window - 1) * dilation + 1
    if not isinstance(padding, str):
        low, high = padding
    elif padding == "VALID":
        low, high = 0, 0
    elif padding == "SAME":
        outputs = -(-size // stride)
        total = max((outputs - 1) * stride + span - size, 0)
        low, high = total // 2, total - total // 2
    else:
        raise ValueError(f'padding is {padding!r}, expected "SAME", "VALID" or numbers')
    outputs = max((size - span + low + high) // stride + 1, 0)
    return Windows(size, window, stride, low, outputs, dilation)


def numbers(value: Numbers, rank: int) -> tuple[int, ...]:
    """One number for each axis, from one for all of them or from a tuple."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


def windows_over(
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    stride: Numbers,
    padding: Padding,
    dilation: Numbers = 1,
) -> tuple[Windows, ...]:
    """Windows along each axis. Padding: p; one p for each axis; (lo, hi) for each; a name."""
    rank = len(sizes)
    if isinstance(padding, str):
        sides = (padding,) * rank
    elif isinstance(padding, int):
        sides = ((padding, padding),) * rank
    else:
        sides = tuple((p, p) if isinstance(p, int) else (p[0], p[1]) for p in padding)
    along = zip(sizes, window, numbers(stride, rank), sides, numbers(dilation, rank), strict=True)
    return tuple(windows_along(*each) for each in along)
