"""What a backward pass keeps from the forward pass, by hand and by autodiff."""

import math
from typing import Any

import jax

from purebp.verification.cases import make_args, variants
from purebp.verification.probe import Probe
from purebp.verification.target import Target


def residual_bytes(target: Target) -> tuple[int | None, int | None]:
    """Bytes that the hand-written pair and autodiff save between forward and backward."""
    largest: tuple[int, int] | None = None
    if target.numpy is not None:
        return None, None
    for variant in variants(target)[:2]:
        probe = Probe(target, variant)
        args = make_args(target, probe.first)
        chosen, rest = probe.layout.split(args)
        autodiff = jax.eval_shape(
            lambda c, p=probe, r=rest: jax.vjp(lambda c: p.reference_leaves(c, r), c)[1], chosen
        )
        hand = jax.eval_shape(lambda c, p=probe, r=rest: _saved(p, c, r), chosen)
        pair = (_bytes(hand), _bytes(autodiff))
        largest = pair if largest is None else max(largest, pair, key=sum)
    return largest if largest is not None else (None, None)


def _saved(probe: Probe, chosen: Any, rest: Any) -> Any:
    target = probe.target
    if target.save is not None:
        return target.save(probe.settings, *probe.layout.join(chosen, rest))
    return jax.vjp(lambda c: probe.forward_leaves(c, rest), chosen)[1]


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
