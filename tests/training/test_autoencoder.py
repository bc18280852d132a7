"""The VAE learns the digits: the bound, the command, its picture."""

import argparse
import json

import jax
import numpy as np
import optax
import pytest

from purebp import DivergenceError
from purebp.models import vae
from purebp.training import add_train_command, load_digits, train_vae
from purebp.training.autoencoder import _check_finite
from purebp.training.autoencoder_command import as_text, show
from purebp.training.recipes import AUTOENCODERS, OPTIMIZERS

DATA = load_digits(flat=True)


def run(*words):
    parser = argparse.ArgumentParser(prog="purebp")
    add_train_command(parser.add_subparsers(dest="command"))
    args = parser.parse_args(["train", "digits", "--model", "vae", *map(str, words)])
    return args.run(args)


def train(model, **options):
    settings = {"optimizer": optax.adam(2e-3), "key": jax.random.key(0)} | options
    return train_vae(model, DATA.x_train, DATA.x_test, **settings)


def test_the_bound_rises_and_digits_come_back():
    model = vae(64, 64, 8)
    params, history = train(model, epochs=30)
    assert [each.epoch for each in history] == list(range(1, 31))
    assert history[0].elbo < -30
    assert history[-1].held_out > -26
    assert history[-1].held_out == pytest.approx(history[-1].elbo, abs=1)
    for each in history:
        assert each.elbo == -(each.reconstruction + each.divergence)
        assert each.divergence > 0
    digits = show(model, params, DATA, jax.random.key(1))
    assert [len(images) for images in digits] == [10, 10, 30]
    error, blur = (
        np.mean((digits.held_out - other) ** 2)
        for other in (digits.reconstructed, digits.held_out.mean(axis=0))
    )
    assert error < blur / 2


def test_a_loss_that_is_not_finite():
    with pytest.raises(DivergenceError, match="vae diverged in epoch 2: the loss is not finite"):
        _check_finite(vae(64, 4, 2), 2, (np.nan, 1.0))


def test_the_command_shows_the_bound_and_the_digits(capsys, tmp_path):
    plot, numbers = tmp_path / "digits.png", tmp_path / "run.json"
    assert run("--epochs", 2, "--plot", plot, "--json", numbers) == 0
    out = capsys.readouterr().out
    assert "vae, 39,504 weights, on 1,347 digits; adam, learning rate 0.004, batch 32" in out
    assert "held-out digits: evidence lower bound -" in out
    assert "@@" in out
    assert plot.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    first, last = json.loads(numbers.read_text())["epochs"]
    assert last["held_out"] > first["held_out"]


WRONG = {
    "--batch 16 32": "--batch takes one value for vae",
    "--epochs 0": "--epochs is '0', expected an integer from 1 on",
    "--plot digits.pdf": "--plot is 'digits.pdf', expected a name that ends in .png",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage_is_answered_in_one_line(capsys, words):
    assert run(*words.split()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"purebp train: {WRONG[words]}\n"


def test_images_side_by_side_as_text():
    images = np.array([[[0.0, 1.0]], [[0.55, 0.0]]])
    assert as_text(images) == "  @@  ++  \n"


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_recipe_fits_the_digits(name):
    recipe = AUTOENCODERS[name]
    assert recipe.build().input_shape == DATA.x_train.shape[1:]
    assert set(recipe.learning_rates) == set(OPTIMIZERS)
