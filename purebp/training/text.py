"""Real English without a download: the help topics that ship inside CPython, byte by byte.

Data, streams and sampling, for any language model.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from purebp.errors import MissingPackageError, OptionError, ShapeError

VOCABULARY = 256
BLOCK, EVERY = 10, 10

Advance = Callable[[Any, Array], tuple[Array, Any]]
"""(state, tokens (1,)) -> (logits (1, v) of the next token, state)"""


class Text(NamedTuple):
    """Bytes to learn from and bytes to test on.

    Example:
        >>> import numpy as np
        >>> Text(np.array([104, 105], np.uint8), np.array([33], np.uint8)).train.size
        2
    """

    train: np.ndarray
    held_out: np.ndarray


def load_text() -> Text:
    """The help topics of this Python, about 370,000 bytes, each paragraph once.

    Of every ten blocks of ten paragraphs the last is held out. Another version of Python has
    other topics.

    Raises:
        MissingPackageError: this Python comes without pydoc_data.

    Example:
        >>> text = load_text()
        >>> text.train.size > 250_000
        True
    """
    try:
        topics: dict[str, str] = import_module("pydoc_data.topics").topics
    except ImportError:
        raise MissingPackageError(
            "the text needs pydoc_data.topics of CPython's standard library, which this Python "
            "comes without; install the full standard library"
        ) from None
    return split_paragraphs("\n\n".join(topics[name] for name in sorted(topics)))


def split_paragraphs(text: str) -> Text:
    """Each paragraph once; of every ten blocks of ten paragraphs the last is held out."""
    paragraphs = list(dict.fromkeys(text.split("\n\n")))
    blocks = ["\n\n".join(paragraphs[i : i + BLOCK]) for i in range(0, len(paragraphs), BLOCK)]
    last = EVERY - 1
    kept = [block for i, block in enumerate(blocks) if i % EVERY != last]
    return Text(as_tokens("\n\n".join(kept)), as_tokens("\n\n".join(blocks[last::EVERY])))


def as_tokens(text: str) -> np.ndarray:
    """The bytes of a text in UTF-8, as integers from 0 to 255."""
    return np.frombuffer(text.encode(), np.uint8).astype(np.int32)


def as_text(tokens: Any) -> str:
    """The text of some bytes; what is not UTF-8 is replaced."""
    return bytes(np.asarray(tokens).astype(np.uint8)).decode(errors="replace")


def streams(tokens: np.ndarray, rows: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(x, y) of shape (windows, rows, steps): `rows` streams that are read side by side.

    Window after window goes on in each row where the one before ended; y is x one step later.
    What does not fill a window is left out.
    """
    windows = (len(tokens) - 1) // (rows * steps)
    if windows < 1:
        raise ShapeError(
            f"streams: {len(tokens)} tokens are too few for {rows} rows of {steps} steps, "
            f"expected more than {rows * steps}"
        )
    used = windows * rows * steps
    pair = (tokens[:used], tokens[1 : used + 1])
    x, y = (part.reshape(rows, windows, steps).swapaxes(0, 1) for part in pair)
    return x, y


def draw_token(key: Array, logits: Array, temperature: float) -> Array:
    """A token drawn with softmax(logits / temperature); the likeliest one at temperature 0."""
    if temperature == 0:
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return jax.random.categorical(key, logits / temperature, axis=-1).astype(jnp.int32)


def sample(
    advance: Advance,
    state: Any,
    prompt: str,
    length: int,
    *,
    key: Array,
    temperature: float = 1.0,
) -> str:
    """The prompt, and `length` more bytes that the model draws one after the other.

    Example:
        >>> def advance(state, tokens):
        ...     return jax.nn.one_hot((tokens + 1) % 256, 256) * 100.0, state
        >>> sample(advance, None, "abc", 5, key=jax.random.key(0))
        'abcdefgh'
    """
    if not prompt:
        raise OptionError("sample: prompt is empty, expected at least one character")
    if length < 0 or not temperature >= 0:
        raise OptionError(
            f"sample: length is {length} and temperature {temperature}, expected numbers from 0 on"
        )
    tokens = jnp.asarray(as_tokens(prompt))
    known = jnp.concatenate([tokens[1:], jnp.full(length, -1, tokens.dtype)])
    keys = jax.random.split(key, len(known))
    run = jax.jit(partial(_run, advance, temperature))
    return prompt + as_text(run(state, tokens[:1], known, keys)[len(tokens) - 1 :])


def _run(
    advance: Advance, temperature: float, state: Any, first: Array, known: Array, keys: Array
) -> Array:
    """The token after each: the known one, or where that is -1 a drawn one."""

    def step(carry: Any, xs: tuple[Array, Array]) -> tuple[Any, Array]:
        (state, token), (known, key) = carry, xs
        logits, state = advance(state, token)
        token = jnp.where(known < 0, draw_token(key, logits, temperature), known)
        return (state, token), token[0]

    return lax.scan(step, (state, first), (known, keys))[1]
