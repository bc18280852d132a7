"""Layer: one line of the list that a model is written as."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array

from purebp.errors import ArgumentError, ShapeError
from purebp.op import Op

Tree = dict[str, dict[str, Array]]
MOMENTUM = 0.9


class Weight(NamedTuple):
    """An array of a layer, before any values: `centre` plus normal numbers times `spread`.

    Example:
        >>> Weight((3, 2), spread=0.1)
        Weight(shape=(3, 2), spread=0.1, centre=0.0)
    """

    shape: tuple[int, ...]
    spread: float = 0.0
    centre: float = 0.0

    @property
    def normals(self) -> int:
        """How many normal numbers the first value takes."""
        return math.prod(self.shape) if self.spread else 0

    def first(self, normals: Array) -> Array:
        """The first value, out of that many normal numbers."""
        if not self.spread:
            return jnp.full(self.shape, self.centre, normals.dtype)
        return self.centre + self.spread * normals.reshape(self.shape)


class Layer(NamedTuple):
    """One layer of a model.

    The op's first argument is the value that is carried. Its other arguments go by name: `key` is
    a PRNG key, the names in `state` are running statistics, those in `shares` belong to another
    layer, all others are in `params`.

    Args:
        name: as in `params`, in error messages and in tables of gradient norms.
        op: the op in training.
        params: the learned arguments of the op, by name.
        state: running averages of what the op gives as aux in training, by name.
        evaluation: the op in evaluation, where it is another one.
        shares: arguments that are params of another layer: (its name, the param's name).

    Example:
        >>> from purebp.layers import affine
        >>> params = {"w": Weight((3, 2), spread=0.1), "b": Weight((2,))}
        >>> Layer("affine", affine, params).params["w"].shape
        (3, 2)
    """

    name: str
    op: Op
    params: Mapping[str, Weight] = {}
    state: Mapping[str, Weight] = {}
    evaluation: Op | None = None
    shares: Mapping[str, tuple[str, str]] = {}

    def runs(self, train: bool) -> Op:
        """The op that runs in training, or in evaluation."""
        return self.op if train or self.evaluation is None else self.evaluation

    def arguments(self, train: bool) -> tuple[str, ...]:
        """The names of the op's arguments besides the value that is carried."""
        return tuple(parameter.name for parameter in self.runs(train).signature.parameters[1:])


class Layers(NamedTuple):
    """The layers of one model: how params, state and key become their arguments, and back."""

    model: str
    layers: tuple[Layer, ...]

    def draw(self, key: Array, dtype: Any) -> Tree:
        """The first params, cut out of one long vector of normal numbers."""
        counts = [w.normals for weights in self.weights().values() for w in weights.values()]
        cuts = list(itertools.accumulate(counts))[:-1]
        parts = iter(jnp.split(jax.random.normal(key, (sum(counts),), dtype), cuts))
        return {
            layer: {name: w.first(next(parts)) for name, w in weights.items()}
            for layer, weights in self.weights().items()
        }

    def fresh_state(self, dtype: Any) -> Tree:
        """The first running statistics."""
        return {
            name: {each: jnp.full(w.shape, w.centre, dtype) for each, w in weights.items()}
            for name, weights in self.states().items()
        }

    def extras(self, params: Any, state: Any, key: Any, train: bool) -> list[tuple[Any, ...]]:
        """For each layer the arguments besides the value that is carried."""
        every = list[tuple[Any, ...]]()
        for index, layer in enumerate(self.layers):
            known = {**params.get(layer.name, {}), **state.get(layer.name, {})}
            names = layer.arguments(train)
            known |= {name: params[owner][weight] for name, (owner, weight) in layer.shares.items()}
            if "key" in names:
                known["key"] = jax.random.fold_in(key, index)
            every.append(tuple(known.get(name) for name in names))  # None: no bias
        return every

    def params_bar(self, extras_bar: Sequence[tuple[Any, ...]], train: bool) -> Tree:
        """The cotangents of the params, out of those of every layer's arguments.

        A param that several layers share gets the sum of theirs.
        """
        every: Tree = {}
        shared = list[tuple[str, str, Array]]()
        for layer, bars in zip(self.layers, extras_bar, strict=True):
            named = dict(zip(layer.arguments(train), bars, strict=True))
            if layer.params:
                every[layer.name] = {name: named[name] for name in layer.params}
            shared += [(*place, named[name]) for name, place in layer.shares.items()]
        for owner, weight, bar in shared:
            every[owner][weight] = every[owner][weight] + bar
        return every

    def new_state(self, state: Tree, aux: Sequence[Any]) -> Tree:
        """The running statistics after a step of training."""
        new: Tree = {}
        for layer, seen in zip(self.layers, aux, strict=True):
            if layer.state:
                old = state[layer.name]
                new[layer.name] = {name: _average(old[name], getattr(seen, name)) for name in old}
        return new

    def weights(self) -> dict[str, Mapping[str, Weight]]:
        """What `params` must hold."""
        return {layer.name: layer.params for layer in self.layers if layer.params}

    def states(self) -> dict[str, Mapping[str, Weight]]:
        """What `state` must hold."""
        return {layer.name: layer.state for layer in self.layers if layer.state}

    def check(self, params: Any, state: Any, key: Any, train: bool) -> None:
        """Raise for what does not fit the layers."""
        _check_tree(self.model, "params", "init(key)", params, self.weights())
        if state is not None:
            _check_tree(self.model, "state", "init_state()", state, self.states())
        elif not train and self.states():
            raise ArgumentError(
                f"{self.model}: state is None, expected the running statistics: in evaluation "
                "pass the state that training gave, or that of init_state()"
            )
        drawing = [layer.name for layer in self.layers if "key" in layer.arguments(train)]
        if key is None and drawing:
            raise ArgumentError(
                f"{self.model}: key is None, expected a PRNG key: {drawing[0]} draws its mask in "
                "training; pass key=jax.random.key(0), or train=False"
            )


def _average(old: Array, seen: Array) -> Array:
    return (MOMENTUM * old + (1 - MOMENTUM) * seen).astype(old.dtype)


def _check_tree(
    model: str, argument: str, maker: str, came: Any, table: Mapping[str, Mapping[str, Weight]]
) -> None:
    _check_names(model, argument, maker, came, list(table))
    for layer, weights in table.items():
        place = f"{argument}[{layer!r}]"
        _check_names(model, place, maker, came[layer], list(weights))
        for name, weight in weights.items():
            shape = jnp.shape(came[layer][name])
            if shape != weight.shape:
                raise ShapeError(
                    f"{model}: {place}[{name!r}] has shape {shape}, expected {weight.shape}"
                )


def _check_names(model: str, place: str, maker: str, came: Any, names: list[str]) -> None:
    made = f"as made by {model}.{maker}"
    if not isinstance(came, Mapping):
        raise ArgumentError(f"{model}: {place} is a {type(came).__name__}, expected a dict {made}")
    has = set(cast(Mapping[str, Any], came))
    missing = [name for name in names if name not in has]
    unknown = sorted(map(str, has - set(names)))
    if missing or unknown:
        wrong = f"has no {missing[0]!r}" if missing else f"has an unknown {unknown[0]!r}"
        wanted = ", ".join(names) or "nothing"
        raise ArgumentError(f"{model}: {place} {wrong}, expected {wanted} {made}")
