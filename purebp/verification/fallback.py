"""What is done for functions that autodiff, or this machine, does not run as they are.

Where autodiff cannot go through the reference (a kernel of Pallas, a while loop, a callback) its
slopes are taken by finite differences. On a CPU kernels of Pallas are run with interpret=True. A
given reference may declare slopes that are not those of its values.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.compat import bind_again, closed, jit_once
from purebp.errors import TargetError, first_line
from purebp.verification.by_differences import by_differences
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.numpy_pair import DIFFERENCES
from purebp.verification.rules import KERNELS, RULES, changed, equations, run
from purebp.verification.target import Target
from purebp.verification.targets.view import Function

Settings = Mapping[str, Any]
INTERPRETED = "; Pallas kernels with interpret=True"
STOP, SAME = "stop_gradient", 1e-4
DECLARED = (
    "; its stop_gradient declares slopes that are not those of its values: they are not held "
    "against differences, nor differentiated again"
)


def with_oracle(target: Target) -> Target:
    """The target with a reference that has slopes, and with kernels that run."""
    if target.sixteen_bits or target.numpy is not None:
        return target
    args = _first_args(target)
    if args is None:
        return target
    body = "the body" if "body" in target.reference_name else target.reference_name
    target = _with_declared_slopes(_with_interpreter(target, args), args)
    refused = [settings for settings in _each_setting(target) if _refuses(target, settings, args)]
    if not refused:
        return target
    plain = target.reference

    def define(settings: Settings, *args: Any) -> Any:
        function = partial(plain, settings)
        return (by_differences(function) if dict(settings) in refused else function)(*args)

    interpreted = INTERPRETED if target.reference_name.endswith(INTERPRETED) else ""
    return dataclasses.replace(
        target,
        reference=define,
        reference_name=f"finite differences: autodiff cannot go through {body}{interpreted}",
        tolerance=DIFFERENCES,
        differences=True,
        once=True,
    )


def _first_args(target: Target) -> tuple[Any, ...] | None:
    if target.given is not None:
        return jax.tree.map(jnp.asarray, target.given.arguments())
    try:
        return make_args(target, Case(variants(target)[0], "normal", "normal", 0))
    except TargetError:  # told by whoever runs it next
        return None


def _each_setting(target: Target) -> Iterator[dict[str, Any]]:
    """The defaults, and each other value of one option."""
    first = {key: values[0] for key, values in target.options.items() if key not in target.defaults}
    yield first
    for key, values in target.options.items():
        yield from ({**first, key: value} for value in values if value is not values[0])


def _with_declared_slopes(target: Target, args: tuple[Any, ...]) -> Target:
    """The target, with a note where a stop_gradient in the given reference changes its slopes.

    Most change nothing, as that of the maximum in a logsumexp.
    """
    if not target.reference_name.startswith("the given reference"):
        return target
    settings = next(_each_setting(target))
    plain = partial(target.reference, settings)
    try:
        names = {e.primitive.name for e in equations(jax.make_jaxpr(plain)(*args))}
        if STOP not in names:
            return target
        ways = [_of_floats(each, args) for each in (plain, changed(plain, _passed_on))]
        stopped, opened = (jit_once(partial(_slopes, f))(chosen) for f, chosen in ways)
    except Exception:  # noqa: BLE001 - it does not run, or has no derivative: told later
        return target
    pairs = zip(jax.tree.leaves(stopped), jax.tree.leaves(opened), strict=True)
    if all(np.allclose(a, b, rtol=SAME, atol=SAME, equal_nan=True) for a, b in pairs):
        return target
    return dataclasses.replace(
        target, declared=True, reference_name=target.reference_name + DECLARED
    )


def _passed_on(equation: Any) -> Function | None:
    """What stop_gradient does to values: nothing."""
    return (lambda x: [x]) if equation.primitive.name == STOP else None


def _of_floats(
    plain: Function, args: tuple[Any, ...]
) -> tuple[Callable[[list[Any]], list[Any]], list[Any]]:
    """A function as one from its floating arrays to its floating outputs, and these arrays."""
    leaves, tree = jax.tree.flatten(args)
    moves = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def function(chosen: list[Any]) -> list[Any]:
        given = iter(chosen)
        again = [next(given) if use else x for use, x in zip(moves, leaves, strict=True)]
        y = jax.tree.leaves(plain(*jax.tree.unflatten(tree, again)))
        return [leaf for leaf in y if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)]

    return function, [leaf for leaf, use in zip(leaves, moves, strict=True) if use]


def _slopes(function: Callable[[list[Any]], list[Any]], chosen: list[Any]) -> Any:
    y, pull = jax.vjp(function, chosen)
    return pull([jnp.ones_like(leaf) for leaf in y])


def _refuses(target: Target, settings: Settings, args: tuple[Any, ...]) -> bool:
    """Whether the reference runs, but not its derivative."""
    function, chosen = _of_floats(partial(target.reference, settings), args)
    try:
        jax.eval_shape(function, chosen)
    except Exception:  # noqa: BLE001 - it does not run: told by whoever runs it next
        return False
    try:
        jax.eval_shape(partial(_slopes, function), chosen)
    except Exception:  # noqa: BLE001 - whatever JAX raises where it has no derivative
        return True
    return False


def _with_interpreter(target: Target, args: tuple[Any, ...]) -> Target:
    """The target with its kernels interpreted, if it has some that do not run on this machine."""
    settings = next(_each_setting(target))
    if jax.default_backend() != "cpu" or not _has_kernels(target, settings, args):
        return target
    made = _interpreted(target)
    try:
        jax.jit(partial(_pulled, made, settings)).lower(*args)
    except Exception as error:
        raise TargetError(
            f"{target.name}: its Pallas kernel does not run on a CPU, with interpret=True neither: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    return dataclasses.replace(made, reference_name=target.reference_name + INTERPRETED, once=True)


def _interpreted(target: Target) -> Target:
    def forward(settings: Settings, *args: Any) -> Any:
        return changed(partial(target.forward, settings), _interpret)(*args)

    def pull(settings: Settings, args: tuple[Any, ...], y_bar: Any) -> Any:
        def pulled(args: tuple[Any, ...], y_bar: Any) -> Any:
            y, bars = target.pull(settings, args, y_bar)
            return y, jax.tree.map(_if_floating, bars)

        return changed(pulled, _interpret)(args, y_bar)

    def define(settings: Settings, *args: Any) -> Any:
        return changed(partial(target.reference, settings), _interpret)(*args)

    def save(settings: Settings, *args: Any) -> Any:
        if target.save is not None:
            return target.save(settings, *args)
        return jax.vjp(partial(target.forward, settings), *args)[1]

    alone = None if target.alone is None else partial(_alone, target.alone)
    how = {"forward": forward, "pull": pull, "reference": define, "save": save, "alone": alone}
    return dataclasses.replace(target, **how)


def _alone(alone: Function, target: Target, rule: Any) -> Target:
    return _interpreted(alone(target, rule))


def _if_floating(bar: Any) -> Any:
    return None if bar.dtype == jax.dtypes.float0 else bar


def _pulled(target: Target, settings: Settings, *args: Any) -> Any:
    y = jax.eval_shape(partial(target.forward, settings), *args)
    bars = target.pull(settings, args, jax.tree.map(_ones, y))[1]
    return jax.tree.map(_if_floating, bars)


def _ones(y: Any) -> Any:
    return jnp.ones(y.shape, y.dtype)


def _has_kernels(target: Target, settings: Settings, args: tuple[Any, ...]) -> bool:
    """Whether the target calls a kernel that is to be compiled."""
    try:
        jaxpr = jax.make_jaxpr(partial(_pulled, target, settings))(*args)
    except Exception:  # noqa: BLE001 - told by whoever runs it next
        return False
    return _compiles(jaxpr)


def _compiles(jaxpr: Any) -> bool:
    """Whether a program, or the body of a rule in it, calls a kernel that is to be compiled."""
    return any(
        _is_compiled(equation)
        or (equation.primitive.name in RULES and _compiles(equation.params["call_jaxpr"]))
        for equation in equations(jaxpr)
    )


def _is_compiled(equation: Any) -> bool:
    return equation.primitive.name == KERNELS and not equation.params["interpret"]


def _interpret(equation: Any) -> Function | None:
    """Rules that are left are opened: their kernels are seen in their bodies alone."""
    if equation.primitive.name in RULES:
        body = closed(equation.params["call_jaxpr"])
        return lambda *args: run(body, args, _interpret)
    if not _is_compiled(equation):
        return None
    params = {**equation.params, "interpret": True}
    return lambda *args: bind_again(equation.primitive, list(args), params)
