"""Training of language models: streams of text, hand-written gradients, a state carried on."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from purebp.errors import DivergenceError
from purebp.losses import softmax_cross_entropy
from purebp.models import Model, with_loss
from purebp.op import Op
from purebp.training.loop import gradient
from purebp.training.text import Text, streams

HELD_OUT_ROWS = 8


class Pass(NamedTuple):
    """What is known after a pass over the text; the losses are in nats a byte.

    `loss` is the mean over the pass, each window with the weights that it met; `held_out` that
    of the held-out text with the weights after the pass. `seconds` since the start.

    Example:
        >>> Pass(1, 2.5, 2.6, 30.0).held_out
        2.6
    """

    number: int
    loss: float
    held_out: float
    seconds: float


class TrainedText(NamedTuple):
    """The weights, and one Pass for each pass over the text.

    Example:
        >>> TrainedText(params={}, history=()).history
        ()
    """

    params: Any
    history: tuple[Pass, ...]


def train_text(
    model: Model,
    text: Text,
    *,
    optimizer: optax.GradientTransformation,
    key: Array,
    rows: int = 32,
    steps: int = 128,
    passes: int = 8,
    on_window: Callable[[int, int], None] | None = None,
    on_pass: Callable[[Pass], None] | None = None,
) -> TrainedText:
    """Train a model to tell the next byte, by the hand-written backward pass alone.

    The text is cut into `rows` streams, read side by side in windows of `steps` bytes, one update
    a window. The state that the model gives goes on to the next window without a gradient
    (truncated backpropagation through time); each pass begins with zeros.

    Args:
        model: tokens (n, t) to logits (n, t, v), for example `char_lstm()`.
        text: for example `load_text()`.
        optimizer: from optax.
        key: of the first weights, and of dropout.
        rows: how many streams are read side by side.
        steps: the bytes of a window.
        passes: how many times the text is read.
        on_window: called with the windows done and all windows, to show progress.
        on_pass: called after every pass.

    Raises:
        ShapeError: the text is too short. DivergenceError: the loss is not finite.

    Example:
        >>> import numpy as np, optax
        >>> from purebp.models import char_lstm
        >>> tokens = np.arange(600, dtype=np.uint8) % 7
        >>> model, text, adam = char_lstm(256, 4, 8), Text(tokens, tokens), optax.adam(0.01)
        >>> trained = train_text(
        ...     model, text, optimizer=adam, key=jax.random.key(0), rows=2, steps=16, passes=1
        ... )
        >>> len(trained.history)
        1
    """
    loss_op = with_loss(model, softmax_cross_entropy)
    x, y = streams(text.train, rows, steps)
    init_key, steps_key = jax.random.split(key)
    params = model.init(init_key)
    carry = params, optimizer.init(params)
    update = jax.jit(partial(_update, loss_op, optimizer))
    history, start = list[Pass](), time.perf_counter()
    for number in range(1, passes + 1):
        state, losses = zero_state(model, params, x[0]), list[Array]()
        pass_key = jax.random.fold_in(steps_key, number)
        for index in range(len(x)):
            window_key = jax.random.fold_in(pass_key, index)
            carry, state, loss = update(carry, state, x[index], y[index], window_key)
            losses.append(loss)
            if on_window is not None:
                on_window((number - 1) * len(x) + index + 1, passes * len(x))
        found = np.asarray(jax.device_get(losses))
        if not np.isfinite(found).all():
            window = int(np.argmin(np.isfinite(found)))
            raise DivergenceError(
                f"train: {model.name} diverged in pass {number}, window {window + 1} of "
                f"{len(found)}: the loss is {found[window]:.4g}; try a smaller learning rate"
            )
        held_out = text_loss(model, carry[0], text.held_out, steps=steps)
        seconds = time.perf_counter() - start
        history.append(Pass(number, float(found.mean()), held_out, seconds))
        if on_pass is not None:
            on_pass(history[-1])
    return TrainedText(carry[0], tuple(history))


def text_loss(
    model: Model, params: Any, tokens: np.ndarray, *, rows: int = HELD_OUT_ROWS, steps: int = 128
) -> float:
    """The mean loss of a text in nats a byte, read in evaluation with the state carried on.

    Example:
        >>> import numpy as np
        >>> from purebp.models import char_lstm
        >>> model = char_lstm(256, 4, 8)
        >>> params, tokens = model.init(jax.random.key(0)), np.arange(600, dtype=np.uint8) % 7
        >>> 0 < text_loss(model, params, tokens, rows=2, steps=16) < 10
        True
    """
    x, y = streams(tokens, rows, steps)
    run = jax.jit(partial(_evaluate, with_loss(model, softmax_cross_entropy)))
    state, losses = zero_state(model, params, x[0]), list[Array]()
    for window, targets in zip(x, y, strict=True):
        loss, state = run(params, state, window, targets)
        losses.append(loss)
    return float(np.mean(jax.device_get(losses)))


def zero_state(model: Model, params: Any, tokens: Any) -> Any:
    """Zeros in place of the state that the model gives after reading these tokens."""
    (_, state), _ = jax.eval_shape(model.fwd, params, jnp.asarray(tokens), None)
    return jax.tree.map(_zeros, state)


def _zeros(spec: Any) -> Array:
    return jnp.zeros(spec.shape, spec.dtype)


def _update(
    loss_op: Op,
    optimizer: optax.GradientTransformation,
    carry: Any,
    state: Any,
    x: Array,
    y: Array,
    key: Array,
) -> tuple[Any, Any, Array]:
    params, optimizer_state = carry
    loss, bars, state = gradient(loss_op, params, x, y, state, key)
    updates, optimizer_state = optimizer.update(bars, optimizer_state, params)
    return (optax.apply_updates(params, updates), optimizer_state), state, loss


def _evaluate(loss_op: Op, params: Any, state: Any, x: Array, y: Array) -> tuple[Array, Any]:
    loss, aux = loss_op(params, x, y, state)
    return loss, aux.state
