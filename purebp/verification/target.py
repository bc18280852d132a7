"""What can be verified: an Op, a (fwd, bwd) pair, a `jax.custom_vjp` function. One view of all."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from purebp.compat import custom_vjp_body, is_custom_vjp
from purebp.errors import TargetError
from purebp.op import Domain, Op, Tolerance
from purebp.signature import ArraySpec, Parameter, parse_dims, read_signature

Function = Callable[..., Any]

UNKNOWN_CONDITION = Tolerance(
    factor=16, conditioned=True, reason="a custom layer does not declare how it cancels"
)
FLOATS = ("bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class Target:
    """A hand-written derivative seen as two functions, and what is known of its arguments.

    `sixteen_bits`: it promises to be right in bfloat16 and float16, or to refuse them.
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
    defaults: Mapping[str, Any]
    domains: Mapping[str, Domain]
    sizes: Mapping[str, tuple[Any, ...]]
    tolerance: Tolerance
    example: Callable[[np.random.Generator], tuple[Any, ...]] | None
    save: Function | None = None
    sixteen_bits: bool = False

    def argument_name(self, index: int) -> str:
        """The name of the argument at a position."""
        return self.parameters[index].name if index < len(self.parameters) else f"argument {index}"


def make_target(
    target: Any,
    reference: Function | None = None,
    static: Mapping[str, Any] | None = None,
    shapes: str | None = None,
    examples: tuple[Any, ...] = (),
) -> Target:
    """Make the one view of whatever was handed to `verify`."""
    options = {key: _values(value) for key, value in (static or {}).items()}
    if isinstance(target, Op):
        made = _from_op(target, reference, options, "its plain definition")
    elif isinstance(target, tuple) and len(target) == 2 and all(callable(f) for f in target):  # type: ignore[reportUnknownArgumentType]  # any tuple may come
        op = Op(target[0], target[1], tolerance=UNKNOWN_CONDITION)
        made = _from_op(op, reference, options, "the primal output of fwd")
    elif is_custom_vjp(target):
        made = _from_custom_vjp(target, reference, options)
    else:
        raise TargetError(
            f"cannot verify a {type(target).__name__}: expected a purebp Op, a (fwd, bwd) pair, "
            "or a function decorated with jax.custom_vjp"
        )
    changes: dict[str, Any] = {"sixteen_bits": isinstance(target, Op)}
    if shapes is not None:
        changes["parameters"] = parse_shapes(made.name, made.parameters, shapes)
        changes["example"] = None
    elif examples:
        changes["example"] = partial(_given, examples)
    made = dataclasses.replace(made, **changes)
    if made.example is None and not all(p.specs or p.optional for p in made.parameters):
        raise TargetError(
            f"{made.name}: the shapes of its arguments are not known; give example arguments, "
            'shapes="b d, d k", or jaxtyping annotations'
        )
    return made


def _given(examples: tuple[Any, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    return examples


def _values(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _from_op(
    op: Op, reference: Function | None, options: Mapping[str, tuple[Any, ...]], plain: str
) -> Target:
    def forward(settings: Mapping[str, Any], *args: Any) -> Any:
        y = op.fwd(*args, **settings)[0]
        return y[0] if op.has_aux else y

    def pull(settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> Any:
        y, res = op.fwd(*args, **settings)
        return (y[0] if op.has_aux else y), op.bwd(res, y_bar)

    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        if reference is not None:
            return reference(*args, **settings)
        y = op.define(*args, **settings)
        return y[0] if op.has_aux else y

    def save(settings: Mapping[str, Any], *args: Any) -> Any:
        return op.fwd(*args, **settings)[1]

    for option in options:
        op.with_options(**{option: options[option][0]})
    return Target(
        name=op.name,
        source=op,
        forward=forward,
        pull=pull,
        reference=define,
        reference_name=plain if reference is None else "the given reference",
        parameters=op.signature.parameters,
        options=options or op.options,
        defaults={**op.signature.options, **op.settings},
        domains=op.domains,
        sizes=op.sizes,
        tolerance=op.tolerance,
        example=op.example,
        save=save,
    )


def _from_custom_vjp(
    target: Any, reference: Function | None, options: Mapping[str, tuple[Any, ...]]
) -> Target:
    body = reference or custom_vjp_body(target)
    signature = read_signature(custom_vjp_body(target))

    def forward(settings: Mapping[str, Any], *args: Any) -> Any:
        return target(*args, **settings)

    def pull(settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> Any:
        y, pullback = jax.vjp(partial(target, **settings), *args)
        return y, pullback(y_bar)

    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        return body(*args, **settings)

    return Target(
        name=getattr(target, "__name__", "custom_vjp"),
        source=inspect.unwrap(custom_vjp_body(target)),
        forward=forward,
        pull=pull,
        reference=define,
        reference_name="the undecorated body" if reference is None else "the given reference",
        parameters=signature.parameters,
        options=options,
        defaults={},
        domains={},
        sizes={},
        tolerance=UNKNOWN_CONDITION,
        example=None,
    )


def parse_shapes(
    name: str, parameters: tuple[Parameter, ...], shapes: str
) -> tuple[Parameter, ...]:
    """Read `"b d, d k"`: one group of axis names for each argument, in order."""
    groups = [group.strip() for group in shapes.split(",")]
    required = sum(not parameter.optional for parameter in parameters)
    if not required <= len(groups) <= max(len(parameters), required):
        names = ", ".join(parameter.name for parameter in parameters)
        raise TargetError(
            f"{name}: shapes has {len(groups)} groups ({shapes!r}), expected {required}, "
            f"one for each of the arguments {names}"
        )
    specs = [(ArraySpec(parse_dims(group), FLOATS),) for group in groups]
    return tuple(
        Parameter(parameter.name, spec, parameter.optional)
        for parameter, spec in zip(parameters, specs, strict=False)
    )
