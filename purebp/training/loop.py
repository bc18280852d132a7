"""The training loop: mini-batches without replacement, hand-written gradients, optax updates."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from purebp.errors import DivergenceError, OptionError
from purebp.models import Model, gradient_norms, layer_outputs, with_loss
from purebp.models.inspection import dead_shares
from purebp.op import Op
from purebp.training.data import Batch, Data, check_batch, check_data, mini_batches

Augment = Callable[[Array, Array], Array]


class Epoch(NamedTuple):
    """What is known after an epoch.

    `loss` is the mean over the epoch's examples, each with the weights that its batch met;
    `gradient_norms` are means over the epoch's steps. The accuracies and the shares of dead ReLUs
    are those of the weights after the epoch, in evaluation; dead is what no training example
    wakes up. `seconds` is the time of this epoch, with compilation in the first.

    Example:
        >>> epoch = Epoch(1, 0.5, 0.9, 0.8, {"affine": 0.1}, {}, 2.0)
        >>> epoch.test_accuracy
        0.8
    """

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    gradient_norms: dict[str, float]
    dead_relus: dict[str, float]
    seconds: float


class Trained(NamedTuple):
    """The weights, the running statistics and one Epoch for each epoch.

    Example:
        >>> Trained(params={}, state={}, history=()).history
        ()
    """

    params: Any
    state: Any
    history: tuple[Epoch, ...]


class _Carry(NamedTuple):
    params: Any
    state: Any
    optimizer: Any


class _Told(NamedTuple):
    """The loss of a step; of each layer's gradient the norm, and whether it is finite."""

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
    one update an epoch. An update is one program, compiled once for each of the two sizes.

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

    Example:
        >>> import optax
        >>> from purebp.losses import softmax_cross_entropy
        >>> from purebp.models import linear_classifier
        >>> x, y = jax.random.normal(jax.random.key(0), (64, 4)), jnp.arange(64) % 3
        >>> data = Data(x, y, x, y)
        >>> model, adam = linear_classifier(4, 3), optax.adam(0.01)
        >>> trained = train(
        ...     model, softmax_cross_entropy, data, optimizer=adam, key=jax.random.key(1), epochs=2
        ... )
        >>> [epoch.epoch for epoch in trained.history]
        [1, 2]
    """
    size = check_batch(batch, len(data.x_train))
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise OptionError(f"train: epochs is {epochs!r}, expected a positive integer")
    data = check_data(model, data)
    loss_op = with_loss(model, loss, regularizer=regularizer)
    carry, steps_key = jax.jit(partial(_start, model, optimizer))(key)
    order = jax.jit(partial(_order, len(data.y_train), size))
    step = jax.jit(partial(_step, model, loss_op, optimizer, augment))
    look = jax.jit(partial(_evaluate, model))
    history = list[Epoch]()
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        batches, epoch_key = order(steps_key, epoch)
        carry, told = _epoch(step, batches, carry, data, epoch_key)
        _check_finite(model, epoch, told)
        seen = look(carry.params, carry.state, data)
        record = _record(epoch, told, seen, size, len(data.y_train), start)
        history.append(record)
        if on_epoch is not None:
            on_epoch(record)
    return Trained(carry.params, carry.state, tuple(history))


def gradient(
    loss_op: Op, params: Any, x: Any, targets: Any, state: Any = None, key: Any = None
) -> tuple[Array, Any, Any]:
    """(loss, gradient of the params, new state) of a training step, by the hand-written pair.

    Example:
        >>> from purebp.losses import softmax_cross_entropy
        >>> from purebp.models import linear_classifier, with_loss
        >>> model = linear_classifier(4, 3)
        >>> op = with_loss(model, softmax_cross_entropy)
        >>> params, x = model.init(jax.random.key(0)), jnp.ones((2, 4))
        >>> loss, params_bar, state = gradient(op, params, x, jnp.array([0, 2]))
        >>> jax.tree.map(jnp.shape, params_bar)
        {'affine1': {'b': (3,), 'w': (4, 3)}}
    """
    (loss, aux), res = loss_op.fwd(params, x, targets, state, key, train=True)
    return loss, loss_op.bwd(res, 1.0)[0], aux.state


def _start(
    model: Model, optimizer: optax.GradientTransformation, key: Array
) -> tuple[_Carry, Array]:
    init_key, steps_key = jax.random.split(key)
    params = model.init(init_key)
    return _Carry(params, model.init_state(), optimizer.init(params)), steps_key


def _order(examples: int, size: int, key: Array, epoch: Array) -> tuple[Any, Array]:
    """The mini-batches of an epoch, and the key of its steps."""
    order_key, epoch_key = jax.random.split(jax.random.fold_in(key, epoch))
    return mini_batches(order_key, examples, size), epoch_key


def _step(
    model: Model,
    loss_op: Op,
    optimizer: optax.GradientTransformation,
    augment: Augment | None,
    carry: _Carry,
    data: Data,
    index: Array,
    key: Array,
    number: Array,
) -> tuple[_Carry, _Told]:
    """One update, by the examples at `index`."""
    step_key, augment_key = jax.random.split(jax.random.fold_in(key, number))
    x, y = data.x_train[index], data.y_train[index]
    x = x if augment is None else augment(augment_key, x)
    params, state, optimizer_state = carry
    loss, bars, state = gradient(loss_op, params, x, y, state, step_key)
    updates, optimizer_state = optimizer.update(bars, optimizer_state, params)
    params = optax.apply_updates(params, updates)
    finite = {name: _all_finite(bars[name].values()) for name in bars}
    told = _Told(loss, gradient_norms(model, bars), finite)
    return _Carry(params, state, optimizer_state), told


def _epoch(
    step: Callable[..., tuple[_Carry, _Told]],
    batches: tuple[Array, Array],
    carry: _Carry,
    data: Data,
    key: Array,
) -> tuple[_Carry, _Told]:
    """One update for each mini-batch.

    Not a `lax.scan`: on the CPU, XLA runs convolutions inside a loop ten times slower.
    """
    rows, rest = np.asarray(batches[0]), np.asarray(batches[1])
    told = list[_Told]()
    for number, index in enumerate([*rows, rest] if len(rest) else rows):
        carry, what = step(carry, data, index, key, number)
        told.append(what)
    return carry, jax.tree.map(_stack, *jax.device_get(told))


def _stack(*values: np.ndarray) -> np.ndarray:
    return np.stack(values)


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


def _record(epoch: int, steps: _Told, seen: _Seen, size: int, examples: int, start: float) -> Epoch:
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


def _check_finite(model: Model, epoch: int, steps: _Told) -> None:
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
