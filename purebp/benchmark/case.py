"""A case: an op, the best-known form of it that autodiff differentiates, and two sizes of input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.models.model import Model
from purebp.op import Op

Draw = Callable[[np.random.Generator], Any]
Inputs = tuple[Draw, ...]


@dataclass(frozen=True)
class Case:
    """One row of the benchmark.

    Args:
        op: the hand-derived pair.
        baseline: the idiomatic JAX form, of the same arguments; `jax.vjp` differentiates it.
        against: what the baseline is, in words: "jax.nn.gelu".
        small, large: a draw for each argument; a small and a realistic size.
        options: what the op runs with; the baseline has them built in.
        torch: `(torch, *tensors) -> y`, the same in PyTorch, where PyTorch has it.
        label: tells two rows of one op apart.
        single: a single gate, which has nothing to fuse and can only tie.
        more_memory: the reason where residuals or temporaries may be larger than autodiff's.
    """

    op: Op
    baseline: Callable[..., Any]
    against: str
    small: Inputs
    large: Inputs
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    torch: Callable[..., Any] | None = None
    label: str = ""
    single: bool = False
    more_memory: str = ""

    @property
    def name(self) -> str:
        """The op's name, and the label."""
        return f"{self.op.name} {self.label}".strip()

    def inputs(self, size: str, seed: int = 0) -> tuple[Any, ...]:
        """The arguments of one size: "small" or "large"."""
        rng = np.random.default_rng(seed)
        return tuple(draw(rng) for draw in (self.small if size == "small" else self.large))


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Normal values in float32."""
    return partial(_normal, shape, scale)


def _normal(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> jax.Array:
    return jnp.asarray(scale * rng.standard_normal(shape, np.float32))


def uniform(low: float, high: float, *shape: int) -> Draw:
    """Values between two bounds in float32."""
    return partial(_uniform, low, high, shape)


def _uniform(
    low: float, high: float, shape: tuple[int, ...], rng: np.random.Generator
) -> jax.Array:
    return jnp.asarray(rng.uniform(low, high, shape), jnp.float32)


def positive(*shape: int) -> Draw:
    """Values from 0.5 to 2 in float32."""
    return uniform(0.5, 2, *shape)


def integers(*shape: int, below: int) -> Draw:
    """Labels, tokens or places: integers from 0 to below `below`."""
    return partial(_integers, shape, below)


def _integers(shape: tuple[int, ...], below: int, rng: np.random.Generator) -> jax.Array:
    return jnp.asarray(rng.integers(below, size=shape), jnp.int32)


def key(rng: np.random.Generator) -> jax.Array:
    """A PRNG key."""
    return jax.random.key(int(rng.integers(2**31)))


def nothing(rng: np.random.Generator) -> None:
    """An argument that is left out."""


def first_params(model: Model) -> Draw:
    """The first parameters of a model."""
    return partial(_first_params, model)


def _first_params(model: Model, rng: np.random.Generator) -> Any:
    return model.init(key(rng))
