"""The run-time type checker that the tests put on purebp: shapes and dtypes of arrays.

Only functions with an array in their annotations are checked. Of the others, some take wrong
arguments on purpose and answer with purebp's own errors, which beartype would forestall.
"""

import typing
from collections.abc import Callable
from typing import Any

from beartype import beartype
from jaxtyping import AbstractArray


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let beartype check `function` where its annotations name an array."""
    annotations = function.__annotations__.values()
    return beartype(function) if any(map(names_array, annotations)) else function


def names_array(annotation: Any) -> bool:
    """Whether an annotation such as `tuple[Float[Array, "n"], int] | None` names an array."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(map(names_array, typing.get_args(annotation)))
