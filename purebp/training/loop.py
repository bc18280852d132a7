"""The training loop: mini-batches without replacement, hand-written gradients, optax updates."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array

from purebp.errors import ArgumentError, DivergenceError, OptionError, ShapeError
from purebp.models import Model, gradient_norms, layer_outputs, with_loss
from purebp.models.inspection import dead_shares
from purebp.op import Op

Batch = int | Literal["full"]
Augment = Callable[[Array, Array], Array]


class Data(NamedTuple):
    """Examples to learn from and examples to test on; y holds integer labels."""

    x_train: Any
    y_train: Any
    x_test: Any
    y_test: Any


class Epoch(NamedTuple):
    """What is known after an epoch.

    `loss` is the mean over the epoch's examples, each with the weights that its batch met;
    `gradient_norms` are means over the epoch's steps. The accuracies and the shares of dead ReLUs
    are those of the weights after the epoch, in evaluation; dead is what no training example
    wakes up. `seconds` is the time of this epoch, with compilation in the first.
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    gradient_norms: dict[str, float]
    dead_relus: dict[str, float]
    seconds: float


class Trained(NamedTuple):
    """The weights, the running statistics and one Epoch for each epoch."""

    params: Any
    state: Any
    history: tuple[Epoch, ...]


class _Carry(NamedTuple):
    params: Any
    state: Any
    optimizer: Any


class _Step(NamedTuple):
    """Of one step: the loss; for each layer the gradient's norm, and whether it is finite."""

    loss: Array
    norms: dict[str, Array]
    finite: dict[str, Array]


