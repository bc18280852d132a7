"""The one view of everything that can be verified."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from purebp.op import Domain, Tolerance
from purebp.signature import Parameter
from purebp.verification.given import Given
from purebp.verification.numpy_pair import NumpyPair
from purebp.verification.rules import Rule

Function = Callable[..., Any]

UNKNOWN_CONDITION = Tolerance(
    factor=16, conditioned=True, reason="a custom layer does not declare how it cancels"
)


@dataclass(frozen=True)
class Target:
    """A hand-written derivative seen as two functions, and what is known of its arguments.

    `sixteen_bits`: it promises to be right in bfloat16 and float16, or to refuse them. `given`:
    the example arguments, where these are all that is known of it; `unexplored`: the options of
    which only the default is tried. `defaults`, `domains`, `sizes` and `example` are
    known of an Op alone.
    `undifferentiated`: the arguments that nobody asks the gradient of; `without_gradient`: what
    the report says has none.
    `differences`: the slopes of the reference are taken by finite differences. `once`: nobody
    expects it to be differentiated twice.
    `declared`: the reference says with stop_gradient what its slopes are to be, as those of a
    straight-through estimator; they are not those of its values.
    `rules`: the hand-written rules of a function that contains some; `alone(target, rule)` is the
    target with all of them opened but one, or with all (None).
    `forward(settings, *args) -> y`, `pull(settings, args, y_bar) -> (y, cotangents)`, and
    `reference(settings, *args) -> y`, the plain function that oracles differentiate.
    """

    name: str
    source: Any
    forward: Function
    pull: Function
    reference: Function
    reference_name: str
    parameters: tuple[Parameter, ...]
    options: Mapping[str, tuple[Any, ...]]
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    domains: Mapping[str, Domain] = field(default_factory=dict[str, Domain])
    sizes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])
    tolerance: Tolerance = UNKNOWN_CONDITION
    example: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    save: Function | None = None
    sixteen_bits: bool = False
    given: Given | None = None
    unexplored: tuple[str, ...] = ()
    numpy: NumpyPair | None = None
    rules: tuple[Rule, ...] = ()
    alone: Callable[["Target", Rule | None], "Target"] | None = None
    differences: bool = False
    undifferentiated: frozenset[str] = frozenset()
    without_gradient: tuple[str, ...] = ()
    once: bool = False
    declared: bool = False

    def argument_name(self, index: int) -> str:
        """The name of the argument at a position."""
        return self.parameters[index].name if index < len(self.parameters) else f"argument {index}"
