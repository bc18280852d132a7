"""The programs that are compared: forward and backward pass in one, by hand and by others."""

from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from purebp.benchmark.case import Case
from purebp.op import FIXED, Op

Program = Callable[..., Any]


class Split(NamedTuple):
    """The leaves of arguments: those that are differentiated, and the others."""

    tree: Any
    real: tuple[bool, ...]

    def chosen(self, args: tuple[Any, ...]) -> list[Array]:
        """The leaves that have a cotangent."""
        return [x for x, real in zip(jax.tree.leaves(args), self.real, strict=True) if real]

    def join(self, chosen: list[Array], args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with other values of the differentiated leaves."""
        rest = iter(chosen)
        leaves = [
            next(rest) if real else x
            for x, real in zip(jax.tree.leaves(args), self.real, strict=True)
        ]
        return cast(tuple[Any, ...], jax.tree.unflatten(self.tree, leaves))


def split_of(args: tuple[Any, ...], op: Op | None = None) -> Split:
    """Which leaves of the arguments are differentiated: those of floats that are not fixed."""
    domains = {} if op is None else op.domains
    names = [] if op is None else [parameter.name for parameter in op.signature.parameters]
    real = list[bool]()
    for name, arg in zip_longest(names[: len(args)], args):
        fixed = domains.get(name) == FIXED
        leaves = jax.tree.leaves(arg)
        real += [not fixed and jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]
    return Split(jax.tree.structure(args), tuple(real))


class Passes(NamedTuple):
    """The forward pass, args -> (output, kept), and the backward pass, (kept, y_bar) -> bars."""

    forward: Program
    backward: Program

    def together(self, args: tuple[Any, ...], y_bar: Any) -> tuple[Any, Any]:
        """Both in one program: XLA may merge them, as it can where nothing lies between."""
        y, kept = self.forward(args)
        return y, self.backward(kept, y_bar)


def by_hand(case: Case) -> Passes:
    """The op's own fwd and bwd."""

    def forward(args: tuple[Any, ...]) -> tuple[Any, Any]:
        return cast(tuple[Any, Any], case.op.fwd(*args, **case.options))

    def backward(res: Any, y_bar: Any) -> list[Array]:
        return jax.tree.leaves(case.op.bwd(res, y_bar))

    return Passes(forward, backward)


def by_autodiff(case: Case) -> Passes:
    """jax.vjp of the baseline."""

    def forward(args: tuple[Any, ...]) -> tuple[Any, Any]:
        split = split_of(args, case.op)

        def function(chosen: list[Array]) -> Any:
            return case.baseline(*split.join(chosen, args))

        if case.op.has_aux:
            y, pull, aux = jax.vjp(function, split.chosen(args), has_aux=True)
            return (y, aux), pull
        return cast(tuple[Any, Any], jax.vjp(function, split.chosen(args)))

    def backward(pull: Any, y_bar: Any) -> list[Array]:
        return jax.tree.leaves(pull(y_bar))

    return Passes(forward, backward)


def by_torch(case: Case, torch: Any, args: tuple[Any, ...], y_bar: Any) -> Callable[[], Any]:
    """The same in PyTorch, eager, on tensors of its own."""
    assert case.torch is not None
    form = case.torch

    def tensor(leaf: Array) -> Any:
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return None
        return torch.from_numpy(np.array(leaf)).requires_grad_(
            bool(jnp.issubdtype(leaf.dtype, jnp.inexact))
        )

    tensors = jax.tree.map(tensor, args)
    chosen = [leaf for leaf in jax.tree.leaves(tensors) if leaf.requires_grad]
    upstream = jax.tree.map(torch.from_numpy, jax.tree.map(np.array, y_bar))

    def run() -> Any:
        y = form(torch, *tensors)
        return torch.autograd.grad(y, chosen, upstream)

    return run


def cotangent(case: Case, args: tuple[Any, ...], seed: int = 1) -> Any:
    """A cotangent of the output: 1 for a scalar, normal values otherwise."""
    out = jax.eval_shape(partial(case.op.fwd, **case.options), *args)[0]
    rng = np.random.default_rng(seed)

    def draw(leaf: Any) -> Array:
        if not leaf.shape:
            return jnp.ones((), leaf.dtype)
        return jnp.asarray(rng.standard_normal(leaf.shape), leaf.dtype)

    return jax.tree.map(draw, out[0] if case.op.has_aux else out)


def residual_bytes(passes: Passes, args: tuple[Any, ...]) -> int:
    """What is kept from the forward to the backward pass, each array once."""

    def kept(args: tuple[Any, ...]) -> list[Any]:
        return _distinct(passes.forward(args)[1])

    return _bytes(jax.eval_shape(kept, args))


def _distinct(residuals: Any) -> list[Any]:
    return list({id(leaf): leaf for leaf in jax.tree.leaves(residuals)}.values())


def _bytes(leaves: list[Any]) -> int:
    return sum(
        leaf.size * leaf.dtype.itemsize
        for leaf in leaves
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    )
