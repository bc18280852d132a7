"""Classes of layers with methods forward and backward: how to make one, and what to hand it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from purebp.errors import PurebpError, TargetError
from purebp.verification.homework.call import Call
from purebp.verification.homework.known import calls_named
from purebp.verification.targets.instance import layer_pair, methods_of, required

ROWS, INPUTS, OUTPUTS = 5, 4, 3
"""Sizes of a layer that is made with two numbers."""


def layer_and_inputs(
    cls: type, name: str, examples: tuple[Any, ...]
) -> tuple[Any, tuple[Any, ...]] | None:
    """A layer that runs, and its inputs; `None` where nobody can guess how one is made.

    `examples` may have the layer first; else it is made without arguments, or with ordinary ones.
    """
    if examples and isinstance(examples[0], cls):
        return examples[0], examples[1:]
    return next((each for each in _guesses(cls, name, examples) if _runs(*each)), None)


def _guesses(
    cls: type, name: str, examples: tuple[Any, ...]
) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    calls = calls_named(name)
    for given in _constructions(cls, calls):
        try:
            layer = cls(*(np.array(x) if isinstance(x, np.ndarray) else x for x in given))
        except Exception:  # noqa: BLE001 - made for other arguments
            continue
        for inputs in [examples] if examples else _inputs(layer, calls):
            yield layer, inputs


def _constructions(cls: type, calls: tuple[Call, ...]) -> Iterator[tuple[Any, ...]]:
    """Arguments that a class may be made with."""
    needed = required(cls)
    if not needed:
        yield ()
    if len(needed) == 2:
        yield INPUTS, OUTPUTS
    if len(needed) == 1:
        yield (INPUTS,)
    for call in calls:
        arrays = dict(zip(map(str.lower, call.names), call.example(), strict=True))
        if needed and all(word.lower() in arrays for word in needed):
            yield tuple(arrays[word.lower()] for word in needed)


def _inputs(layer: Any, calls: tuple[Call, ...]) -> Iterator[tuple[Any, ...]]:
    """Ordinary arguments of its forward: those of layers of this name, or a matrix."""
    names = methods_of(layer)
    assert names is not None
    count = len(required(getattr(layer, names[0])))
    for call in calls:
        if len(call.args) >= count:
            yield call.example()[:count]
    if count == 1:
        yield (np.random.default_rng(0).standard_normal((ROWS, INPUTS)),)


def _runs(layer: Any, inputs: tuple[Any, ...]) -> bool:
    try:
        layer_pair(layer, inputs, {})
    except PurebpError as error:
        return not isinstance(error, TargetError)
    return True
