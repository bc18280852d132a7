"""The rule of `shard_map`: back through the same devices, each through its own part.

The residuals of a device stay where they are. Where JAX does not keep track of what varies over the
devices, an output that is the same on n of them counts as their mean, and the cotangents of an
operand that several share add up.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from purebp.autodiff.rule import Rule, Step, Values, arrived
from purebp.autodiff.split import Split, evaluate, split
from purebp.compat import like_aval, varying_axes

NOWHERE = PartitionSpec()


class Kept(NamedTuple):
    """What a device leaves behind: its program in two parts, the operands, the residuals."""

    parts: Split
    specs: tuple[Any, ...]
    args: Values
    residuals: list[Any]


def _forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    params = step.equation.params
    parts = _parts_of(step)
    specs = tuple(_spec_of(v, params) for v in parts.residuals)

    def on_each(*own: Any) -> list[Any]:
        values = {**parts.known, **_by(parts.inputs, own)}
        found = evaluate(parts.forward, values, [*parts.outputs, *parts.residuals])
        count = len(parts.outputs)
        return [*found[:count], *(jnp.expand_dims(x, 0) for x in found[count:])]

    outputs = [*params["out_specs"], *specs]
    found = _mapped(step, on_each, params["in_specs"], outputs)(*args)
    count = len(parts.outputs)
    return list(found[:count]), Kept(parts, specs, args, list(found[count:]))


def _backward(step: Step, kept: Kept, bars: Values) -> Values:
    params, parts = step.equation.params, kept.parts
    coming = _chosen(params["out_specs"], step.arriving)
    wanted = [v is not None for v in parts.bars_of_inputs]
    leaving = _chosen(params["in_specs"], wanted)
    is_counted = params["check_vma"]
    bars = arrived(step, bars)
    if not is_counted:
        shares = [_copies(spec, params) for spec in coming]
        bars = [bar / share for bar, share in zip(bars, shares, strict=True)]

    def on_each(own: Any, residuals: Any, bars: Any) -> list[Any]:
        values = {**parts.known, **_by(parts.inputs, own), **_by(parts.bars, bars)}
        values |= _by(parts.residuals, [jnp.squeeze(x, 0) for x in residuals])
        found = evaluate(parts.backward, values, _chosen(parts.bars_of_inputs, wanted))
        if is_counted:
            return found
        axes = [_unmentioned(spec, params) for spec in leaving]
        return [lax.psum(x, over) if over else x for x, over in zip(found, axes, strict=True)]

    operands = (list(params["in_specs"]), list(kept.specs), coming)
    found = iter(_mapped(step, on_each, operands, leaving)(list(kept.args), kept.residuals, bars))
    return [next(found) if use else None for use in wanted]


shard_map = Rule(_forward, _backward)


def _parts_of(step: Step) -> Split:
    """The program of a device in two parts, traced where the names of the mesh are known."""
    body, found = step.equation.params["jaxpr"], list[Split]()

    def trace(*_: Any) -> None:
        free = [True] * len(step.wanted)
        found.append(split(body, step.wanted, step.arriving, step.rules, free))

    shapes = [like_aval(v.aval) for v in step.equation.invars]
    jax.eval_shape(_mapped(step, trace, step.equation.params["in_specs"], None), *shapes)
    return found[0]


def _mapped(step: Step, function: Callable[..., Any], ins: Any, outs: Any) -> Callable[..., Any]:
    params = step.equation.params
    return jax.shard_map(
        function,
        mesh=params["mesh"],
        in_specs=ins,
        out_specs=outs,
        axis_names=params["newly_manual_axes"],
        check_vma=params["check_vma"],
    )


def _spec_of(residual: Any, params: Any) -> Any:
    """One beside the other along a new first axis: those of all devices where they may differ."""
    manual = params["newly_manual_axes"]
    axes = varying_axes(residual.aval) & manual if params["check_vma"] else manual
    names = params["mesh"].axis_names
    return PartitionSpec(tuple(name for name in names if name in axes)) if axes else NOWHERE


def _unmentioned(spec: Any, params: Any) -> tuple[str, ...]:
    """The axes of the mesh over which an array is the same on all devices."""
    named = {name for part in spec if part is not None for name in _names(part)}
    names = params["mesh"].axis_names
    return tuple(name for name in names if name in params["newly_manual_axes"] - named)


def _names(part: Any) -> tuple[str, ...]:
    return part if isinstance(part, tuple) else (part,)


def _copies(spec: Any, params: Any) -> int:
    return math.prod(params["mesh"].shape[name] for name in _unmentioned(spec, params))


def _by(variables: Sequence[Any], values: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(variables, values, strict=True))


def _chosen(values: Sequence[Any], which: Sequence[bool]) -> list[Any]:
    return [value for value, use in zip(values, which, strict=True) if use]
