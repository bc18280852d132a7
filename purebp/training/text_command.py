"""The command `purebp train text`: a language model learns English by hand-written gradients."""

import argparse
import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array
from rich.console import Console
from rich.progress import Progress

from purebp.errors import OptionError
from purebp.models import Model, char_lstm, gpt
from purebp.training.language import Pass, TrainedText, train_text, zero_state
from purebp.training.options import check_file, integer, not_negative, positive
from purebp.training.progress import training_progress
from purebp.training.recipes import make_optimizer
from purebp.training.text import VOCABULARY, Advance, Text, as_tokens, load_text, sample

CLIP = 1.0


class LanguageRecipe(NamedTuple):
    """How one model learns the text, and how it goes on writing.

    `start(model, params, first) -> state`; then `advance(model, params, state, tokens) ->
    (logits, state)` reads one token.
    """

    build: Callable[[], Model]
    advance: Callable[..., Any]
    passes: int
    learning_rates: Mapping[str, float]
    rows: int = 16
    steps: int = 96
    start: Callable[..., Any] = zero_state


class TextSettings(NamedTuple):
    """What the command line asked for, checked."""

    model: str
    optimizer: str
    rows: int
    passes: int
    learning_rate: float
    seed: int
    prompt: str
    length: int
    temperature: float


def lstm() -> Model:
    """64 features a byte, one LSTM of 256 units."""
    return char_lstm(VOCABULARY, 64, 256)


def advance_by_state(model: Model, params: Any, state: Any, tokens: Array) -> tuple[Array, Any]:
    """One token, for a model whose state remembers all before it."""
    (logits, state), _ = model.fwd(params, tokens[:, None], state)
    return logits[:, -1], state


def transformer() -> Model:
    """3 blocks of 4 heads, 128 features, 96 bytes of context."""
    return gpt(VOCABULARY, 96, width=128, heads=4, depth=3)


def empty_window(model: Model, params: Any, first: Any) -> tuple[Array, Array]:
    """The tokens that a model with a context has seen, (1, context), and how many they are."""
    return jnp.zeros((1, *model.input_shape), jnp.int32), jnp.zeros((), jnp.int32)


def advance_by_window(
    model: Model, params: Any, state: tuple[Array, Array], tokens: Array
) -> tuple[Array, tuple[Array, Array]]:
    """One token, for a model that reads its whole context anew; a full one loses its first."""
    seen, count = state
    full = count == seen.shape[1]
    seen, place = jnp.where(full, jnp.roll(seen, -1, axis=1), seen), count - full
    seen = seen.at[:, place].set(tokens)
    (logits, _), _ = model.fwd(params, seen)
    return logits[:, place], (seen, place + 1)


LANGUAGE: Mapping[str, LanguageRecipe] = {
    "lstm": LanguageRecipe(lstm, advance_by_state, 8, {"sgd": 1.0, "momentum": 0.1, "adam": 4e-3}),
    "gpt": LanguageRecipe(
        transformer,
        advance_by_window,
        8,
        {"sgd": 0.3, "momentum": 0.05, "adam": 3e-3},
        start=empty_window,
    ),
}


def add_text_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that only a language model has."""
    group = parser.add_argument_group("text", "what a language model writes at the end")
    group.add_argument("--prompt", default="The ", help='how the sample begins; default: "The "')
    group.add_argument("--length", metavar="N", default="400", help="bytes to write; default: 400")
    group.add_argument(
        "--temperature", metavar="T", default="0.7", help="0: the likeliest byte; default: 0.7"
    )


def check_model(data: str, model: str, known: Iterable[str]) -> str:
    """The model; raise OptionError for one that learns other data."""
    if model not in known:
        raise OptionError(f"--model {model} does not learn {data}, expected {', '.join(known)}")
    return model


def run_text(console: Console, args: argparse.Namespace) -> None:
    """Train, show every pass, write a sample."""
    settings = read_text_settings(args)
    recipe, text = LANGUAGE[settings.model], load_text()
    model = recipe.build()
    weights = sum(math.prod(w.shape) for layer in model.layers for w in layer.params.values())
    console.print(
        f"{model.name}, {weights:,} weights, on {len(text.train):,} bytes of English; "
        f"{settings.optimizer}, learning rate {settings.learning_rate:g}, {settings.rows} streams "
        f"in windows of {recipe.steps} bytes, seed {settings.seed}",
        soft_wrap=True,
    )
    trained = _train(console, settings, recipe, model, text)
    last = trained.history[-1]
    console.print(
        f"held-out text: {last.held_out:.3f} nats a byte ({last.held_out / math.log(2):.3f} bits) "
        f"after {last.seconds:.0f} s; a sample at temperature {settings.temperature:g}:",
        soft_wrap=True,
    )
    advance: Advance = partial(recipe.advance, model, trained.params)
    first = as_tokens(settings.prompt)[:1, None]
    written = sample(
        advance,
        recipe.start(model, trained.params, first),
        settings.prompt,
        settings.length,
        key=jax.random.key(settings.seed),
        temperature=settings.temperature,
    )
    console.print(written, markup=False, soft_wrap=True)
    if args.json is not None:
        record = {**settings._asdict(), "passes": [each._asdict() for each in trained.history]}
        args.json.write_text(json.dumps({"data": "text", **record, "sample": written}) + "\n")
        console.print(f"numbers: {args.json}", soft_wrap=True)


def read_text_settings(args: argparse.Namespace) -> TextSettings:
    """Read and check the values; raise OptionError for the first wrong one."""
    name = check_model(args.data, args.model or "lstm", LANGUAGE)
    recipe = LANGUAGE[name]
    if args.plot is not None:
        raise OptionError("--plot draws what the digits give; for text use --json")
    check_file("--json", args.json)
    batch: list[str] = args.batch or [str(recipe.rows)]
    if len(batch) > 1:
        raise OptionError("--batch takes one number for text: how many streams are read at once")
    rate = recipe.learning_rates[args.optimizer]
    if not args.prompt:
        raise OptionError("--prompt is empty, expected at least one character")
    return TextSettings(
        name,
        args.optimizer,
        integer("--batch", batch[0], 1),
        recipe.passes if args.epochs is None else integer("--epochs", args.epochs, 1),
        rate if args.lr is None else positive("--lr", args.lr),
        integer("--seed", args.seed, 0),
        args.prompt,
        integer("--length", args.length, 0),
        not_negative("--temperature", args.temperature),
    )


def _train(
    console: Console, settings: TextSettings, recipe: LanguageRecipe, model: Model, text: Text
) -> TrainedText:
    windows = (len(text.train) - 1) // (settings.rows * recipe.steps)
    schedule = make_optimizer(settings.optimizer, settings.learning_rate, windows * settings.passes)
    console.print("pass  loss  held out  seconds   (nats a byte)")
    with training_progress(console, "windows") as progress:
        task = progress.add_task("training", total=windows * settings.passes)
        return train_text(
            model,
            text,
            optimizer=optax.chain(optax.clip_by_global_norm(CLIP), schedule),
            key=jax.random.key(settings.seed),
            rows=settings.rows,
            steps=recipe.steps,
            passes=settings.passes,
            on_window=partial(_show_window, progress, task),
            on_pass=partial(_show_pass, progress),
        )


def _show_window(progress: Progress, task: Any, done: int, _: int) -> None:
    progress.update(task, completed=done)


def _show_pass(progress: Progress, each: Pass) -> None:
    progress.console.print(
        f"{each.number:4d} {each.loss:5.3f} {each.held_out:9.3f} {each.seconds:8.1f}"
    )
