"""An object of NumPy code with `forward(x)` and `backward(dout)`, which keeps its own cache.

Its parameters are its arrays: those whose gradient lies beside them after a backward pass, as
`layer.dW` beside `layer.W`, `layer.grads["W"]` beside `layer.params["W"]`, `layer.grads[0]` beside
`layer.params[0]`, or `layer.W.grad` beside `layer.W.data`. They are arguments of the pair as x is.
"""

import copy
import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from purebp.errors import CotangentError, PurebpError, TargetError, first_line
from purebp.verification.numpy_pair import NumpyPair, own
from purebp.verification.targets.pairs import from_numpy
from purebp.verification.targets.slots import (
    Slot,
    arrays_of,
    code_of,
    get_at,
    has_at,
    partners_of,
    set_at,
)
from purebp.verification.targets.view import Function, Target

METHODS = (
    ("forward", "backward"),
    ("forward_pass", "backward_pass"),
    ("forward_propagation", "backward_propagation"),
)
RATES = ("lr", "rate", "eta", "alpha", "step")
"""Words in the name of a learning rate."""


def methods_of(target: Any) -> tuple[str, str] | None:
    """The names of the two methods of a layer, or of a class of layers."""
    for names in METHODS:
        if all(callable(getattr(target, name, None)) for name in names):
            return names
    return None


def is_instance(target: Any) -> bool:
    """Whether a target is an object with the two methods, and no class."""
    return not isinstance(target, type) and methods_of(target) is not None


class LayerPair(NamedTuple):
    """A layer as `forward(*inputs, *parameters, **options)` and `backward(dout, cache)`.

    `slots`, `parameters`: its arrays that have gradients. `silent`: the inputs for which backward
    returns none, as the labels of a loss. `without`: its arrays that have none.
    """

    forward: Function
    backward: Function
    slots: tuple[Slot, ...]
    parameters: tuple[np.ndarray, ...]
    silent: tuple[str, ...]
    without: tuple[str, ...]


class InstancePair(NumpyPair):
    """The two functions of a layer; its first `count` arguments are those of the method."""

    def __init__(self, layer: Any, pair: LayerPair, count: int) -> None:
        super().__init__(pair.forward, pair.backward)
        names = [parameter.name for parameter in self.signature.parameters]
        self.silent = frozenset(map(names.index, pair.silent))
        self.layer, self.slots, self.count = layer, pair.slots, count

    def as_code(self, name: str, names: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
        """Lines that call the methods of a layer that is written so, and set `bars`."""
        layer, methods = self.layer, methods_of(self.layer)
        assert methods is not None
        lines, name = [f"layer = {name}"], "layer"
        lines += [f"{name}.{key} = {value!r}" for key, value in settings.items()]
        ends = list[str]()
        for slot, argument in zip(self.slots, names[self.count :], strict=True):
            array, gradient = (
                code_of(layer, name, p) for p in (slot.path, slot.gradient or slot.path)
            )
            lines.append(f"{array} = np.array({argument})")
            if has_at(layer, slot.gradient):
                lines.append(f"{gradient} = 0 * {array}")
            ends.append(f"np.array({argument}) - {array}" if slot.updated else gradient)
        method = getattr(layer, methods[1])
        dout = "np.array(y_bar)" if _positional(method) else ""
        rate = ", 1.0" if _takes_rate(method) else ""
        inputs = ", ".join(f"np.array({argument})" for argument in names[: self.count])
        scale = "" if dout else "y_bar * "
        return [
            *lines,
            "np.random.seed(0)",
            f"out = {name}.{methods[0]}({inputs})",
            f"grads = {name}.{methods[1]}({dout}{rate})",
            "several = grads if isinstance(grads, tuple | list) else (grads,)",
            f"bars = [{scale}grad for grad in several if grad is not None]",
            *([f"bars += [{', '.join(ends)}]"] if ends else []),
        ]


def from_instance(
    layer: Any,
    reference: Function | None,
    static: Mapping[str, tuple[Any, ...]],
    examples: tuple[Any, ...],
) -> tuple[Target, tuple[Any, ...]]:
    """The target, and the example with the parameters of the layer after its inputs."""
    name = type(layer).__name__
    if not examples:
        raise TargetError(f"{name}: give example arguments: what its forward takes")
    unknown = [option for option in static if not hasattr(layer, option)]
    if unknown:
        raise TargetError(f"{name}: has no attribute {unknown[0]!r}, which static names")
    pair = layer_pair(layer, examples, {key: values[0] for key, values in static.items()})
    made = from_numpy(InstancePair(layer, pair, len(examples)), reference, static)
    others = tuple(key for key, value in vars(layer).items() if _is_option(value))
    made = dataclasses.replace(
        made,
        name=name,
        source=layer,
        undifferentiated=frozenset(pair.silent),
        unexplored=tuple(key for key in others if key not in static),
        without_gradient=(*pair.silent, *pair.without),
    )
    return made, (*examples, *pair.parameters)


def _is_option(value: Any) -> bool:
    """Whether an attribute may change what a layer does."""
    return isinstance(value, bool | int | float | str)


def layer_pair(layer: Any, examples: tuple[Any, ...], options: Mapping[str, Any]) -> LayerPair:
    """The two methods of a layer as functions; each forward runs on a copy of the layer."""
    names = methods_of(layer)
    if names is None:
        known = ", ".join(" and ".join(pair) for pair in METHODS)
        raise TargetError(f"{type(layer).__name__} lacks methods, expected {known}")
    found = _explore(layer, names, examples)
    count = len(examples)

    def forward(*args: Any, **settings: Any) -> Any:
        copied = copy.deepcopy(layer)
        for key, value in settings.items():
            setattr(copied, key, value)
        for slot, value in zip(found.slots, args[count:], strict=True):
            set_at(copied, slot.path, value)
            if has_at(copied, slot.gradient):
                set_at(copied, slot.gradient, np.zeros_like(value))
        return _run_forward(copied, names, args[:count]), copied

    def backward(dout: Any, cache: Any) -> Any:
        return _run_backward(copy.deepcopy(cache), names, dout, found.slots, count)

    inputs = _input_names(getattr(layer, names[0]), count)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    every = [*inputs, *(slot.name for slot in found.slots)]
    parameters = [inspect.Parameter(name, kind) for name in every]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
        for name, value in options.items()
    ]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[reportFunctionMemberAccess]  # read by whoever asks for it
    backward.__wrapped__ = getattr(type(layer), names[1])  # type: ignore[reportFunctionMemberAccess]  # where its line is
    forward.__name__ = f"{type(layer).__name__}_forward"
    backward.__name__ = f"{type(layer).__name__}_backward"
    arrays = tuple(np.array(get_at(layer, slot.path)) for slot in found.slots)
    silent = tuple(inputs[place] for place in found.silent)
    return LayerPair(forward, backward, found.slots, arrays, silent, found.without)


