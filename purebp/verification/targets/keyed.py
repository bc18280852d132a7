"""Layers that draw random numbers: the key that is handed to them by its name."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax

from purebp.compat import custom_rule_body, is_custom_rule
from purebp.errors import TargetError


def with_key(target: Any, examples: tuple[Any, ...], key: jax.Array) -> tuple[Any, tuple[Any, ...]]:
    """The target and its example arguments with the key in the place of the parameter `key`."""
    pair = isinstance(target, tuple)
    function: Any = target[0] if pair else target  # type: ignore[reportUnknownVariableType]  # anything may come
    plain = custom_rule_body(function) if is_custom_rule(function) else function
    parameters = inspect.signature(plain).parameters
    if "key" not in parameters:
        has = ", ".join(parameters) or "none"
        name = getattr(plain, "__name__", "the layer")
        raise TargetError(
            f"{name} has no argument named key (its arguments: {has}): leave key= out"
        )
    if parameters["key"].kind is inspect.Parameter.KEYWORD_ONLY:
        filled = tuple(_keyed(each, key) for each in target) if pair else _keyed(target, key)
        return filled, examples
    place = list(parameters).index("key")
    return target, (*examples[:place], key, *examples[place:])


def _keyed(function: Callable[..., Any], key: jax.Array) -> Callable[..., Any]:
    """The function with its keyword-only argument `key` filled in, if it has one."""
    signature = inspect.signature(function)
    if "key" not in signature.parameters:
        return function

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        return function(*args, key=key, **options)

    left = [parameter for name, parameter in signature.parameters.items() if name != "key"]
    call.__signature__ = signature.replace(parameters=left)  # type: ignore[reportAttributeAccessIssue]  # functions take attributes
    return call
