"""The character LSTM: a language model that reads one token after the other.

Its state, h and c of each LSTM, is carried from one piece of a text to the next and is not
differentiated: backpropagation through time, truncated at the pieces.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Integer

from purebp.errors import ArgumentError
from purebp.layers import affine, embedding, lstm
from purebp.models.blocks import check_sizes
from purebp.models.layer import Layer, Layers, Tree, Weight
from purebp.models.model import ROUNDING, Model
from purebp.op import FIXED, Op, index_below

FORGET = 1.0


class RecurrentModel(Model):
    """embedding - LSTM - ... - affine, with the interface of every Model.

    `fwd(params, tokens, state=None, key=None, *, train=False) -> ((logits, new_state), res)`,
    tokens (n, t) and logits (n, t, v); `state["lstm1"]` holds h and c, (n, hidden) each, and None
    is the same as zeros. `bwd(res, logits_bar) -> (params_bar, None, None, None)`.

    Example:
        >>> isinstance(char_lstm(32, 4, 8), RecurrentModel)
        True
    """

    hidden: int

    def __init__(self, vocabulary: int, width: int, hidden: int, depth: int) -> None:
        inputs = [width, *[hidden] * (depth - 1)]
        layers = [Layer("embedding", embedding, {"table": Weight((vocabulary, width), 1.0)})]
        layers += [Layer(f"lstm{i + 1}", lstm, _weights(d, hidden)) for i, d in enumerate(inputs)]
        out = {"w": Weight((hidden, vocabulary), hidden**-0.5), "b": Weight((vocabulary,))}
        layers.append(Layer("affine1", affine, out))
        object.__setattr__(self, "layers", tuple(layers))
        object.__setattr__(self, "input_shape", ())
        object.__setattr__(self, "hidden", hidden)

        def definition(
            params: Any,
            tokens: Integer[Array, "n t"],
            state: Any = None,
            key: Any = None,
            *,
            train: bool = False,
        ) -> tuple[Array, Tree]:
            state, new = self.first_state(params, tokens, state), Tree()
            x = embedding.define(tokens, params["embedding"]["table"])
            for name in state:
                x, h, c = lstm.define(x, **_arguments(params, state, name))
                new[name] = {"h": h, "c": c}
            return affine.define(x, **params["affine1"]), new

        def forward(params: Any, tokens: Array, state: Any, key: Any, *, train: bool) -> Any:
            state, new = self.first_state(params, tokens, state), Tree()
            x, first = embedding.fwd(tokens, params["embedding"]["table"])
            saved = [first]
            for name in state:
                (x, h, c), res = lstm.fwd(x, **_arguments(params, state, name))
                new[name] = {"h": h, "c": c}
                saved.append(res)
            logits, last = affine.fwd(x, **params["affine1"])
            return (logits, new), (*saved, last)

        def backward(res: Any, logits_bar: Array) -> tuple[Tree, None, None, None]:
            bars = Tree()
            first, *saved, last = res
            x_bar, w_bar, b_bar = affine.bwd(last, logits_bar)
            bars["affine1"] = {"w": w_bar, "b": b_bar}
            for index, each in reversed(list(enumerate(saved, start=1))):
                final_bars = map(_zeros, each.output[1][1:])
                y_bar = (x_bar, *final_bars)
                x_bar, _, _, w_x_bar, w_h_bar, b_bar, _ = lstm.bwd(each, y_bar)
                bars[f"lstm{index}"] = {"w_x": w_x_bar, "w_h": w_h_bar, "b": b_bar}
            bars["embedding"] = {"table": embedding.bwd(first, x_bar)[1]}
            return bars, None, None, None

        Op.__init__(
            self,
            forward,
            backward,
            definition,
            domains={"tokens": index_below("v"), "state": FIXED},
            check=self.check_arguments,
            tolerance=ROUNDING,
            has_aux=True,
            example=partial(_example, self),
            name="char_lstm",
            composed=True,
        )
        object.__setattr__(self, "__doc__", char_lstm.__doc__)

    def check_arguments(self, params: Any, x: Any, state: Any, key: Any, train: bool) -> None:
        """Raise for params or a state that do not fit the layers."""
        del x  # checked by its annotation
        Layers(self.name, self.layers).check(params, None, key, train)
        names = [layer.name for layer in self.layers if layer.op is lstm]
        if state is not None and (not isinstance(state, dict) or sorted(state) != sorted(names)):  # type: ignore[reportUnknownArgumentType]  # any tree may come
            raise ArgumentError(
                f"{self.name}: state is not that of {', '.join(names)}, expected what an earlier "
                "call gave, or None to begin with zeros"
            )

    def init(self, key: Array, *, dtype: Any = jnp.float32) -> Tree:
        """The first params; the bias of every forget gate is 1, so that c is kept at first."""
        params = super().init(key, dtype=dtype)
        for layer in self.layers:
            if layer.op is lstm:
                b = params[layer.name]["b"]
                params[layer.name]["b"] = b.at[self.hidden : 2 * self.hidden].set(FORGET)
        return params

    def init_state(self, *, dtype: Any = jnp.float32) -> Any:
        """None: the state depends on the number of texts, and is zeros at first."""
        del dtype
        return None

    def first_state(self, params: Any, tokens: Array, state: Any) -> Any:
        """The state, or zeros; no gradient passes it."""
        if state is not None:
            return lax.stop_gradient(state)
        zeros = jnp.zeros((tokens.shape[0], self.hidden), params["embedding"]["table"].dtype)
        names = [layer.name for layer in self.layers if layer.op is lstm]
        return {name: {"h": zeros, "c": zeros} for name in names}


def char_lstm(
    vocabulary: int = 256, width: int = 64, hidden: int = 256, *, depth: int = 1
) -> RecurrentModel:
    """A language model of LSTMs: for every token the logits of the one that comes next.

    Maths: x_t = table[token_t]; y of each LSTM is the x of the next; logits = y W + b. Backward,
        the same layers in reverse; the first states are not differentiated.
    Shapes: tokens (n, t); logits (n, t, vocabulary).
    Residuals: those of the layers.
    Kinks: none.
    Raises: DtypeError for tokens that are not integers; ArgumentError for other params or a state
        of other layers.
    Source: Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks"; CS231n,
        lecture 10.

    Example:
        >>> model = char_lstm(32, width=4, hidden=8)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.zeros((2, 5), int))
        >>> y.shape
        (2, 5, 32)
    """
    check_sizes("char_lstm", vocabulary=vocabulary, width=width, hidden=hidden, depth=depth)
    return RecurrentModel(vocabulary, width, hidden, depth)


def _weights(features: int, hidden: int) -> dict[str, Weight]:
    return {
        "w_x": Weight((features, 4 * hidden), features**-0.5),
        "w_h": Weight((hidden, 4 * hidden), hidden**-0.5),
        "b": Weight((4 * hidden,)),
    }


def _arguments(params: Any, state: Any, name: str) -> dict[str, Array]:
    return {"h0": state[name]["h"], "c0": state[name]["c"], **params[name]}


def _zeros(spec: Any) -> Array:
    return jnp.zeros(spec.shape, spec.dtype)


def _example(model: RecurrentModel, rng: np.random.Generator) -> tuple[Any, ...]:
    """Arguments for verification: no bias is 0, and a state that is carried on."""
    params = {
        layer.name: {
            name: jnp.asarray((w.spread or 0.3) * rng.normal(size=w.shape), jnp.float32)
            for name, w in layer.params.items()
        }
        for layer in model.layers
    }
    vocabulary = model.layers[0].params["table"].shape[0]
    tokens = jnp.asarray(rng.integers(vocabulary, size=(2, 3)), jnp.int32)
    state = {
        layer.name: {
            name: jnp.asarray(rng.uniform(-1, 1, (2, model.hidden)), jnp.float32) for name in "hc"
        }
        for layer in model.layers
        if layer.op is lstm
    }
    return params, tokens, state, jax.random.key(0)


OPS = (char_lstm(5, 3, 2, depth=2),)
