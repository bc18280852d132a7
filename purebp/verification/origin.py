"""Where somebody's functions stand: the line of the backward pass, and how to import a name."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from purebp.compat import custom_rule, custom_rule_body, is_custom_rule
from purebp.errors import named
from purebp.op import Op
from purebp.verification.target import Target


class Import(NamedTuple):
    """`from module import name`, with a folder on the path."""

    folder: str
    module: str
    name: str


def backward_of(target: Target) -> Callable[..., Any] | None:
    """The function that holds the hand-written derivative."""
    source = target.source
    if target.numpy is not None:
        return target.numpy.backward
    if isinstance(source, Op):
        return source.backward
    return custom_rule(source) if is_custom_rule(source) else None


def line_of(function: Callable[..., Any] | None) -> str:
    """`my_bwd (layers.py:41)`; empty where it is not known."""
    plain = inspect.unwrap(_inner(function)) if function is not None else None
    if not inspect.isfunction(plain):
        return ""
    return named(plain)


def import_of(value: Any, function: Callable[..., Any]) -> Import | None:
    """How to import a value that stands in the file of a function; `None` if it has no name there.

    Values made inside of another function have none, nor has what was typed into a prompt.
    """
    plain = inspect.unwrap(_inner(function))
    names: dict[str, Any] = getattr(plain, "__globals__", {})
    name = next((key for key, other in names.items() if other is value), None)
    file = names.get("__file__")
    if name is None or file is None or not Path(file).is_file():
        return None
    path, package = Path(file).resolve(), names.get("__package__") or ""
    depth = len(package.split(".")) if package else 0
    folder = path.parents[depth]
    parts = path.relative_to(folder).with_suffix("").parts
    return Import(str(folder), ".".join(parts).removesuffix(".__init__"), name)


def _inner(function: Any) -> Any:
    """The function under a partial or a custom rule."""
    while True:
        if is_custom_rule(function):
            function = custom_rule_body(function)
        elif hasattr(function, "func"):
            function = function.func
        else:
            return function
