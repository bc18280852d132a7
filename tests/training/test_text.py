"""The text: its split, the streams, the samples."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purebp.errors import MissingPackageError, OptionError, ShapeError
from purebp.training.text import (
    as_text,
    as_tokens,
    draw_token,
    load_text,
    sample,
    split_paragraphs,
    streams,
)


def test_the_text_is_english_and_no_paragraph_is_in_both_parts():
    text = load_text()
    assert 250_000 < len(text.train) < 600_000
    assert 0.05 < len(text.held_out) / len(text.train) < 0.2
    parts = [set(as_text(part).split("\n\n")) for part in text]
    assert not parts[0] & parts[1]
    assert " the " in as_text(text.held_out)


def test_paragraphs_are_taken_once_and_every_tenth_block_is_held_out():
    paragraphs = [f"paragraph {i}" for i in range(200)]
    text = split_paragraphs("\n\n".join([*paragraphs, *paragraphs[:50]]))
    held_out = as_text(text.held_out).split("\n\n")
    assert held_out == [*paragraphs[90:100], *paragraphs[190:200]]
    assert len(as_text(text.train).split("\n\n")) == 180


def test_without_the_topics_the_error_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(MissingPackageError, match=r"needs pydoc_data\.topics"):
        load_text()


def test_streams_go_on_from_window_to_window():
    tokens = np.arange(31)
    x, y = streams(tokens, 2, 5)
    assert x.shape == y.shape == (3, 2, 5)
    np.testing.assert_array_equal(np.concatenate(list(x), axis=1), tokens[:30].reshape(2, 15))
    np.testing.assert_array_equal(y, x + 1)
    with pytest.raises(ShapeError, match="10 tokens are too few for 2 rows of 5 steps"):
        streams(tokens[:10], 2, 5)


def test_tokens_are_bytes():
    assert as_text(as_tokens("naïve é")) == "naïve é"
    assert as_text([255]) == "\ufffd"


def test_the_temperature_is_that_of_the_distribution():
    logits = jnp.log(jnp.asarray([0.2, 0.8]))
    keys = jax.random.split(jax.random.key(0), 4000)
    for temperature in (0.0, 0.5, 1.0):
        drawn = jax.vmap(lambda key, t=temperature: draw_token(key, logits, t))(keys)
        expected = 1.0 if temperature == 0 else 1 / (1 + 0.25 ** (1 / temperature))
        assert np.mean(drawn) == pytest.approx(expected, abs=0.02)


def count_up(state, tokens):
    """A model that knows for sure: the next letter, in steps of what it saw first."""
    return 1e9 * jax.nn.one_hot(tokens + 1, 256), state + 1


def test_a_sample_goes_on_from_the_prompt():
    assert sample(count_up, 0, "xyab", 4, key=jax.random.key(0)) == "xyabcdef"
    assert sample(count_up, 0, "a", 0, key=jax.random.key(0)) == "a"
    with pytest.raises(OptionError, match="prompt is empty"):
        sample(count_up, 0, "", 4, key=jax.random.key(0))
    with pytest.raises(OptionError, match="temperature -1"):
        sample(count_up, 0, "a", 4, key=jax.random.key(0), temperature=-1)
