"""Rules of what devices say to each other inside `shard_map`.

Where JAX keeps track of what varies over the devices (`check_vma=True`, its default), a value that
does not vary is one value, and so is its cotangent. Where it does not, every device has a value
and a cotangent of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from purebp.autodiff.rule import Rule, Step, Values
from purebp.compat import run_equation, vary_as, vary_over, varying_axes

Back = Callable[[dict[str, Any], Any], Any]
"""From the parameters of an equation and a cotangent of its output to that of the operand."""


def _forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    return run_equation(step.equation, args), None


def _backward(back: Back, step: Step, _: Any, bars: Values) -> Values:
    params = dict(step.equation.params)
    return [None if bar is None else back(params, bar) for bar in bars]


def _linear(back: Back) -> Rule:
    return Rule(_forward, partial(_backward, back))


def _one_for_all(params: dict[str, Any], bar: Any) -> Any:
    """The sum over the devices is one value: each gets its cotangent."""
    return vary_over(bar, params["axes"])


def _handed_back(params: dict[str, Any], bar: Any) -> Any:
    """One value is handed to all devices: what they send back adds up."""
    return lax.psum(bar, params["axes"])


def _scattered(params: dict[str, Any], bar: Any) -> Any:
    return lax.psum_scatter(
        bar,
        params["axis_name"],
        scatter_dimension=params["all_gather_dimension"],
        axis_index_groups=params["axis_index_groups"],
        tiled=params["tiled"],
    )


def _gathered(params: dict[str, Any], bar: Any) -> Any:
    return lax.all_gather(
        bar,
        params["axis_name"],
        axis=params["scatter_dimension"],
        axis_index_groups=params["axis_index_groups"],
        tiled=params["tiled"],
    )


def _returned(params: dict[str, Any], bar: Any) -> Any:
    perm = [(to, where) for where, to in params["perm"]]
    return lax.ppermute(bar, params["axis_name"], perm)


def _exchanged(params: dict[str, Any], bar: Any) -> Any:
    return lax.all_to_all(
        bar,
        params["axis_name"],
        split_axis=params["concat_axis"],
        concat_axis=params["split_axis"],
        axis_index_groups=params["axis_index_groups"],
        tiled=params["tiled"],
    )


def _psum_backward(step: Step, _: Any, bars: Values) -> Values:
    """Each device's sum depends on each device's value: so the sum of all the cotangents."""
    params, (operand,) = step.equation.params, step.equation.invars
    names, places = _names_and_places(params)
    bar = bars[0]
    if names:
        bar = lax.psum(bar, names, axis_index_groups=params["axis_index_groups"])
    return [jnp.broadcast_to(jnp.expand_dims(bar, places), operand.aval.shape)]


def _extreme_forward(step: Step, args: Values) -> tuple[list[Any], Any]:
    outs = run_equation(step.equation, args)
    _, places = _names_and_places(step.equation.params)
    return outs, args[0] == vary_as(jax.typeof(args[0]), jnp.expand_dims(outs[0], places))


def _extreme_backward(step: Step, hit: Any, bars: Values) -> Values:
    """To the devices that have the largest (smallest) value, in equal parts, as in reduce_max."""
    names, places = _names_and_places(step.equation.params)
    aval, bar = step.equation.invars[0].aval, bars[0]
    count = jnp.sum(hit.astype(bar.dtype), axis=places)
    if names:
        count = lax.psum(count, names)
        bar = bar if set(names) <= varying_axes(aval) else lax.psum(bar, names)
    share = vary_as(aval, jnp.expand_dims(bar / count, places))
    return [jnp.where(hit, share, 0)]


def _names_and_places(params: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The axes of the mesh, and those that `vmap` with a name for its axis made axes of arrays."""
    axes = params["axes"]
    return (
        tuple(axis for axis in axes if not isinstance(axis, int)),
        tuple(axis for axis in axes if isinstance(axis, int)),
    )


psum = Rule(_forward, _psum_backward)
extreme = Rule(_extreme_forward, _extreme_backward)
psum_invariant = _linear(_one_for_all)
pvary = _linear(_handed_back)
all_gather = _linear(_scattered)
reduce_scatter = _linear(_gathered)
ppermute = _linear(_returned)
all_to_all = _linear(_exchanged)
