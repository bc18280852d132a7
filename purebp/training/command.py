"""The command `purebp train`: a network learns the digits by hand-written gradients alone."""

import argparse
import json
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from purebp.errors import DivergenceError, PurebpError
from purebp.losses import softmax_cross_entropy
from purebp.models import Model
from purebp.training.autoencoder_command import run_autoencoder
from purebp.training.data import Batch, Data, check_batch
from purebp.training.digits import load_digits
from purebp.training.loop import Epoch, Trained, train
from purebp.training.options import complain
from purebp.training.plot import Curve, plot_curves
from purebp.training.progress import training_progress
from purebp.training.recipes import AUTOENCODERS, OPTIMIZERS, RECIPES, Recipe, make_optimizer
from purebp.training.settings import Settings, read_settings
from purebp.training.text_command import LANGUAGE, add_text_options, check_model, run_text

USAGE = 3
FAILED = 1
EXAMPLES = """examples:
  purebp train digits --model conv
  purebp train digits --model mlp --optimizer sgd --batch full 32 --plot gd-sgd.png
  purebp train digits --model vae --plot vae.png
  purebp train text --model lstm --prompt "The " --temperature 0.7
"""


class Run(NamedTuple):
    """One training run of the command."""

    batch: Batch
    updates: int
    seconds: float
    trained: Trained


