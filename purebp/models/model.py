"""Model: a whole network, written as the list of its layers, some with a shortcut around them.

A model is an op of (params, x, state, key). Its backward pass is nothing but the backward passes
of its layers in reverse: both passes are those of `purebp.chain`.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Integer

from purebp.errors import ArgumentError, ShapeError
from purebp.models.layer import Layer, Layers, Tree, Weight
from purebp.models.residual import Part, flatten, flatten_aux, leaves, nest, one_chain
from purebp.op import FIXED, Op, conditioned

ROUNDING = conditioned(
    "the values of a hidden layer are rounded before the next layer multiplies them", pooled=True
)


class Model(Op):
    """A network. `model.fwd`, `model.bwd` are explicit; `model(...)` works under `jax.grad`.

    `init(key) -> params`, a dict with an entry for each layer that learns: `params["conv1"]["w"]`.
    `init_state() -> state`, the running statistics of the norm layers, `{}` without any.
    `fwd(params, x, state=None, key=None, *, train=False) -> ((y, new_state), res)`.
    `bwd(res, y_bar) -> (params_bar, x_bar, None, None)`.

    In training the running statistics move by `new = 0.9 old + 0.1 batch`, with the biased
    variance that the layer itself divides by. They are not differentiated. Each dropout layer
    folds its place in the list of layers into `key`.

    `tokens`: x is (n, t), integers, with t up to `input_shape[0]`; then x_bar is None.

    Example:
        >>> from purebp.models import two_layer_net
        >>> model = two_layer_net(4, 8, 3)
        >>> params = model.init(jax.random.key(0))
        >>> (y, state), res = model.fwd(params, jnp.ones((2, 4)))
        >>> params_bar, x_bar, *_ = model.bwd(res, jnp.ones_like(y))
        >>> y.shape, x_bar.shape
        ((2, 3), (2, 4))
    """

    parts: tuple[Part, ...]
    layers: tuple[Layer, ...]
    input_shape: tuple[int, ...]
    tokens: bool

    def __init__(
        self,
        name: str,
        parts: Sequence[Part],
        input_shape: tuple[int, ...],
        *,
        tokens: bool = False,
        doc: str | None = None,
    ) -> None:
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "layers", leaves(parts))
        object.__setattr__(self, "input_shape", tuple(input_shape))
        object.__setattr__(self, "tokens", tokens)
        net = Layers(name, self.layers)
        chains = {mode: one_chain(name, parts, mode) for mode in MODES}

        def split(out: Any, state: Tree, train: bool) -> tuple[Any, Tree]:
            if not chains[train].has_aux:
                return out, state
            y, aux = out
            return y, net.new_state(state, flatten_aux(parts, aux))

        def extras(params: Any, state: Tree, key: Any, train: bool) -> tuple[Any, ...]:
            return nest(parts, iter(net.extras(params, state, key, train)))

        kind: Any = Integer[Array, "n t"] if tokens else Float[Array, "n *features"]

        def definition(
            params: Any,
            x: kind,  # type: ignore[reportInvalidTypeForm]  # annotations are read at run time
            state: Any = None,
            key: Any = None,
            *,
            train: bool = False,
        ) -> tuple[Any, Any]:
            state = lax.stop_gradient(net.fresh_state(None) if state is None else state)
            out = chains[train].define(x, extras(params, state, key, train))
            return split(out, state, train)

        def forward(params: Any, x: Array, state: Any, key: Any, *, train: bool) -> Any:
            state = lax.stop_gradient(net.fresh_state(None) if state is None else state)
            out, res = chains[train].fwd(x, extras(params, state, key, train))
            return split(out, state, train), res

        def backward(res: Any, y_bar: Array, *, train: bool) -> tuple[Any, Any, None, None]:
            x_bar, extras_bar = chains[train].bwd(res, y_bar)
            return net.params_bar(flatten(parts, extras_bar), train), x_bar, None, None

        changes = any(layer.runs(True) is not layer.runs(False) for layer in self.layers)
        super().__init__(
            forward,
            backward,
            definition,
            options={"train": MODES} if changes else {},
            domains={"state": FIXED},
            check=self.check_arguments,
            tolerance=ROUNDING,
            has_aux=True,
            example=partial(_example, self),
            name=name,
            composed=True,
        )
        object.__setattr__(self, "__doc__", doc or Model.__doc__)

    def __repr__(self) -> str:
        return f"<Model {self.name}: {' '.join(layer.name for layer in self.layers)}>"

    def check_arguments(self, params: Any, x: Any, state: Any, key: Any, train: bool) -> None:
        """Raise for arguments that do not fit the layers."""
        if self.tokens:
            if x.shape[1] > self.input_shape[0]:
                raise ShapeError(
                    f"{self.name}: x has shape {x.shape}, expected at most {self.input_shape[0]} "
                    "tokens in a row"
                )
        elif x.shape[1:] != self.input_shape:
            wanted = ", ".join(["n", *map(str, self.input_shape)])
            raise ShapeError(f"{self.name}: x has shape {x.shape}, expected ({wanted})")
        Layers(self.name, self.layers).check(params, state, key, train)

    def init(self, key: Array, *, dtype: Any = jnp.float32) -> Tree:
        """The first params, from an explicit key."""
        if not isinstance(key, jax.Array):
            raise ArgumentError(
                f"{self.name}.init: key is a {type(key).__name__}, expected a PRNG key; "
                "make one with jax.random.key(0)"
            )
        return jax.jit(partial(Layers(self.name, self.layers).draw, dtype=dtype))(key)

    def init_state(self, *, dtype: Any = jnp.float32) -> Tree:
        """The first running statistics: mean 0 and variance 1."""
        return Layers(self.name, self.layers).fresh_state(dtype)


MODES = (False, True)


def _example(model: Model, rng: np.random.Generator, *, batch: int = 4) -> tuple[Any, ...]:
    """Arguments for verification: no bias is 0 and no scale is 1, so that each one matters."""
    net = Layers(model.name, model.layers)
    params, state = near_first(rng, net.weights()), near_first(rng, net.states())
    if model.tokens:
        vocabulary = model.layers[0].params["table"].shape[0]
        x = jnp.asarray(rng.integers(vocabulary, size=(2, *model.input_shape)), jnp.int32)
    else:
        x = jnp.asarray(rng.normal(size=(batch, *model.input_shape)), jnp.float32)
    return params, x, state, jax.random.key(int(rng.integers(2**31)))


def near_first(rng: np.random.Generator, table: Mapping[str, Mapping[str, Weight]]) -> Tree:
    """Values like the first ones, but none at its centre. No program is compiled for them."""
    return {
        layer: {
            name: jnp.asarray(
                w.centre + (w.spread * rng.normal(size=w.shape) if w.spread else _shift(rng, w)),
                jnp.float32,
            )
            for name, w in weights.items()
        }
        for layer, weights in table.items()
    }


def _shift(rng: np.random.Generator, weight: Weight) -> np.ndarray:
    return rng.uniform(0.1, 0.5, weight.shape)
