"""A function with a derivative rule of its own: jax.custom_vjp, jax.custom_jvp."""

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax

from purebp.compat import custom_rule_body, fixed_arguments
from purebp.signature import read_signature
from purebp.verification.options import guess_options
from purebp.verification.targets.view import Function, Target


def from_rule(
    target: Any, reference: Function | None, static: Mapping[str, tuple[Any, ...]]
) -> Target:
    """A function with a derivative rule of its own, jax.custom_vjp or jax.custom_jvp."""
    plain = custom_rule_body(target)
    body = reference or plain
    signature = read_signature(plain)
    tried = guess_options(plain).given(static)
    fixed = {signature.parameters[place].name: place for place in fixed_arguments(target)}

    def arranged(settings: Mapping[str, Any], args: tuple[Any, ...]) -> tuple[list[Any], Any]:
        """The arguments with the settings that are passed by position in their places."""
        given = list(args)
        for name, place in sorted(fixed.items(), key=lambda item: item[1]):
            given.insert(place, settings[name])
        return given, {key: value for key, value in settings.items() if key not in fixed}

    def forward(settings: Mapping[str, Any], *args: Any) -> Any:
        given, named = arranged(settings, args)
        return target(*given, **named)

    def pull(settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> Any:
        y, pullback = jax.vjp(partial(forward, settings), *args)
        return y, pullback(y_bar)

    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        given, named = arranged(settings, args)
        return body(*given, **named)

    return Target(
        name=getattr(target, "__name__", "custom rule"),
        source=target,
        forward=forward,
        pull=pull,
        reference=define,
        reference_name="the undecorated body" if reference is None else "the given reference",
        parameters=tuple(p for p in signature.parameters if p.name not in fixed),
        options=tried.values,
        unexplored=tried.unexplored,
    )


def without_fixed(target: Any, examples: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
    """The example's arrays, and what it has for the arguments that have no derivative."""
    places = fixed_arguments(target)
    parameters = list(inspect.signature(custom_rule_body(target)).parameters.values())
    arrays = tuple(arg for place, arg in enumerate(examples) if place not in places)
    fixed = {
        parameters[k].name: examples[k] if k < len(examples) else parameters[k].default
        for k in places
    }
    return arrays, {key: x for key, x in fixed.items() if x is not inspect.Parameter.empty}