def add_train_command(subparsers: Any) -> argparse.ArgumentParser:
    """Add `train` to a parser's sub-commands; `args.run(args)` returns the exit status.

    Example:
        >>> import argparse
        >>> parser = argparse.ArgumentParser()
        >>> command = add_train_command(parser.add_subparsers())
        >>> parser.parse_args(["train", "digits", "--epochs", "3"]).epochs
        '3'
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train a network on real digits or text with hand-written gradients",
        description="Train a network on the 1,797 digits of scikit-learn, or a language model on "
        "the help topics of Python. Every gradient comes from the hand-written backward pass.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", choices=["digits", "text"], help="the data set")
    parser.add_argument(
        "--model",
        choices=[*RECIPES, *AUTOENCODERS, *LANGUAGE],
        help="default: conv, and lstm for text",
    )
    parser.add_argument(
        "--optimizer", choices=list(OPTIMIZERS), default="adam", help="default: adam"
    )
    parser.add_argument(
        "--batch",
        nargs="+",
        metavar="N|full",
        help="examples in an update; full is gradient descent; several values are run in turn "
        "and compared (default: 32)",
    )
    parser.add_argument("--epochs", metavar="N", help="default: the model's recipe")
    parser.add_argument("--lr", metavar="RATE", help="the first learning rate (default: recipe)")
    parser.add_argument("--seed", metavar="N", default="0", help="of weights and order; default: 0")
    parser.add_argument(
        "--plot", metavar="FILE.png", type=Path, help="draw loss and accuracy, or digits"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every epoch's numbers")
    add_text_options(parser)
    parser.set_defaults(run=run_train)
    return parser


def run_train(args: argparse.Namespace) -> int:
    """Run the command; return the exit status: 0, 1 if training diverged, 3 for wrong usage."""
    console = Console(highlight=False)
    try:
        if args.data == "text":
            run_text(console, args)
            return 0
        known = (*RECIPES, *AUTOENCODERS)
        args.model = check_model(args.data, args.model or "conv", known)
        if args.model in AUTOENCODERS:
            run_autoencoder(console, args)
            return 0
        recipe = RECIPES[args.model]
        data = load_digits(flat=recipe.flat)
        settings = read_settings(args, recipe, len(data.y_train))
        _run_all(console, settings, recipe, data)
    except PurebpError as error:
        complain(str(error))
        return FAILED if isinstance(error, DivergenceError) else USAGE
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return USAGE
    return 0


def _run_all(console: Console, settings: Settings, recipe: Recipe, data: Data) -> None:
    model = recipe.build()
    runs = [_run(console, settings, recipe, model, data, batch) for batch in settings.batches]
    if len(runs) > 1:
        console.print("the same number of epochs; batch full is gradient descent:")
        console.print(_comparison(runs))
    if settings.plot is not None:
        title = f"{model.name} on digits, {settings.optimizer}, seed {settings.seed}"
        curves = [Curve(f"batch {run.batch}", run.trained.history) for run in runs]
        plot_curves(settings.plot, title, curves)
        console.print(f"curves: {settings.plot}", soft_wrap=True)
    if settings.json is not None:
        settings.json.write_text(json.dumps(_as_json(settings, runs), indent=1) + "\n")
        console.print(f"numbers: {settings.json}", soft_wrap=True)


def _run(
    console: Console, settings: Settings, recipe: Recipe, model: Model, data: Data, batch: Batch
) -> Run:
    examples = len(data.y_train)
    updates = -(-examples // check_batch(batch, examples))
    weights = sum(math.prod(w.shape) for layer in model.layers for w in layer.params.values())
    steps = "1 update" if updates == 1 else f"{updates} updates"
    console.print(
        f"{model.name}, {weights:,} weights, on {examples:,} digits; {settings.optimizer}, "
        f"learning rate {settings.learning_rate:g}, batch {batch} ({steps} an epoch), "
        f"seed {settings.seed}",
        soft_wrap=True,
    )
    console.print(HEADER)
    start = time.perf_counter()
    with training_progress(console, "epochs") as progress:
        task = progress.add_task("training", total=settings.epochs)
        trained = train(
            model,
            softmax_cross_entropy,
            data,
            optimizer=make_optimizer(
                settings.optimizer, settings.learning_rate, updates * settings.epochs
            ),
            key=jax.random.key(settings.seed),
            batch=batch,
            epochs=settings.epochs,
            augment=recipe.augment,
            on_epoch=partial(_show_epoch, progress, task),
        )
    seconds = time.perf_counter() - start
    last = trained.history[-1]
    console.print(f"test accuracy {last.test_accuracy:.2%} after {seconds:.1f} s; last epoch:")
    console.print(_layer_table(model, last))
    return Run(batch, updates, seconds, trained)


HEADER = "epoch       loss  train accuracy  test accuracy  seconds"


def _show_epoch(progress: Progress, task: Any, epoch: Epoch) -> None:
    progress.console.print(
        f"{epoch.epoch:5d} {epoch.loss:10.4g} {epoch.train_accuracy:15.2%} "
        f"{epoch.test_accuracy:14.2%} {epoch.seconds:8.2f}"
    )
    progress.advance(task)


def _layer_table(model: Model, last: Epoch) -> Table:
    table = Table("layer")
    table.add_column("gradient norm", justify="right")
    table.add_column("dead ReLUs", justify="right")
    for layer in model.layers:
        norm = last.gradient_norms.get(layer.name)
        dead = last.dead_relus.get(layer.name)
        if norm is not None or dead is not None:
            table.add_row(
                layer.name,
                "" if norm is None else f"{norm:.3g}",
                "" if dead is None else f"{dead:.1%}",
            )
    return table


def _comparison(runs: Sequence[Run]) -> Table:
    table = Table("batch")
    for column in ("updates", "loss", "train accuracy", "test accuracy", "seconds"):
        table.add_column(column, justify="right")
    for run in runs:
        last = run.trained.history[-1]
        table.add_row(
            str(run.batch),
            str(run.updates * len(run.trained.history)),
            f"{last.loss:.4g}",
            f"{last.train_accuracy:.2%}",
            f"{last.test_accuracy:.2%}",
            f"{run.seconds:.1f}",
        )
    return table


def _as_json(settings: Settings, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "data": "digits",
        "model": settings.model,
        "optimizer": settings.optimizer,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
        "runs": [
            {
                "batch": run.batch,
                "updates_per_epoch": run.updates,
                "seconds": run.seconds,
                "epochs": [epoch._asdict() for epoch in run.trained.history],
            }
            for run in runs
        ],
    }
