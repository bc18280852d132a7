"""A GPT in the command `purebp train text`: it writes with a window that slides."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from purebp.models import gpt
from purebp.training.language import train_text
from purebp.training.text import Text, as_tokens
from purebp.training.text_command import LANGUAGE, advance_by_window, empty_window

MODEL = gpt(128, 8, width=16, heads=2, depth=1)
COUNTING = as_tokens(" ".join(f"{i % 10}{i % 7}" for i in range(1000)))


def test_each_token_is_read_with_those_before_it():
    params = jax.tree.map(lambda w: 20 * w, MODEL.init(jax.random.key(0)))
    tokens = jnp.arange(11) % 7 + 1
    read = jax.jit(lambda state, token: advance_by_window(MODEL, params, state, token))
    forward = jax.jit(lambda x: MODEL.fwd(params, x)[0][0])
    state = empty_window(MODEL, params, None)
    for count in range(1, 12):
        logits, state = read(state, tokens[count - 1 : count])
        seen = tokens[max(0, count - 8) : count]
        padded = jnp.pad(seen, (0, 8 - len(seen)))
        wanted = forward(padded[None])[:, len(seen) - 1]
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-5)


def test_it_learns_with_the_same_loop():
    trained = train_text(
        MODEL,
        Text(COUNTING[:2000], COUNTING[2000:2600]),
        optimizer=optax.adam(0.01),
        key=jax.random.key(0),
        rows=8,
        steps=8,
        passes=3,
    )
    assert trained.history[-1].held_out < 0.75 * trained.history[0].loss


def test_the_recipe_fits_its_model():
    recipe = LANGUAGE["gpt"]
    model = recipe.build()
    assert model.input_shape == (recipe.steps,)
    assert recipe.start is empty_window
