"""Values to try for the options of somebody's layer, from annotations and defaults."""

import enum
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from purebp.signature import read_hints

PLAIN = (bool, int, str, tuple, enum.Enum, type(None))
TINY = 1e-2
"""A default below this is an epsilon: a large one shows where it belongs."""


class Options(NamedTuple):
    """Values for each option, its default first; and the options that nobody can guess."""

    values: Mapping[str, tuple[Any, ...]]
    unexplored: tuple[str, ...]

    def given(self, static: Mapping[str, tuple[Any, ...]]) -> "Options":
        """With the values that somebody named."""
        left = tuple(name for name in self.unexplored if name not in static)
        return Options({**self.values, **static}, left)


def guess_options(function: Callable[..., Any], after: int | None = None) -> Options:
    """What the options of a function may be, from their annotations and defaults.

    They are keyword-only, or stand behind the first `after` arguments, with a default.
    """
    hints = read_hints(function)
    values, unexplored = dict[str, tuple[Any, ...]](), list[str]()
    for place, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        late = after is not None and place >= after
        kinds = (parameter.KEYWORD_ONLY, *((parameter.POSITIONAL_OR_KEYWORD,) if late else ()))
        if parameter.kind not in kinds or parameter.default is parameter.empty:
            continue
        guessed = alternatives(parameter.default, hints.get(name))
        if guessed:
            values[name] = (parameter.default, *guessed)
        else:
            unexplored.append(name)
    return Options(values, tuple(unexplored))


def split_options(
    function: Callable[..., Any], examples: tuple[Any, ...]
) -> tuple[tuple[Any, ...], dict[str, tuple[Any, ...]]]:
    """The examples that are arrays, and the options after them that were given by position.

    An option has a default, and a number, word, truth value or tuple of Python in its place.
    """
    parameters = list(inspect.signature(function).parameters.values())
    hints = read_hints(function)
    first = len(examples)
    for place in reversed(range(min(len(examples), len(parameters)))):
        parameter = parameters[place]
        if parameter.default is parameter.empty or not isinstance(examples[place], PLAIN):
            break
        first = place
    passed = {
        parameter.name: (value, *alternatives(value, hints.get(parameter.name)))
        for parameter, value in zip(parameters[first:], examples[first:], strict=False)
    }
    return (examples[:first], passed) if passed else (examples, {})


def listed(value: Any) -> tuple[Any, ...]:
    """The values that somebody names for an option: one, a list, or some that a strategy draws."""
    if type(value).__module__.startswith("hypothesis."):
        from purebp.verification.strategies import drawn  # noqa: PLC0415 - Hypothesis takes long to import

        return drawn(value)
    return tuple(value) if isinstance(value, list) else (value,)  # type: ignore[reportUnknownArgumentType]  # of any values


def alternatives(default: Any, hint: Any = None) -> tuple[Any, ...]:
    """Other values of an option; nothing where none is safe."""
    for kind in _members(hint):
        if typing.get_origin(kind) is Literal:
            return _others(default, typing.get_args(kind))
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return _others(default, tuple(kind))
    if isinstance(default, enum.Enum):
        return _others(default, tuple(type(default)))
    if default is None:
        kinds = _members(hint)
        return (1, 2) if int in kinds else (0.3,) if float in kinds else ()
    if isinstance(default, bool):
        return (not default,)
    if isinstance(default, int):
        return _others(default, (default + 1, default - 1, 2, 3, 0, -1))[:4]
    if isinstance(default, float):
        return _other_floats(default)
    if isinstance(default, tuple) and default and all(type(n) is int for n in default):  # type: ignore[reportUnknownVariableType]  # any tuple may come
        return _other_tuples(default)  # type: ignore[reportUnknownArgumentType]  # of integers, as just seen
    return ()


def _members(hint: Any) -> tuple[Any, ...]:
    """The kinds that an annotation allows."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _others(default: Any, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value for value in values if value != default))


def _other_floats(default: float) -> tuple[float, ...]:
    if not np.isfinite(default):
        return (1.0,)
    if default == 0:
        return (0.3,)
    if abs(default) < TINY:
        return (0.1,)
    return (0.6 * default, 0.25 * default)


def _other_tuples(default: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """One entry moved at a time, and all different."""
    moved = [
        (*default[:place], default[place] + step, *default[place + 1 :])
        for place in range(len(default))
        for step in (1, -1)
    ]
    spread = tuple(n + place for place, n in enumerate(default))
    return _others(default, (spread, *moved))[:4]
