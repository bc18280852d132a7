"""What can be verified: an Op, a pair, a function with a rule of its own or with some inside."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from purebp.compat import custom_rule_body, is_custom_rule
from purebp.errors import TargetError
from purebp.op import REAL, Op
from purebp.signature import ArraySpec, Parameter, parse_dims, read_hints
from purebp.verification.domain import read_domains
from purebp.verification.given import Given, given_of, pool_of
from purebp.verification.numpy_pair import NumpyPair, is_numpy_pair
from purebp.verification.options import alternatives, guess_options, listed, split_options
from purebp.verification.rules import equations, open_result
from purebp.verification.targets.function import from_function
from purebp.verification.targets.instance import from_instance, is_instance
from purebp.verification.targets.pairs import from_numpy, from_op
from purebp.verification.targets.rule import from_rule, without_fixed
from purebp.verification.targets.torch_function import from_torch
from purebp.verification.targets.view import UNKNOWN_CONDITION, Target
from purebp.verification.torch_pair import is_torch_function

__all__ = ["Target", "make_target", "parse_shapes"]

Function = Callable[..., Any]
FLOATS = ("bfloat16", "float16", "float32", "float64")
FACTORISATIONS = {"cholesky", "eigh", "eig", "svd", "qr", "geqrf", "lu", "schur", "hessenberg"}
"""Libraries may never come back from a matrix with a nan in it."""


def make_target(
    target: Any,
    reference: Function | None = None,
    static: Mapping[str, Any] | None = None,
    shapes: str | None = None,
    examples: tuple[Any, ...] = (),
    domain: Mapping[str, Any] | None = None,
) -> Target:
    """Make the one view of whatever was handed to `verify`."""
    options = {key: listed(value) for key, value in (static or {}).items()}
    made, examples = _seen(target, reference, options, examples)
    changes: dict[str, Any] = {"sixteen_bits": isinstance(target, Op)}
    if shapes is not None:
        changes["parameters"] = parse_shapes(made.name, made.parameters, shapes)
        changes["example"] = None
    elif examples and isinstance(target, Op):
        changes["example"] = partial(_example, examples)
    elif examples:
        changes["given"] = given_of(examples)
    made = _with_domains(dataclasses.replace(made, **changes), domain or {})
    if made.given is not None:
        return _with_constants(made, made.given)
    if made.example is None and not all(p.specs or p.optional for p in made.parameters):
        raise TargetError(
            f"{made.name}: the shapes of its arguments are not known; give example arguments, "
            'shapes="b d, d k", or jaxtyping annotations'
        )
    return made


def _without_own_rule(function: Function) -> Function:
    """The same, without the rule of the call that its result comes from."""

    def call(settings: Mapping[str, Any], *args: Any) -> Any:
        return open_result(partial(function, settings))(*args)

    return call


def _seen(
    target: Any,
    reference: Function | None,
    options: Mapping[str, tuple[Any, ...]],
    examples: tuple[Any, ...],
) -> tuple[Target, tuple[Any, ...]]:
    """The view of each kind of target, and the examples without what is no array."""
    if isinstance(target, Op):
        return from_op(target, reference, options, "its plain definition"), examples
    if is_numpy_pair(target):
        arrays, passed = split_options(target[0], examples)
        pair = NumpyPair(*target, arrays=len(arrays) or None)
        return from_numpy(pair, reference, {**passed, **options}), arrays
    if isinstance(target, tuple) and len(target) == 2 and all(callable(f) for f in target):  # type: ignore[reportUnknownArgumentType]  # any tuple may come
        op = Op(target[0], target[1], tolerance=UNKNOWN_CONDITION)
        tried = guess_options(target[0]).given(options)
        made = from_op(op, reference, tried.values, "the primal output of fwd")
        plain = made.reference if reference is not None else _without_own_rule(made.reference)
        return dataclasses.replace(made, reference=plain, unexplored=tried.unexplored), examples
    if is_custom_rule(target):
        examples, fixed = without_fixed(target, examples)
        hints = read_hints(custom_rule_body(target))
        passed = {key: (x, *alternatives(x, hints.get(key))) for key, x in fixed.items()}
        made = from_rule(target, reference, {**passed, **options})
        alone = tuple(key for key, values in passed.items() if len(values) == 1)
        left = tuple(key for key in alone if key not in options)
        return dataclasses.replace(made, unexplored=(*made.unexplored, *left)), examples
    if is_torch_function(target):
        return from_torch(target, reference, options, examples)
    if is_instance(target):
        return from_instance(target, reference, options, examples)
    if isinstance(target, type):
        raise TargetError(
            f"{target.__name__} is a class, expected an object or a function: make one first, as "
            f"{target.__name__}(...)"
        )
    if callable(target):
        return from_function(target, reference, options, examples)
    raise TargetError(
        f"cannot verify a {type(target).__name__}: expected a purebp Op, a (fwd, bwd) pair, a "
        "function decorated with jax.custom_vjp or jax.custom_jvp, a function or module that "
        "contains one, a torch.autograd.Function, or an object with methods forward and backward, "
        "with example arguments"
    )


def _example(examples: tuple[Any, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    return examples


def _with_domains(target: Target, domain: Mapping[str, Any]) -> Target:
    """The target with where the numbers of some arguments lie."""
    given = target.given
    parts = () if given is None else given.tree.children()
    names = tuple(map(target.argument_name, range(len(parts) or len(target.parameters))))
    domains = {**target.domains, **read_domains(target.name, names, domain)}
    if given is not None:
        each = [[domains.get(n, REAL)] * p.num_leaves for n, p in zip(names, parts, strict=True)]
        given = given._replace(domains=tuple(itertools.chain(*each)))
    return dataclasses.replace(target, domains=domains, given=given)


def _with_constants(target: Target, given: Given) -> Target:
    """The target with the constants of its plain function, to draw values from."""
    settings = {key: values[0] for key, values in target.options.items()}
    try:
        jaxpr = jax.make_jaxpr(partial(target.reference, settings))(*given.arguments())
    except Exception:  # noqa: BLE001 - that it does not run is told by whoever runs it next
        return target
    used = {equation.primitive.name for equation in equations(jaxpr)}
    finite = bool(used & FACTORISATIONS)
    return dataclasses.replace(
        target, given=given._replace(pool=pool_of(jaxpr, settings), finite=finite)
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
