"""A function or module that contains hand-written rules: the reference is the one without them."""

import dataclasses
import enum
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax

from purebp.errors import CotangentError, TargetError, first_line
from purebp.signature import Parameter, read_hints, read_signature
from purebp.verification.given import given_of
from purebp.verification.options import alternatives, guess_options
from purebp.verification.rules import Call, Rule, open_rules, rules_of
from purebp.verification.targets.parts import Parts, is_module, linen_module, parts_of
from purebp.verification.targets.view import Function, Target


class _Called(NamedTuple):
    """What is called: `plain` has its signature, without the arguments named in `leading`."""

    name: str
    source: Any
    function: Function
    plain: Function
    leading: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        try:
            return [*self.leading, *(p.name for p in read_signature(self.plain).parameters)]
        except (TypeError, ValueError):  # a function that is not written in Python
            return [*self.leading]


def from_function(
    target: Any,
    reference: Function | None,
    static: Mapping[str, tuple[Any, ...]],
    examples: tuple[Any, ...],
) -> tuple[Target, tuple[Any, ...]]:
    """The target, and its example arguments as trees of arrays."""
    called = _called(target)
    if is_module(target):
        examples = (target, *examples)
    if not examples:
        raise TargetError(
            f"{called.name}: its hand-written rules are not known yet; give example arguments: "
            "verify(function, *args)"
        )
    names = called.names
    fixed = {
        names[place]: place
        for place, value in enumerate(examples)
        if isinstance(value, bool | str | enum.Enum) and place < len(names)
    }
    made = _made(called, fixed, reference, static, examples)
    whole = {names[k]: k for k, x in enumerate(examples) if type(x) is int and k < len(names)}
    problem = _problem(made)
    if problem and whole:  # an integer that is not an array: a power, a shape, an axis
        made = _made(called, {**fixed, **whole}, reference, static, examples)
        problem = _problem(made) and problem
    if problem:
        raise TargetError(f"{called.name}: its function does not run: {problem}")
    settings, trees = made.first
    rules = rules_of(partial(made.forward, settings), *trees)
    if not rules and reference is None:
        raise TargetError(
            f"{called.name}: contains no hand-written rule (jax.custom_vjp or jax.custom_jvp) on "
            "these arguments: jax.grad of it is autodiff all the way, there is nothing to verify"
        )
    return dataclasses.replace(made.target, rules=rules), trees


class _Made(NamedTuple):
    """A target, the function behind it, and what it is first called with."""

    target: Target
    forward: Function
    first: tuple[dict[str, Any], tuple[Any, ...]]


def _made(
    called: _Called,
    fixed: Mapping[str, int],
    reference: Function | None,
    static: Mapping[str, tuple[Any, ...]],
    examples: tuple[Any, ...],
) -> _Made:
    parts = [parts_of(x) for k, x in enumerate(examples) if k not in fixed.values()]
    forward = _arranged(called.function, fixed, parts)
    plain = None if reference is None else _arranged(reference, fixed, parts)
    hints = read_hints(called.plain)
    passed = {
        name: (examples[place], *alternatives(examples[place], hints.get(name)))
        for name, place in fixed.items()
    }
    tried = guess_options(called.plain).given({**passed, **static})

    def define(settings: Mapping[str, Any], *trees: Any) -> Any:
        if plain is not None:
            return plain(settings, *trees)
        return open_rules(partial(forward, settings))(*trees)

    target = Target(
        name=called.name,
        source=called.source,
        forward=forward,
        pull=_pull_of(forward),
        reference=define,
        reference_name="the function with its rules opened"
        if reference is None
        else "the given reference",
        parameters=tuple(Parameter(n, (), False) for n in called.names if n not in fixed),
        options=tried.values,
        unexplored=tried.unexplored,
        alone=partial(_alone, forward),
    )
    first = {key: values[0] for key, values in tried.values.items()}
    return _Made(target, forward, (first, tuple(part.tree for part in parts)))


def _alone(forward: Function, target: Target, rule: Rule | None) -> Target:
    """The target with all rules opened but one, or all."""
    others = [other for other in target.rules if other != rule]

    def only(settings: Mapping[str, Any], *trees: Any) -> Any:
        return open_rules(partial(forward, settings), others)(*trees)

    return dataclasses.replace(target, forward=only, pull=_pull_of(only))


def from_call(name: str, call: Call, parameters: tuple[Parameter, ...]) -> Target:
    """One rule by itself, with the values that reached it as its example."""

    def forward(settings: Mapping[str, Any], *args: Any) -> Any:
        return call(*args)

    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        return open_rules(call)(*args)

    return Target(
        name=name,
        source=call,
        forward=forward,
        pull=_pull_of(forward),
        reference=define,
        reference_name="its body",
        parameters=parameters,
        options={},
        given=given_of(tuple(call.values)),
    )


def _called(target: Any) -> _Called:
    module = linen_module(target)
    if module is not None:
        return _Called(type(module).__name__, module, module.apply, module.__call__, ("variables",))
    if is_module(target):
        return _Called(type(target).__name__, target, _call, target.__call__, ("module",))
    name = getattr(inspect.unwrap(target), "__name__", type(target).__name__)
    return _Called(name, target, target, target)


def _call(module: Any, *args: Any, **named: Any) -> Any:
    return module(*args, **named)


def _arranged(function: Function, fixed: Mapping[str, int], parts: list[Parts]) -> Function:
    """`function` of settings and trees of arrays."""
    in_order = sorted(fixed.items(), key=lambda item: item[1])

    def forward(settings: Mapping[str, Any], *trees: Any) -> Any:
        given = [part.whole(tree) for part, tree in zip(parts, trees, strict=True)]
        for name, place in in_order:
            given.insert(place, settings[name])
        named = {key: value for key, value in settings.items() if key not in fixed}
        return function(*given, **named)

    return forward


def _pull_of(forward: Function) -> Callable[..., Any]:
    def pull(settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> Any:
        function = partial(forward, settings)
        try:
            return _pulled(function, args, y_bar)
        except Exception as error:
            rule = _which_raises(function, args, y_bar)
            if rule is None:
                raise
            raise CotangentError(f"the rule of {rule} does not run: {_in_a_line(error)}") from error

    return pull


def _pulled(function: Function, args: tuple[Any, ...], y_bar: Any) -> tuple[Any, Any]:
    y, pullback = jax.vjp(function, *args)
    return y, pullback(y_bar)


def _which_raises(function: Function, args: tuple[Any, ...], y_bar: Any) -> Rule | None:
    """The first rule that raises alone, with the others opened."""
    rules = rules_of(function, *args)
    for rule in rules:
        alone = open_rules(function, [other for other in rules if other != rule])
        try:
            jax.eval_shape(partial(_pulled, alone), args, y_bar)
        except Exception:  # noqa: BLE001 - whatever a rule raises
            return rule
    return None


def _problem(made: _Made) -> str:
    """Why the function does not run on the example; empty if it does."""
    settings, trees = made.first
    try:
        jax.eval_shape(partial(made.forward, settings), *trees)
    except Exception as error:  # noqa: BLE001 - whatever somebody's function raises is the answer
        return _in_a_line(error)
    return ""


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
