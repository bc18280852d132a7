"""Gate: the op of one node of the computational graph, declared by its pullbacks."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from purebp.errors import ArgumentError
from purebp.op import Op
from purebp.residuals import Spec, spec_of
from purebp.signature import read_signature

Function = Callable[..., Any]


class Gate(Op):
    """The op of one node of the graph: a function and one pullback for each operand.

    A pullback takes the cotangent of the output and whatever it names: an operand, `<operand>_spec`
    (shape and dtype only), an option, `aux` (the second of two outputs), or the output (any other
    name). What the pullbacks name is what `fwd` saves. The pullback of integers and booleans
    returns None. An operand may be a tuple of arrays, and then so are its spec and its cotangent;
    where the output is a tuple, so is the cotangent that comes in. Broadcasting is undone here,
    once, for every gate. `forward` is how the output is computed where that is not by the
    definition. `primitive` is the name of the lax primitive whose rule this is, if it is one.
    """

    primitive: str | None
    pullbacks: tuple[Function, ...]

    def __init__(
        self,
        definition: Function,
        *pullbacks: Function,
        forward: Function | None = None,
        primitive: str | None = None,
        **fields: Any,
    ) -> None:
        object.__setattr__(self, "primitive", primitive)
        object.__setattr__(self, "pullbacks", pullbacks)
        plan = _read_plan(definition, pullbacks)
        super().__init__(
            partial(_gate_forward, forward or definition, plan),
            partial(_gate_backward, plan),
            definition=definition,
            **fields,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_backward_options", set(self.signature.options))


class _Plan(NamedTuple):
    """For each pullback the names it takes; and the operands' names."""

    pullbacks: tuple[Function, ...]
    takes: tuple[tuple[str, ...], ...]
    operands: tuple[str, ...]
    options: frozenset[str]


def _read_plan(definition: Function, pullbacks: tuple[Function, ...]) -> _Plan:
    signature = read_signature(definition)
    takes = tuple(tuple(inspect.signature(rule).parameters)[1:] for rule in pullbacks)
    operands = tuple(parameter.name for parameter in signature.parameters)
    if len(pullbacks) != len(operands):
        name = getattr(definition, "__name__", "gate").removesuffix("_definition")
        raise ArgumentError(
            f"{name}: {len(pullbacks)} pullbacks, expected {len(operands)}, "
            f"one for each operand ({', '.join(operands)})"
        )
    return _Plan(pullbacks, takes, operands, frozenset(signature.options))


def _gate_forward(forward: Function, plan: _Plan, *operands: Any, **options: Any) -> Any:
    out = forward(*operands, **options)
    wanted = {name for names in plan.takes for name in names if not name.endswith("_spec")}
    values = dict(zip(plan.operands, operands, strict=True))
    if "aux" in wanted:
        values["aux"] = out[1]
    saved = {name: values.get(name, out) for name in sorted(wanted - plan.options)}
    return out, (saved, tuple(jax.tree.map(spec_of, operand) for operand in operands))


def _gate_backward(plan: _Plan, res: Any, y_bar: Any, **options: Any) -> tuple[Any, ...]:
    saved, specs = res
    known = {**saved, **options}
    known |= {f"{name}_spec": spec for name, spec in zip(plan.operands, specs, strict=True)}
    return tuple(
        _fit(rule(y_bar, **{name: known[name] for name in names}), spec)
        for rule, names, spec in zip(plan.pullbacks, plan.takes, specs, strict=True)
    )


def _fit(x_bar: Any, spec: Any) -> Any:
    """A cotangent shaped like its operand, which may be a tuple."""
    if isinstance(spec, Spec) or x_bar is None:
        return unbroadcast(x_bar, spec)
    return tuple(unbroadcast(bar, each) for bar, each in zip(x_bar, spec, strict=True))


def unbroadcast(x_bar: jax.Array | None, spec: Spec) -> jax.Array | None:
    """Sum a cotangent over the axes along which its primal was broadcast; cast to its dtype.

    An operand of integers or booleans has none; that of a real operand is the real part.
    """
    if x_bar is None:
        return None
    if not jnp.issubdtype(spec.dtype, jnp.complexfloating):
        x_bar = jnp.real(x_bar)
    extra = x_bar.ndim - len(spec.shape)
    kept = x_bar.shape[extra:]
    axes = tuple(range(extra)) + tuple(
        extra + axis
        for axis, (have, want) in enumerate(zip(kept, spec.shape, strict=True))
        if want == 1 and have != 1
    )
    if axes:
        x_bar = jnp.sum(x_bar, axis=axes).reshape(spec.shape)
    return x_bar.astype(spec.dtype)
