"""Language models in training: they learn, their state goes on, and the command."""

import argparse
import json
import math

import jax
import numpy as np
import optax
import pytest

from purebp.errors import DivergenceError, ShapeError
from purebp.models import char_lstm
from purebp.training import add_train_command, text_command
from purebp.training.language import text_loss, train_text, zero_state
from purebp.training.text import Text, as_tokens
from purebp.training.text_command import LANGUAGE

COUNTING = as_tokens(" ".join(f"{i % 10}{i % 7}" for i in range(1500)))
TEXT = Text(COUNTING[:2000], COUNTING[4000:4300])
MODEL = char_lstm(128, 8, 16)


def test_a_simple_text_is_learned():
    windows = []
    trained = train_text(
        MODEL,
        TEXT,
        optimizer=optax.adam(0.02),
        key=jax.random.key(0),
        rows=4,
        steps=20,
        passes=3,
        on_window=lambda *done: windows.append(done),
    )
    assert windows[0] == (1, 72)
    assert windows[-1] == (72, 72)
    assert [each.number for each in trained.history] == [1, 2, 3]
    first, _, last = trained.history
    assert first.loss > last.loss
    assert last.held_out < 0.75 * math.log(10)
    again = text_loss(MODEL, trained.params, TEXT.held_out, steps=20)
    assert again == pytest.approx(last.held_out, rel=1e-5)


def test_the_loss_is_that_of_one_long_read():
    params = MODEL.init(jax.random.key(1))
    x, y = COUNTING[:120], COUNTING[1:121]
    logits, _ = MODEL(params, x[None])
    whole = -np.mean(jax.nn.log_softmax(logits[0])[np.arange(120), y])
    assert text_loss(MODEL, params, COUNTING[:121], rows=1, steps=30) == pytest.approx(whole)


def test_the_first_state_is_zeros():
    params = MODEL.init(jax.random.key(1))
    state = zero_state(MODEL, params, np.zeros((3, 5), np.int32))
    assert state["lstm1"]["h"].shape == (3, 16)
    assert not np.any(state["lstm1"]["c"])


def test_a_run_that_diverges_names_pass_and_window():
    with pytest.raises(DivergenceError, match=r"char_lstm diverged in pass 1, window \d+ of 24"):
        train_text(
            MODEL,
            TEXT,
            optimizer=optax.adam(1e38),
            key=jax.random.key(0),
            rows=4,
            steps=20,
            passes=1,
        )


def test_a_text_that_is_too_short():
    with pytest.raises(ShapeError, match="30 tokens are too few for 4 rows of 20 steps"):
        train_text(
            MODEL,
            Text(COUNTING[:30], COUNTING),
            optimizer=optax.sgd(0.1),
            key=jax.random.key(0),
            rows=4,
            steps=20,
        )


def run(*words):
    parser = argparse.ArgumentParser(prog="purebp")
    add_train_command(parser.add_subparsers(dest="command"))
    args = parser.parse_args(["train", *map(str, words)])
    return args.run(args)


def test_the_command_trains_and_writes(capsys, monkeypatch, tmp_path):
    recipe = LANGUAGE["lstm"]._replace(build=lambda: char_lstm(256, 8, 16), rows=8, steps=20)
    monkeypatch.setitem(LANGUAGE, "lstm", recipe)
    monkeypatch.setattr(text_command, "load_text", lambda: TEXT)
    numbers = tmp_path / "run.json"
    words = ("--epochs", 2, "--prompt", "12 ", "--length", 20, "--json", numbers)
    assert run("text", *words) == 0
    out = capsys.readouterr().out
    assert "char_lstm, 8,000 weights, on 2,000 bytes of English" in out
    assert "a sample at temperature 0.7:\n12 " in out
    found = json.loads(numbers.read_text())
    assert [each["number"] for each in found["passes"]] == [1, 2]
    assert found["sample"].startswith("12 ")
    assert 3 < len(found["sample"]) <= 23  # some bytes may be one character together


WRONG = {
    "text --model conv": "--model conv does not learn text, expected lstm, gpt",
    "digits --model lstm": "--model lstm does not learn digits, expected linear, mlp",
    "text --batch 8 16": "--batch takes one number for text",
    "text --batch full": "--batch is 'full', expected an integer from 1 on",
    "text --temperature -1": "--temperature is '-1', expected a number from 0 on",
    "text --length -1": "--length is '-1', expected an integer from 0 on",
    "text --plot a.png": "--plot draws what the digits give",
    "text --json no/where": "--json: 'no/where' is in a directory that does not exist",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage_is_answered_in_one_line(capsys, words):
    assert run(*words.split()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"purebp train: {WRONG[words]}")
    assert err.count("\n") == 1
