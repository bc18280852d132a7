"""Examples and their labels, checked, and cut into mini-batches without replacement."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from purebp.errors import ArgumentError, OptionError, ShapeError
from purebp.models import Model

Batch = int | Literal["full"]


class Data(NamedTuple):
    """Examples to learn from and examples to test on; y holds integer labels.

    Example:
        >>> x, y = jax.random.normal(jax.random.key(0), (64, 4)), jnp.arange(64) % 3
        >>> data = Data(x, y, x, y)
        >>> data.x_train.shape
        (64, 4)
    """

    x_train: Any
    y_train: Any
    x_test: Any
    y_test: Any


def mini_batches(key: Array, examples: int, size: int) -> tuple[Array, Array]:
    """One permutation of the examples, cut into rows of `size`, and what is left over.

    Example:
        >>> batches, rest = mini_batches(jax.random.key(0), 10, 4)
        >>> batches.shape, rest.shape
        ((2, 4), (2,))
    """
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


def check_data(model: Model, data: Data) -> Data:
    """The data as arrays; raise for what does not fit together or does not fit the model."""
    x_train, x_test = _check_x("x_train", data.x_train), _check_x("x_test", data.x_test)
    params, state = jax.eval_shape(model.init, jax.random.key(0)), model.init_state()
    for x in (x_train, x_test):
        (scores, _), _ = jax.eval_shape(model.fwd, params, x[:1], state)
    classes = int(scores.shape[-1])
    y_train = _check_y("y_train", data.y_train, len(x_train), classes)
    y_test = _check_y("y_test", data.y_test, len(x_test), classes)
    return jax.tree.map(jnp.asarray, Data(x_train, y_train, x_test, y_test))


def _check_x(name: str, x: Any) -> np.ndarray:
    x = np.asarray(x)
    if not x.size:
        raise ShapeError(f"train: {name} has shape {x.shape}, expected at least one example")
    if not jnp.issubdtype(x.dtype, np.number) or not np.isfinite(x).all():
        raise ArgumentError(f"train: {name} has values that are not finite numbers")
    return x


def _check_y(name: str, y: Any, examples: int, classes: int) -> np.ndarray:
    y = np.asarray(y)
    if y.shape != (examples,):
        raise ShapeError(f"train: {name} has shape {y.shape}, expected ({examples},), a label each")
    if not jnp.issubdtype(y.dtype, np.integer):
        raise ArgumentError(f"train: {name} has dtype {y.dtype}, expected integer labels")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        raise ArgumentError(
            f"train: {name} has labels from {low} to {high}, expected 0 to {classes - 1}: "
            f"the model gives {classes} scores"
        )
    return y
