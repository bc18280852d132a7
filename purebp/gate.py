"""Gate: the op of one node of the computational graph, declared by its pullbacks."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from purebp.errors import ArgumentError
from purebp.op import Op
from purebp.residuals import Spec, spec_of
from purebp.signature import read_signature

Function = Callable[..., Any]
Saved = tuple[dict[str, Any], tuple[Any, ...]]
"""The values that pullbacks need by name, and the shapes and dtypes of the operands."""


class Gate(Op):
    """The op of one node of the graph: a function and one pullback for each operand.

    A pullback takes the cotangent of the output and whatever it names: an operand, `<operand>_spec`
    (shape and dtype only), an option, `aux` (the second of two outputs), or the output (any other
    name). What the pullbacks name is what `fwd` saves. The pullback of integers and booleans
    returns None. An operand may be a tuple of arrays, and then so are its spec and its cotangent;
    where the output is a tuple, so is the cotangent that comes in. Broadcasting is undone here,
    once, for every gate. `forward` is how the output is computed where that is not by the
    definition. `primitive` is the name of the lax primitive whose rule this is, if it is one.

    Example:
        >>> cube = Gate(lambda x: x**3, lambda y_bar, x: 3 * x**2 * y_bar, name="cube")
        >>> y, res = cube.fwd(jnp.float32(2.0))
        >>> print(*cube.bwd(res, 1.0))
        12.0
    """

    primitive: str | None
    plan: "Plan"

    def __init__(
        self,
        definition: Function,
        *pullbacks: Function,
        forward: Function | None = None,
        primitive: str | None = None,
        **fields: Any,
    ) -> None:
        plan = _read_plan(definition, pullbacks)
        object.__setattr__(self, "primitive", primitive)
        object.__setattr__(self, "plan", plan)
        super().__init__(
            partial(_gate_forward, forward or definition, plan),
            partial(_gate_backward, plan),
            definition=definition,
            **fields,
        )

    @property
    def pullbacks(self) -> tuple[Function, ...]:
        """One for each operand."""
        return self.plan.pullbacks

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_backward_options", set(self.signature.options))


class Plan(NamedTuple):
    """For each pullback the names it takes; the names of the operands and of the options."""

    pullbacks: tuple[Function, ...]
    takes: tuple[tuple[str, ...], ...]
    operands: tuple[str, ...]
    options: frozenset[str]

    def save(self, operands: Sequence[Any], out: Any, wanted: Sequence[bool]) -> Saved:
        """What the pullbacks of the wanted operands need, and the shapes of all operands."""
        names = {
            name
            for names, use in zip(self.takes, wanted, strict=True)
            for name in (names if use else ())
            if not name.endswith("_spec") and name not in self.options
        }
        values = dict(zip(self.operands, operands, strict=True))
        if "aux" in names:
            values["aux"] = out[1]
        saved = {name: values.get(name, out) for name in sorted(names)}
        return saved, tuple(jax.tree.map(spec_of, operand) for operand in operands)

    def pull(
        self, saved: Saved, y_bar: Any, options: Mapping[str, Any], wanted: Sequence[bool]
    ) -> tuple[Any, ...]:
        """The cotangent of each wanted operand, `None` for the others."""
        values, specs = saved
        known = {**values, **options}
        known |= {f"{name}_spec": spec for name, spec in zip(self.operands, specs, strict=True)}
        rows = zip(self.pullbacks, self.takes, specs, wanted, strict=True)
        return tuple(
            _fit(rule(y_bar, **{name: known[name] for name in names}), spec) if use else None
            for rule, names, spec, use in rows
        )


def _read_plan(definition: Function, pullbacks: tuple[Function, ...]) -> Plan:
    signature = read_signature(definition)
    takes = tuple(tuple(inspect.signature(rule).parameters)[1:] for rule in pullbacks)
    operands = tuple(parameter.name for parameter in signature.parameters)
    if len(pullbacks) != len(operands):
        name = getattr(definition, "__name__", "gate").removesuffix("_definition")
        raise ArgumentError(
            f"{name}: {len(pullbacks)} pullbacks, expected {len(operands)}, "
            f"one for each operand ({', '.join(operands)})"
        )
    return Plan(pullbacks, takes, operands, frozenset(signature.options))


def _gate_forward(forward: Function, plan: Plan, *operands: Any, **options: Any) -> Any:
    out = forward(*operands, **options)
    return out, plan.save(operands, out, (True,) * len(operands))


def _gate_backward(plan: Plan, res: Any, y_bar: Any, **options: Any) -> tuple[Any, ...]:
    return plan.pull(res, y_bar, options, (True,) * len(plan.operands))


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
