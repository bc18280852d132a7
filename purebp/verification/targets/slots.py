"""Where the arrays of a layer that is an object lie, and where their gradients do."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

AROUND = ("d{}", "d_{}", "grad_{}", "{}_grad", "g{}", "grad{}", "{}_gradient", "{}_bar", "delta_{}")
"""What the gradient of an array of some name is called."""
CONTAINERS = {
    "params": ("grads", "gradients", "dparams"),
    "parameters": ("grads", "gradients"),
    "weights": ("grads", "gradients", "dweights"),
}
"""What the gradients of arrays in a dictionary or a list of some name lie in."""
VALUES = ("data", "value")
Path = tuple[Any, ...]
"""Attributes, keys and indices."""


class Slot(NamedTuple):
    """An array of a layer: where it lies, and where its gradient does (empty: nowhere).

    `updated`: the backward pass takes a learning rate and changes the array itself.
    """

    path: Path
    gradient: Path
    updated: bool = False

    @property
    def name(self) -> str:
        """The name of the parameter."""
        *first, last = self.path
        if isinstance(last, str) and (not first or first[0] in CONTAINERS):
            return last
        return str(first[0]) if last in VALUES else f"{first[0]}_{last}"


def code_of(layer: Any, name: str, path: Path) -> str:
    """How to write a place in a layer of a name, as in `layer.params["W"]`."""
    first, *others = path
    if not others:
        return f"{name}.{first}"
    inside = isinstance(getattr(layer, first, {}), dict | list)
    return f"{name}.{first}[{others[0]!r}]" if inside else f"{name}.{first}.{others[0]}"


def arrays_of(layer: Any) -> Iterator[tuple[Path, np.ndarray]]:
    """The floating arrays of a layer, in its attributes or one step below."""
    for name, value in vars(layer).items():
        if _is_floating(value):
            yield (name,), value
            continue
        for key, inner in _inside(value):
            if _is_floating(inner):
                yield (name, key), inner


def _inside(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()  # type: ignore[reportUnknownVariableType]  # any layer may come
    elif isinstance(value, list):
        yield from enumerate(value)  # type: ignore[reportUnknownArgumentType]  # as above
    elif hasattr(value, "__dict__") and not callable(value):
        yield from vars(value).items()


def _is_floating(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def partners_of(path: Path) -> Iterator[Path]:
    """Where the gradient of an array may lie."""
    *first, last = path
    if not first:
        yield from ((pattern.format(last),) for pattern in AROUND)
        yield from ((place, key) for place in ("grads", "gradients") for key in (last, f"d{last}"))
    elif last in VALUES:
        yield (*first, "grad")
        yield (*first, "gradient")
    else:
        around = [pattern.format(last) for pattern in AROUND] if isinstance(last, str) else []
        for place in CONTAINERS.get(str(first[0]), ()):
            yield from ((place, key) for key in (last, *around))
        yield from ((key,) for key in around)


def has_at(layer: Any, path: Path) -> bool:
    """Whether a layer has something at a place."""
    try:
        return bool(path) and get_at(layer, path) is not None
    except (AttributeError, LookupError):
        return False


def get_at(layer: Any, path: Path) -> Any:
    """What a layer has at a place."""
    for part in path:
        layer = layer[part] if isinstance(layer, dict | list) else getattr(layer, part)  # type: ignore[reportUnknownVariableType]  # any layer may come
    return layer  # type: ignore[reportUnknownVariableType]  # as above


def set_at(layer: Any, path: Path, value: Any) -> None:
    """Put an array in a place of a layer."""
    *first, last = path
    holder = get_at(layer, tuple(first))
    if isinstance(holder, dict | list):
        holder[last] = value
    else:
        setattr(holder, last, value)
