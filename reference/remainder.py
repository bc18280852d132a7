"""The remainder and its backward pass."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from reference.backward_gates import each_pair_backward
from reference.gates import each_pair


def rem_slopes(x: float, y: float) -> tuple[float, float]:
    """d(x - q y) = dx - q dy."""
    return 1.0, -float(math.trunc((x - math.fmod(x, y)) / y + math.copysign(0.5, x * y)))


DEFINITIONS: dict[str, Callable[..., Any]] = {
    "rem": partial(each_pair, math.fmod),
}
BACKWARD: dict[str, Callable[..., Any]] = {
    "rem": partial(each_pair_backward, rem_slopes),
}
