"""What can be verified: an Op, a (fwd, bwd) pair, a function with a rule of its own. One view."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from purebp.compat import custom_rule_body, fixed_arguments, is_custom_rule
from purebp.errors import TargetError
from purebp.op import Domain, Op, Tolerance
from purebp.signature import ArraySpec, Parameter, parse_dims, read_signature
from purebp.verification.given import Given, given_of, pool_of
from purebp.verification.numpy_pair import DIFFERENCES, NumpyPair, is_numpy_pair
from purebp.verification.options import alternatives, guess_options

Function = Callable[..., Any]

UNKNOWN_CONDITION = Tolerance(
    factor=16, conditioned=True, reason="a custom layer does not declare how it cancels"
)
FLOATS = ("bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class Target:
    """A hand-written derivative seen as two functions, and what is known of its arguments.

    `sixteen_bits`: it promises to be right in bfloat16 and float16, or to refuse them. `given`:
    the example arguments, where these are all that is known of it; `unexplored`: the options of
    which only the default is tried.
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
    given: Given | None = None
    unexplored: tuple[str, ...] = ()
    numpy: NumpyPair | None = None

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
    elif is_numpy_pair(target):
        made = _from_numpy(NumpyPair(*target), reference, options)
    elif isinstance(target, tuple) and len(target) == 2 and all(callable(f) for f in target):  # type: ignore[reportUnknownArgumentType]  # any tuple may come
        op = Op(target[0], target[1], tolerance=UNKNOWN_CONDITION)
        tried = guess_options(target[0]).given(options)
        made = _from_op(op, reference, tried.values, "the primal output of fwd")
        made = dataclasses.replace(made, unexplored=tried.unexplored)
    elif is_custom_rule(target):
        examples, fixed = _without_fixed(target, examples)
        passed = {key: (value, *alternatives(value)) for key, value in fixed.items()}
        made = _from_rule(target, reference, {**passed, **options})
    else:
        raise TargetError(
            f"cannot verify a {type(target).__name__}: expected a purebp Op, a (fwd, bwd) pair, "
            "or a function decorated with jax.custom_vjp or jax.custom_jvp"
        )
    changes: dict[str, Any] = {"sixteen_bits": isinstance(target, Op)}
    if shapes is not None:
        changes["parameters"] = parse_shapes(made.name, made.parameters, shapes)
        changes["example"] = None
    elif examples and isinstance(target, Op):
        changes["example"] = partial(_example, examples)
    elif examples:
        changes["given"] = given_of(examples)
    made = dataclasses.replace(made, **changes)
    if made.given is not None:
        return _with_constants(made, made.given)
    if made.example is None and not all(p.specs or p.optional for p in made.parameters):
        raise TargetError(
            f"{made.name}: the shapes of its arguments are not known; give example arguments, "
            'shapes="b d, d k", or jaxtyping annotations'
        )
    return made


def _example(examples: tuple[Any, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    return examples


def _with_constants(target: Target, given: Given) -> Target:
    """The target with the constants of its plain function, to draw values from."""
    settings = {key: values[0] for key, values in target.options.items()}
    try:
        jaxpr = jax.make_jaxpr(partial(target.reference, settings))(*given.arguments())
    except Exception:  # noqa: BLE001 - that it does not run is told by whoever runs it next
        return target
    return dataclasses.replace(target, given=given._replace(pool=pool_of(jaxpr, settings)))


def _usable(options: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of options, without those that have none."""
    return {key: value for key, value in options.items() if value is not inspect.Parameter.empty}


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
        defaults=_usable({**op.signature.options, **op.settings}),
        domains=op.domains,
        sizes=op.sizes,
        tolerance=op.tolerance,
        example=op.example,
        save=save,
    )


def _from_numpy(
    pair: NumpyPair, reference: Function | None, static: Mapping[str, tuple[Any, ...]]
) -> Target:
    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        if reference is not None:
            return reference(*args, **settings)
        return pair.by_differences(settings, *args)

    tried = pair.options.given(static)
    plain = "finite differences of the forward" if reference is None else "the given reference"
    return Target(
        name=pair.forward.__name__.removesuffix("_forward"),
        source=pair.backward,
        forward=pair.run,
        pull=pair.pull,
        reference=define,
        reference_name=plain,
        parameters=pair.signature.parameters,
        options=tried.values,
        defaults={},
        domains={},
        sizes={},
        tolerance=DIFFERENCES if reference is None else UNKNOWN_CONDITION,
        example=None,
        unexplored=tried.unexplored,
        numpy=pair,
    )


def _from_rule(
    target: Any, reference: Function | None, static: Mapping[str, tuple[Any, ...]]
) -> Target:
    """A function with a derivative rule of its own, jax.custom_vjp or jax.custom_jvp."""
    plain = custom_rule_body(target)
    body = reference or plain
    signature = read_signature(plain)
    tried = guess_options(plain).given(static)
    fixed = {signature.parameters[place].name: place for place in fixed_arguments(target)}

    def arranged(settings: Mapping[str, Any], args: tuple[Any, ...]) -> tuple[list[Any], Any]:
        """The arguments with the settings that are passed by position in their places."""
        given = list(args)
        for name, place in sorted(fixed.items(), key=lambda item: item[1]):
            given.insert(place, settings[name])
        return given, {key: value for key, value in settings.items() if key not in fixed}

    def forward(settings: Mapping[str, Any], *args: Any) -> Any:
        given, named = arranged(settings, args)
        return target(*given, **named)

    def pull(settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> Any:
        y, pullback = jax.vjp(partial(forward, settings), *args)
        return y, pullback(y_bar)

    def define(settings: Mapping[str, Any], *args: Any) -> Any:
        given, named = arranged(settings, args)
        return body(*given, **named)

    return Target(
        name=getattr(target, "__name__", "custom rule"),
        source=target,
        forward=forward,
        pull=pull,
        reference=define,
        reference_name="the undecorated body" if reference is None else "the given reference",
        parameters=tuple(p for p in signature.parameters if p.name not in fixed),
        options=tried.values,
        defaults={},
        domains={},
        sizes={},
        tolerance=UNKNOWN_CONDITION,
        example=None,
        unexplored=tried.unexplored,
    )


def _without_fixed(target: Any, examples: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
    """The example's arrays, and what it has for the arguments that have no derivative."""
    places = fixed_arguments(target)
    names = [p.name for p in read_signature(custom_rule_body(target)).parameters]
    arrays = tuple(arg for place, arg in enumerate(examples) if place not in places)
    return arrays, {names[k]: examples[k] for k in places if k < len(examples)}


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