def train(
    model: Model,
    loss: Op,
    data: Data,
    *,
    optimizer: optax.GradientTransformation,
    key: Array,
    batch: Batch = 32,
    epochs: int = 10,
    regularizer: Op | None = None,
    augment: Augment | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train a model on labels, by the hand-written backward pass alone.

    An epoch uses every training example once: one permutation is cut into mini-batches, one
    update each. The last batch is as short as what is left. `batch="full"` is gradient descent,
    one update an epoch. An epoch is one compiled program, compiled once.

    Args:
        model: a `purebp.models` network.
        loss: of (scores, labels), for example `softmax_cross_entropy`.
        data: the examples.
        optimizer: from optax, for example `optax.sgd(0.1)`.
        key: of the first weights, the order of the examples, dropout and augmentation.
        batch: the number of examples of an update, or "full".
        epochs: how many times every example is used.
        regularizer: of each weight, for example `l2.with_options(strength=1e-4)`.
        augment: (key, x) -> x, run on each mini-batch.
        on_epoch: called after every epoch, for example to show progress.

    Raises:
        ArgumentError, OptionError, ShapeError: for data or settings that do not fit.
        DivergenceError: a loss or a gradient is not finite; it names epoch, step and layers.
    """
    size = check_batch(batch, len(data.x_train))
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise OptionError(f"train: epochs is {epochs!r}, expected a positive integer")
    init_key, order_key = jax.random.split(key)
    params, state = model.init(init_key), model.init_state()
    data = _check_data(model, params, state, data)
    loss_op = with_loss(model, loss, regularizer=regularizer)
    run = jax.jit(partial(_epoch, model, loss_op, optimizer, augment, size))
    look = jax.jit(partial(_evaluate, model))
    carry, history = _Carry(params, state, optimizer.init(params)), list[Epoch]()
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        epoch_key = jax.random.fold_in(order_key, epoch)
        carry, steps = run(carry, data.x_train, data.y_train, epoch_key)
        _check_finite(model, epoch, steps)
        seen = look(carry.params, carry.state, data)
        record = _record(epoch, steps, seen, size, len(data.y_train), start)
        history.append(record)
        if on_epoch is not None:
            on_epoch(record)
    return Trained(carry.params, carry.state, tuple(history))


def gradient(
    loss_op: Op, params: Any, x: Any, targets: Any, state: Any = None, key: Any = None
) -> tuple[Array, Any, Any]:
    """(loss, gradient of the params, new state) of a training step, by the hand-written pair."""
    (loss, aux), res = loss_op.fwd(params, x, targets, state, key, train=True)
    return loss, loss_op.bwd(res, 1.0)[0], aux.state


def mini_batches(key: Array, examples: int, size: int) -> tuple[Array, Array]:
    """One permutation of the examples, cut into rows of `size`, and what is left over."""
    order = jax.random.permutation(key, examples)
    whole = examples - examples % size
    return order[:whole].reshape(-1, size), order[whole:]


def check_batch(batch: Batch, examples: int) -> int:
    """The number of examples of an update."""
    if batch == "full":
        return examples
    if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= examples:
        raise OptionError(
            f"train: batch is {batch!r}, expected 'full' or a number from 1 to {examples}, "
            "the number of training examples"
        )
    return batch


def _epoch(
    model: Model,
    loss_op: Op,
    optimizer: optax.GradientTransformation,
    augment: Augment | None,
    size: int,
    carry: _Carry,
    x: Array,
    y: Array,
    key: Array,
) -> tuple[_Carry, _Step]:
    order_key, steps_key = jax.random.split(key)
    rows, rest = mini_batches(order_key, len(y), size)

    def step(carry: _Carry, picked: tuple[Array, Array]) -> tuple[_Carry, _Step]:
        index, number = picked
        step_key, augment_key = jax.random.split(jax.random.fold_in(steps_key, number))
        images = x[index] if augment is None else augment(augment_key, x[index])
        params, state, optimizer_state = carry
        loss, bars, state = gradient(loss_op, params, images, y[index], state, step_key)
        updates, optimizer_state = optimizer.update(bars, optimizer_state, params)
        params = optax.apply_updates(params, updates)
        finite = {name: _all_finite(bars[name].values()) for name in bars}
        return _Carry(params, state, optimizer_state), _Step(
            loss, gradient_norms(model, bars), finite
        )

    carry, steps = lax.scan(step, carry, (rows, jnp.arange(len(rows))))
    if len(rest):
        carry, last = step(carry, (rest, jnp.asarray(len(rows))))
        steps = jax.tree.map(jnp.append, steps, last)
    return carry, steps


def _all_finite(arrays: Iterable[Array]) -> Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(each)) for each in arrays]))


class _Seen(NamedTuple):
    train_accuracy: Array
    test_accuracy: Array
    dead_relus: dict[str, Array]


def _evaluate(model: Model, params: Any, state: Any, data: Data) -> _Seen:
    outputs = layer_outputs(model, params, data.x_train, state)
    (test_scores, _), _ = model.fwd(params, data.x_test, state)
    return _Seen(
        _accuracy(outputs[model.layers[-1].name], data.y_train),
        _accuracy(test_scores, data.y_test),
        dead_shares(model, outputs),
    )


def _accuracy(scores: Array, labels: Array) -> Array:
    return jnp.mean(jnp.argmax(scores, axis=-1) == labels)


def _record(epoch: int, steps: _Step, seen: _Seen, size: int, examples: int, start: float) -> Epoch:
    losses = np.asarray(steps.loss)
    sizes = np.full(len(losses), size)
    sizes[-1] = examples - size * (len(losses) - 1)
    return Epoch(
        epoch,
        float(np.average(losses, weights=sizes)),
        float(seen.train_accuracy),
        float(seen.test_accuracy),
        {name: float(np.mean(np.asarray(norm))) for name, norm in steps.norms.items()},
        {name: float(share) for name, share in seen.dead_relus.items()},
        time.perf_counter() - start,
    )


def _check_finite(model: Model, epoch: int, steps: _Step) -> None:
    losses = np.asarray(steps.loss)
    finite = {name: np.asarray(flags) for name, flags in steps.finite.items()}
    good = np.isfinite(losses) & np.logical_and.reduce(list(finite.values()))
    if good.all():
        return
    step = int(np.argmin(good))
    wrong = [layer.name for layer in model.layers if layer.params and not finite[layer.name][step]]
    gradients = f", the gradient is not finite in {', '.join(wrong)}" if wrong else ""
    raise DivergenceError(
        f"train: {model.name} diverged in epoch {epoch}, step {step + 1} of {len(losses)}: "
        f"the loss is {losses[step]:.4g}{gradients}; try a smaller learning rate"
    )


def _check_data(model: Model, params: Any, state: Any, data: Data) -> Data:
    x_train, x_test = (_check_x(name, getattr(data, name)) for name in ("x_train", "x_test"))
    (scores, _), _ = jax.eval_shape(model.fwd, params, x_train[:1], state)
    classes = int(scores.shape[-1])
    y_train = _check_y("y_train", data.y_train, len(x_train), classes)
    y_test = _check_y("y_test", data.y_test, len(x_test), classes)
    return Data(x_train, y_train, x_test, y_test)


def _check_x(name: str, x: Any) -> Array:
    x = jnp.asarray(x)
    if not len(x):
        raise ShapeError(f"train: {name} has shape {x.shape}, expected at least one example")
    if jnp.issubdtype(x.dtype, jnp.floating) and not bool(jnp.all(jnp.isfinite(x))):
        raise ArgumentError(f"train: {name} has values that are not finite (NaN or inf)")
    return x


def _check_y(name: str, y: Any, examples: int, classes: int) -> Array:
    y = jnp.asarray(y)
    if y.shape != (examples,):
        raise ShapeError(f"train: {name} has shape {y.shape}, expected ({examples},), a label each")
    if not jnp.issubdtype(y.dtype, jnp.integer):
        raise ArgumentError(f"train: {name} has dtype {y.dtype}, expected integer labels")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        raise ArgumentError(
            f"train: {name} has labels from {low} to {high}, expected 0 to {classes - 1}: "
            f"the model gives {classes} scores"
        )
    return y