def _run_forward(layer: Any, names: tuple[str, str], inputs: tuple[Any, ...]) -> Any:
    """The output of a layer, which now has its cache; always under the same random numbers."""
    state = np.random.get_state()  # noqa: NPY002 - what such layers draw from
    np.random.seed(0)  # noqa: NPY002
    try:
        return getattr(layer, names[0])(*inputs)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _run_backward(
    layer: Any, names: tuple[str, str], dout: Any, slots: Sequence[Slot], count: int
) -> list[Any]:
    """The gradients of the inputs, `None` where there is none, and those of the parameters."""
    before = [np.array(get_at(layer, slot.path)) for slot in slots]
    grads = _pulled(layer, names[1], dout)
    several = list[Any](grads) if isinstance(grads, tuple | list) else [grads]
    if len(several) > count:
        raise CotangentError(
            f"{type(layer).__name__}.{names[1]} returned {len(several)} gradients, expected at "
            f"most {count}, one for each input"
        )
    several += [None] * (count - len(several))
    return [*several, *(_gradient(layer, *pair) for pair in zip(slots, before, strict=True))]


def _pulled(layer: Any, name: str, dout: Any) -> Any:
    """What a backward method returns, however it is called."""
    method = getattr(layer, name)
    if _takes_rate(method):
        return method(dout, 1.0)
    if _positional(method):
        return method(dout)
    if np.size(dout) != 1:
        raise CotangentError(
            f"{type(layer).__name__}.{name} takes no upstream gradient, and the output has shape "
            f"{np.shape(dout)}; expected {name}(dout), or a loss"
        )
    return jax.tree.map(lambda grad: np.asarray(grad) * np.sum(dout), method())


def _gradient(layer: Any, slot: Slot, before: np.ndarray) -> Any:
    if slot.updated:
        return before - np.asarray(get_at(layer, slot.path))
    return get_at(layer, slot.gradient)


class _Found(NamedTuple):
    """The parameters of a layer, the places of inputs and names of arrays without a gradient."""

    slots: tuple[Slot, ...]
    silent: tuple[int, ...]
    without: tuple[str, ...]


def _explore(layer: Any, names: tuple[str, str], examples: tuple[Any, ...]) -> _Found:
    """Run a layer once, and look where its gradients lie."""
    layer = copy.deepcopy(layer)
    rate = _takes_rate(getattr(layer, names[1]))
    before = {path: np.array(array) for path, array in arrays_of(layer)}
    try:
        out = _run_forward(layer, names, tuple(map(own, examples)))
        dout = jax.tree.map(lambda y: np.ones_like(y, np.float64), out)
        grads = _run_backward(layer, names, dout, (), len(examples))
    except PurebpError:
        raise
    except Exception as error:
        raise TargetError(
            f"{type(layer).__name__}: its methods do not run on the example: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    after = dict(arrays_of(layer))
    slots, without = list[Slot](), list[str]()
    for path, array in before.items():
        partner = next((p for p in partners_of(path) if p in after), None)
        if partner is not None:
            slots.append(Slot(path, partner))
        elif rate and not np.array_equal(after.get(path, array), array, equal_nan=True):
            slots.append(Slot(path, (), updated=True))
        elif not any(path in partners_of(other) for other in before):
            without.append(Slot(path, ()).name)
    silent = tuple(
        place
        for place, (x, grad) in enumerate(zip(examples, grads, strict=True))
        if grad is None and np.asarray(x).dtype.kind == "f"
    )
    return _Found(tuple(slots), silent, tuple(without))


def _positional(method: Function) -> list[str]:
    """The names of the positional parameters of a method."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(method).parameters.values() if p.kind in kinds]


def required(function: Any) -> list[str]:
    """The names of the arguments that a function, or a class, does not go without."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds and p.default is p.empty]


def _takes_rate(method: Function) -> bool:
    """Whether a backward method changes the parameters itself, by a learning rate."""
    names = _positional(method)
    return len(names) == 2 and any(word in RATES for word in names[1].lower().split("_"))


def _input_names(method: Function, count: int) -> list[str]:
    names = _positional(method)
    names += [f"input{place}" for place in range(len(names), count)]
    return names[:count]
