"""What travels from `fwd` to `bwd`: residuals, with shapes and options as static nodes."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import explicit_sharding
from purebp.errors import ArgumentError, DtypeError, ShapeError
from purebp.signature import as_array


@jax.tree_util.register_static
@dataclass(frozen=True)
class Static:
    """A hashable value that travels in a pytree without being traced."""

    value: Any


@jax.tree_util.register_static
@dataclass(frozen=True)
class Spec:
    """The shape and dtype of an array, as a static node of a pytree.

    On a mesh with Explicit axes the sharding is part of an array's type, and kept here too.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sharding: Any = None

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def spec_of(x: Any) -> Spec:
    """The shape and dtype of an array."""
    return Spec(tuple(x.shape), np.dtype(x.dtype), explicit_sharding(x))


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["values"],
    meta_fields=["saved_by", "settings", "output", "arity"],
)
@dataclass(frozen=True)
class Residuals:
    """What `fwd` saves for `bwd`: the values, and statically the options it ran with."""

    values: Any
    saved_by: str
    settings: tuple[tuple[str, Any], ...]
    output: tuple[Any, tuple[Spec, ...]]
    arity: int


def output_specs(y: Any) -> tuple[Any, tuple[Spec, ...]]:
    """The tree, and the shape and dtype of each array of an output."""
    leaves, tree = jax.tree.flatten(y)
    arrays = [leaf if hasattr(leaf, "shape") else jnp.asarray(leaf) for leaf in leaves]
    return tree, tuple(map(spec_of, arrays))


def check_cotangent(op: str, output: tuple[Any, tuple[Spec, ...]], y_bar: Any) -> Any:
    """Return `y_bar` as arrays, or raise if it does not fit the output of the forward pass."""
    tree, specs = output
    leaves, came = jax.tree.flatten(y_bar)
    if came != tree:
        raise ArgumentError(
            f"{op}: y_bar has the structure {came}, expected {tree} like the output"
        )
    checked = [
        _check_cotangent_leaf(op, spec, leaf) for spec, leaf in zip(specs, leaves, strict=True)
    ]
    return jax.tree.unflatten(tree, checked)


def _check_cotangent_leaf(op: str, spec: Spec, leaf: Any) -> Any:
    numbers = int | float | complex if np.dtype(spec.dtype).kind == "c" else int | float
    if isinstance(leaf, numbers):
        leaf = jnp.asarray(leaf, spec.dtype)
    if not jnp.issubdtype(spec.dtype, jnp.inexact):
        return leaf
    leaf = as_array(op, "y_bar", leaf)
    if leaf.shape != spec.shape:
        raise ShapeError(
            f"{op}: y_bar has shape {leaf.shape}, expected {spec.shape} like the output"
        )
    if leaf.dtype != spec.dtype:
        raise DtypeError(
            f"{op}: y_bar has dtype {leaf.dtype}, expected {spec.dtype} like the output"
        )
    return leaf
