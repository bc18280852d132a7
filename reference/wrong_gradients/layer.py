"""The shape of an entry."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Layer(NamedTuple):
    """A layer whose backward pass somebody got wrong, beside the same layer done right.

    Attributes:
        name: unique among all.
        bug: its number in the list of real bugs.
        wrong: the layer as `purebp.verify` takes it: a pair, a custom_vjp, a NumPy pair.
        right: its twin.
        example: ordinary arguments, the first that somebody would try.
        diagnosis: what is wrong, in the words of a report.
        reference: the plain function, where autodiff of the forward cannot serve.
        why: what there is to say about it.
    """

    name: str
    bug: str
    wrong: Any
    right: Any
    example: Callable[[np.random.Generator], tuple[Any, ...]]
    diagnosis: str
    reference: Callable[..., Any] | None = None
    why: str = ""
