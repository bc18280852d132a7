"""Which functions of a file are the two halves of a pair, by their names."""

import re
from collections.abc import Sequence
from typing import NamedTuple

FORWARD, BACKWARD = ("forward", "fwd"), ("backward", "bwd")
MATES = {"forward": "backward", "fwd": "bwd"}
VARIANTS = ("alt", "fast", "naive", "strides", "im2col", "vectorized", "efficient", "v2", "2")
"""Endings of another backward of the same forward."""


class Pair(NamedTuple):
    """A layer: its name, and its functions; one of them is empty where it was not found."""

    name: str
    forward: str
    backward: str


def pairs_among(names: Sequence[str]) -> list[Pair]:
    """All pairs, in the order of the file, and the halves that are left alone."""
    known = set(names)
    pairs = list[Pair]()
    used = set[str]()
    for name in names:
        word = _word(name, FORWARD)
        mate = _replaced(name, word, MATES[word]) if word else ""
        if mate in known and mate not in used:
            pairs.append(Pair(layer_name(name), name, mate))
            used |= {name, mate}
    for name in names:
        if _word(name, BACKWARD) and name not in used:
            forward = _forward_of_variant(name, known)
            pairs.append(Pair(layer_name(name), forward, name))
            used |= {name, forward}
    lone = [name for name in names if _word(name, FORWARD) and name not in used]
    pairs += [Pair(layer_name(name), name, "") for name in lone]
    order = {name: place for place, name in enumerate(names)}
    pairs.sort(key=lambda pair: order[pair.forward or pair.backward])
    return [pair for pair in _renamed(pairs) if (pair.forward and pair.backward) or pair.name]


def layer_name(name: str) -> str:
    """The name without the word that says which half it is."""
    word = _word(name, FORWARD + BACKWARD)
    return re.sub(r"__+", "_", _replaced(name, word, "")).strip("_")


def _word(name: str, words: Sequence[str]) -> str:
    """Which of some words is part of a name, as a word of its own."""
    parts = name.lower().split("_")
    return next((word for word in words if word in parts), "")


def _replaced(name: str, word: str, other: str) -> str:
    return re.sub(rf"(?<![a-z]){word}(?![a-z])", other, name, count=1)


def _forward_of_variant(backward: str, known: set[str]) -> str:
    """batchnorm_backward_alt belongs to batchnorm_forward, where it has no forward of its own."""
    for forward_word, word in MATES.items():
        forward = _replaced(backward, word, forward_word)
        for ending in VARIANTS:
            plain = forward.removesuffix(f"_{ending}")
            if plain != forward and plain in known:
                return plain
    return ""


def _renamed(pairs: list[Pair]) -> list[Pair]:
    """A name that two pairs share is followed by the name of the backward function."""
    names = [pair.name for pair in pairs]
    return [
        pair._replace(name=f"{pair.name} ({pair.backward or pair.forward})")
        if pair.name and names.count(pair.name) > 1
        else pair
        for pair in pairs
    ]
