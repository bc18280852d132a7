"""The command `purebp train digits --model vae`: digits are encoded, decoded and invented."""

import argparse
import json
import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.console import Console
from rich.progress import Progress

from purebp.errors import OptionError
from purebp.gates import sigmoid
from purebp.models import Vae
from purebp.training.autoencoder import Elbo, TrainedVae, train_vae
from purebp.training.data import Data, check_batch
from purebp.training.digits import CLASSES, load_digits
from purebp.training.plot import Row, plot_images
from purebp.training.progress import training_progress
from purebp.training.recipes import AUTOENCODERS, Recipe, make_optimizer
from purebp.training.settings import Settings, read_settings

SIDE = 8
SHADES = " .:-=+*#%@"
PRINTED = 5
LINES = 30
SAMPLES = 3
"""Rows of them in the picture."""


class Digits(NamedTuple):
    """Held-out digits, one of each class, what the net makes of them, and digits it invents."""

    held_out: np.ndarray
    reconstructed: np.ndarray
    samples: np.ndarray


def run_autoencoder(console: Console, args: argparse.Namespace) -> None:
    """Train, show every epoch, show some digits."""
    recipe: Recipe = AUTOENCODERS[args.model]
    data = load_digits(flat=True)
    settings = read_settings(args, recipe, len(data.y_train))
    if len(settings.batches) != 1:
        raise OptionError(f"--batch takes one value for {settings.model}")
    model = recipe.build()
    assert isinstance(model, Vae)
    trained = _train(console, settings, model, data)
    last = trained.history[-1]
    seconds = sum(each.seconds for each in trained.history)
    console.print(
        f"held-out digits: evidence lower bound {last.held_out:.2f} nats after {seconds:.1f} s; "
        "some of them, what their codes give back, and samples:",
        soft_wrap=True,
    )
    digits = show(model, trained.params, data, jax.random.key(settings.seed))
    for images in digits:
        console.print(as_text(images[:PRINTED]), markup=False, soft_wrap=True)
    if settings.plot is not None:
        first, second, samples = digits
        parts = zip(("samples", "", ""), np.split(samples, SAMPLES), strict=True)
        rows = [Row("held out", first), Row("reconstructed", second), *(Row(*p) for p in parts)]
        title = f"{model.name} on digits, {settings.optimizer}, seed {settings.seed}"
        plot_images(settings.plot, title, rows)
        console.print(f"picture: {settings.plot}", soft_wrap=True)
    if settings.json is not None:
        record = {
            "data": "digits",
            "model": settings.model,
            "optimizer": settings.optimizer,
            "learning_rate": settings.learning_rate,
            "seed": settings.seed,
            "batch": settings.batches[0],
            "epochs": [each._asdict() for each in trained.history],
        }
        settings.json.write_text(json.dumps(record, indent=1) + "\n")
        console.print(f"numbers: {settings.json}", soft_wrap=True)


def show(model: Vae, params: Any, data: Data, key: Array) -> Digits:
    """Some digits, each an image of 8 x 8 pixels from 0 to 1."""
    firsts = [int(np.argmax(data.y_test == label)) for label in range(CLASSES)]
    x = jnp.asarray(data.x_test[np.array(firsts)])
    mean, _ = model.encode(params, x)
    codes = jax.random.normal(key, (SAMPLES * CLASSES, model.latent))
    logits = model.decode(params, mean), model.decode(params, codes)
    back, new = (np.asarray(sigmoid(each)).reshape(-1, SIDE, SIDE) for each in logits)
    return Digits(np.asarray(x).reshape(-1, SIDE, SIDE), back, new)


def as_text(images: np.ndarray) -> str:
    """Images side by side, two characters a pixel."""
    levels = np.clip((images * len(SHADES)).astype(int), 0, len(SHADES) - 1)
    lines = [
        "  ".join("".join(2 * SHADES[level] for level in row) for row in rows)
        for rows in levels.swapaxes(0, 1)
    ]
    return "\n".join(lines) + "\n"


def _train(console: Console, settings: Settings, model: Vae, data: Data) -> TrainedVae:
    examples, (batch,) = len(data.y_train), settings.batches
    updates = examples // check_batch(batch, examples)
    weights = sum(math.prod(w.shape) for layer in model.layers for w in layer.params.values())
    console.print(
        f"{model.name}, {weights:,} weights, on {examples:,} digits; {settings.optimizer}, "
        f"learning rate {settings.learning_rate:g}, batch {batch}, seed {settings.seed}",
        soft_wrap=True,
    )
    console.print("epoch     elbo  reconstruction  divergence  held out  seconds   (nats a digit)")
    with training_progress(console, "epochs") as progress:
        task = progress.add_task("training", total=settings.epochs)
        return train_vae(
            model,
            data.x_train,
            data.x_test,
            optimizer=make_optimizer(
                settings.optimizer, settings.learning_rate, updates * settings.epochs
            ),
            key=jax.random.key(settings.seed),
            batch=batch,
            epochs=settings.epochs,
            on_epoch=partial(_show_epoch, progress, task, max(1, settings.epochs // LINES)),
        )


def _show_epoch(progress: Progress, task: Any, every: int, each: Elbo) -> None:
    if each.epoch == 1 or each.epoch % every == 0:
        progress.console.print(
            f"{each.epoch:5d} {each.elbo:8.2f} {each.reconstruction:15.2f} {each.divergence:11.2f} "
            f"{each.held_out:9.2f} {each.seconds:8.2f}"
        )
    progress.advance(task)
