"""What the command line asks of a training run on the digits, read and checked."""

import argparse
from pathlib import Path
from typing import NamedTuple

from purebp.errors import OptionError
from purebp.training.data import Batch, check_batch
from purebp.training.options import check_file, integer, positive
from purebp.training.plot import load_figures
from purebp.training.recipes import Recipe


class Settings(NamedTuple):
    """What the command line asked for, checked."""

    model: str
    optimizer: str
    batches: tuple[Batch, ...]
    epochs: int
    learning_rate: float
    seed: int
    plot: Path | None
    json: Path | None


def read_settings(args: argparse.Namespace, recipe: Recipe, examples: int) -> Settings:
    """Read and check the values; raise OptionError for the first wrong one."""
    texts: list[str] = args.batch or [str(recipe.batch)]
    batches: list[Batch] = [_batch(text, examples) for text in texts]
    epochs = recipe.epochs if args.epochs is None else integer("--epochs", args.epochs, 1)
    rate = recipe.learning_rates[args.optimizer] if args.lr is None else positive("--lr", args.lr)
    if args.plot is not None:
        if args.plot.suffix.lower() != ".png":
            raise OptionError(f"--plot is {str(args.plot)!r}, expected a name that ends in .png")
        load_figures()
    for option, file in (("--plot", args.plot), ("--json", args.json)):
        check_file(option, file)
    seed = integer("--seed", args.seed, 0)
    return Settings(
        args.model, args.optimizer, tuple(batches), epochs, rate, seed, args.plot, args.json
    )


def _batch(text: str, examples: int) -> Batch:
    if text == "full":
        return "full"
    return check_batch(integer("--batch", text, 1, extra=" or 'full'"), examples)
