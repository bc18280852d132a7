"""Training of an autoencoder: no labels, and an evidence lower bound instead of an accuracy."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array

from purebp.errors import DivergenceError
from purebp.models import Vae
from purebp.training.data import Batch, check_batch, mini_batches

DRAWS = 8
"""Codes drawn for each held-out example."""


class Elbo(NamedTuple):
    """What is known after an epoch, in nats for each example.

    `elbo` is -(reconstruction + divergence), a lower bound of ln p(x): the mean over the epoch's
    examples, each with the weights that its batch met. `held_out` is that of the held-out
    examples with the weights after the epoch.

    Example:
        >>> Elbo(1, -90.0, 80.0, 10.0, -92.0, 2.0).elbo
        -90.0
    """

    epoch: int
    elbo: float
    reconstruction: float
    divergence: float
    held_out: float
    seconds: float


class TrainedVae(NamedTuple):
    """The weights, and one Elbo for each epoch.

    Example:
        >>> TrainedVae(params={}, history=()).history
        ()
    """

    params: Any
    history: tuple[Elbo, ...]


def train_vae(
    model: Vae,
    x_train: Any,
    x_test: Any,
    *,
    optimizer: optax.GradientTransformation,
    key: Array,
    batch: Batch = 32,
    epochs: int = 10,
    on_epoch: Callable[[Elbo], None] | None = None,
) -> TrainedVae:
    """Train a VAE by its hand-written backward pass alone; an epoch is one compiled program.

    One permutation of the examples is cut into mini-batches, one update each; what does not fill
    the last one waits for another epoch.

    Args:
        model: a `purebp.models.vae`.
        x_train: examples (n, features) to learn from.
        x_test: examples that are held out.
        optimizer: from optax, for example `optax.adam(2e-3)`.
        key: of the first weights, the order of the examples and the codes that are drawn.
        batch: the number of examples of an update, or "full".
        epochs: how many times the examples are used.
        on_epoch: called after every epoch, for example to show progress.

    Raises:
        OptionError: for a batch that the examples do not fill.
        DivergenceError: the loss is not finite.

    Example:
        >>> import optax
        >>> from purebp.models import vae
        >>> model, x = vae(4, hidden=8, latent=2), jnp.full((32, 4), 0.5)
        >>> trained = train_vae(
        ...     model, x, x, optimizer=optax.adam(0.01), key=jax.random.key(0), epochs=2
        ... )
        >>> len(trained.history)
        2
    """
    size = check_batch(batch, len(x_train))
    x, held_out = jnp.asarray(x_train), jnp.asarray(x_test)
    init_key, steps_key, test_key = jax.random.split(key, 3)
    params = model.init(init_key)
    carry = params, optimizer.init(params)
    run = jax.jit(partial(_epoch, model, optimizer, size))
    look = jax.jit(partial(_held_out, model))
    history = list[Elbo]()
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        carry, (reconstruction, divergence) = run(carry, x, jax.random.fold_in(steps_key, epoch))
        seen = look(carry[0], held_out, test_key)
        terms = float(reconstruction), float(divergence)
        _check_finite(model, epoch, terms)
        seconds = time.perf_counter() - start
        record = Elbo(epoch, -sum(terms), *terms, float(seen), seconds)
        history.append(record)
        if on_epoch is not None:
            on_epoch(record)
    return TrainedVae(carry[0], tuple(history))


def _check_finite(model: Vae, epoch: int, terms: tuple[float, float]) -> None:
    if not np.isfinite(terms).all():
        raise DivergenceError(
            f"train: {model.name} diverged in epoch {epoch}: the loss is not finite; try a "
            "smaller learning rate"
        )


def _epoch(
    model: Vae,
    optimizer: optax.GradientTransformation,
    size: int,
    carry: tuple[Any, Any],
    x: Array,
    key: Array,
) -> tuple[tuple[Any, Any], tuple[Array, Array]]:
    """One update for each mini-batch; the two terms of the loss, means over the examples."""
    order_key, codes_key = jax.random.split(key)
    rows, _ = mini_batches(order_key, len(x), size)
    keys = jax.random.split(codes_key, len(rows))
    carry, terms = lax.scan(partial(_step, model, optimizer, x), carry, (rows, keys))
    return carry, (jnp.mean(terms[0]), jnp.mean(terms[1]))


def _step(
    model: Vae,
    optimizer: optax.GradientTransformation,
    x: Array,
    carry: tuple[Any, Any],
    at: tuple[Array, Array],
) -> tuple[tuple[Any, Any], tuple[Array, Array]]:
    (params, state), (index, key) = carry, at
    (_, aux), res = model.fwd(params, x[index], None, key)
    updates, state = optimizer.update(model.bwd(res, 1.0)[0], state, params)
    return (optax.apply_updates(params, updates), state), (aux.reconstruction, aux.divergence)


def _held_out(model: Vae, params: Any, x: Array, key: Array) -> Array:
    """The evidence lower bound of some examples, the mean over several codes of each."""

    def bound(key: Array) -> Array:
        (_, aux), _ = model.fwd(params, x, None, key)
        return -(aux.reconstruction + aux.divergence)

    return jnp.mean(lax.map(bound, jax.random.split(key, DRAWS)))
