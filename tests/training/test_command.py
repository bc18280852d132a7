"""The command `purebp train`, run in this process."""

import argparse
import json
import sys

import pytest

from purebp.training import add_train_command


def run(*words):
    parser = argparse.ArgumentParser(prog="purebp")
    add_train_command(parser.add_subparsers(dest="command"))
    args = parser.parse_args(["train", "digits", *map(str, words)])
    return args.run(args)


def test_a_run_prints_every_epoch_and_the_layers(capsys):
    assert run("--model", "mlp", "--optimizer", "sgd", "--epochs", 3) == 0
    out = capsys.readouterr().out
    assert "two_layer_net, 9,610 weights, on 1,347 digits; sgd" in out
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert float(rows[2][1]) < float(rows[0][1])
    assert float(rows[2][3].rstrip("%")) > 80
    for word in ("gradient norm", "dead ReLUs", "affine1", "relu1", "affine2", "test accuracy"):
        assert word in out


def test_gradient_descent_and_mini_batches_side_by_side(capsys, tmp_path):
    plot, numbers = tmp_path / "curves.png", tmp_path / "runs.json"
    words = ("--model", "linear", "--optimizer", "sgd", "--epochs", 4, "--batch", "full", 64)
    assert run(*words, "--plot", plot, "--json", numbers) == 0
    out = capsys.readouterr().out
    assert "batch full (1 update an epoch)" in out
    assert "batch 64 (22 updates an epoch)" in out
    assert "the same number of epochs; batch full is gradient descent" in out
    assert plot.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert plot.stat().st_size > 10_000
    full, batches = json.loads(numbers.read_text())["runs"]
    assert (full["batch"], full["updates_per_epoch"]) == ("full", 1)
    assert (batches["batch"], batches["updates_per_epoch"]) == (64, 22)
    assert [epoch["epoch"] for epoch in full["epochs"]] == [1, 2, 3, 4]
    assert batches["epochs"][-1]["loss"] < full["epochs"][-1]["loss"]
    assert set(full["epochs"][0]["gradient_norms"]) == {"affine1"}


def test_the_seed_is_that_of_the_run(tmp_path):
    def loss(seed):
        file = tmp_path / "runs.json"
        words = ("--model", "linear", "--batch", "full", "--epochs", 1, "--json", file)
        assert run(*words, "--seed", seed) == 0
        found = json.loads(file.read_text())
        assert found["seed"] == seed
        return found["runs"][0]["epochs"][0]["loss"]

    assert loss(1) != loss(2)


WRONG = {
    "--batch 0": "--batch is '0', expected an integer from 1 on or 'full'",
    "--batch some": "--batch is 'some', expected an integer from 1 on or 'full'",
    "--batch 1348": "batch is 1348, expected 'full' or a number from 1 to 1347",
    "--epochs 0": "--epochs is '0', expected an integer from 1 on",
    "--epochs 1.5": "--epochs is '1.5', expected an integer from 1 on",
    "--lr 0": "--lr is '0', expected a positive number",
    "--lr nan": "--lr is 'nan', expected a positive number",
    "--lr fast": "--lr is 'fast', expected a positive number",
    "--seed one": "--seed is 'one', expected an integer from 0 on",
    "--plot curves.pdf": "--plot is 'curves.pdf', expected a name that ends in .png",
    "--plot nowhere/at/all.png": "--plot: 'nowhere/at/all.png' is in a directory that does not",
    "--json nowhere/at/all": "--json: 'nowhere/at/all' is in a directory that does not exist",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage_is_answered_in_one_line(capsys, words):
    assert run("--model", "linear", *words.split()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"purebp train: {WRONG[words]}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--plot", "--json"])
def test_a_directory_is_no_file(capsys, tmp_path, option):
    folder = tmp_path / "folder.png"
    folder.mkdir()
    assert run("--model", "linear", option, folder) == 3
    assert "is a directory" in capsys.readouterr().err


def test_without_matplotlib_the_error_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run("--model", "linear", "--plot", tmp_path / "a.png") == 3
    assert "--plot needs matplotlib" in capsys.readouterr().err


def test_without_scikit_learn_the_error_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert run("--model", "linear") == 3
    err = capsys.readouterr().err
    assert err == (
        "purebp train: training on digits needs scikit-learn, which is not installed; "
        "pip install 'purebp[examples]'\n"
    )


def test_a_run_that_diverges_fails(capsys):
    assert run("--model", "mlp", "--optimizer", "sgd", "--epochs", 2, "--lr", "1e30") == 1
    err = capsys.readouterr().err
    assert "two_layer_net diverged in epoch 1, step" in err
    assert err.count("\n") == 1
