"""What to hand to the verifier for one layer of a file: arguments, options, a definition."""

import inspect
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from purebp.errors import PurebpError, TargetError, first_line
from purebp.signature import read_signature
from purebp.verification.budget import BudgetName
from purebp.verification.homework import calling
from purebp.verification.homework.call import Call
from purebp.verification.homework.find import EXAMPLES, Found
from purebp.verification.homework.forward import (
    Forward,
    Trial,
    fitting_definition,
    judge_forward,
    trials,
)
from purebp.verification.homework.known import calls_named
from purebp.verification.homework.objects import layer_and_inputs
from purebp.verification.targets.instance import layer_pair
from purebp.verification.torch_pair import is_torch_function


class Settings(NamedTuple):
    """How thoroughly to verify, and what the user said about the arguments."""

    budget: BudgetName = "normal"
    max_examples: int | None = None
    seed: int = 0
    shapes: str | None = None
    static: Mapping[str, Any] | None = None
    domain: Mapping[str, Any] | None = None


class Plan(NamedTuple):
    """What is handed to `verify`, and what is known of the forward."""

    target: Any
    examples: tuple[Any, ...] = ()
    static: Mapping[str, Any] | None = None
    reference: Any = None
    forward: Forward = Forward()
    course: bool = False
    notes: tuple[str, ...] = ()


def make_plan(module: ModuleType, found: Found, settings: Settings) -> Plan:
    """What to verify for a row, on which arguments."""
    parts = [getattr(module, name) for name in found.functions]
    examples = _examples(module, found)
    if found.kind == "op":
        return Plan(parts[0], examples, settings.static)
    if found.kind == "loss":
        return _plan_of_loss(found, parts[0])
    if found.kind == "class":
        return _plan_of_class(found, parts[0], examples, settings)
    if examples:
        return _plan_of_examples(found, parts, examples, settings)
    known = [
        call for call in calls_named(found.name.partition(" (")[0]) if _fits(found, parts, call)
    ]
    if settings.shapes is None and known and not _is_annotated(parts[0]):
        return _plan_of_known(found, parts, known, settings)
    target = parts[0] if len(parts) == 1 else tuple(parts)
    return Plan(target, (), settings.static, course=_is_course(found))


def _is_annotated(function: Any) -> bool:
    """Whether annotations say what all arguments are."""
    parameters = read_signature(getattr(function, "fun", function)).parameters
    return bool(parameters) and all(p.specs or p.optional for p in parameters)


def _examples(module: ModuleType, found: Found) -> tuple[Any, ...]:
    """The arguments that the file itself has for a layer."""
    given = getattr(module, EXAMPLES, None)
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise TargetError(f'{EXAMPLES} is a {type(given).__name__}, expected {{"layer": (x, w)}}')
    for name in (found.name, *found.functions):
        if name in given:  # type: ignore[reportUnknownMemberType]  # a user's dictionary
            value: Any = given[name]  # type: ignore[reportUnknownVariableType]  # as above
            return tuple(value) if isinstance(value, tuple | list) else (value,)
    return ()


def _fits(found: Found, parts: list[Any], call: Call) -> bool:
    function = parts[0]
    if found.kind == "rule":
        function = getattr(function, "fun", function)
    try:
        return calling.fits(function, call)
    except (TypeError, ValueError):
        return False


def _is_course(found: Found) -> bool:
    return any("forward" in name.lower().split("_") for name in found.functions)


def _plan_of_examples(
    found: Found, parts: list[Any], examples: tuple[Any, ...], settings: Settings
) -> Plan:
    if found.kind == "rule":
        return Plan(parts[0], examples, settings.static)
    pair = calling.given_pair(parts[0], parts[1], examples)
    arrays = tuple(np.asarray(arg) for arg in examples if calling.is_array(arg))
    return _as_traced(parts, Plan(pair, arrays, settings.static, course=True))


def _plan_of_loss(found: Found, loss: Any) -> Plan:
    for call in calls_named(found.name):
        if calling.fits(loss, call):
            pair = calling.loss_pair(loss, call)
            tried = trials(pair[0], partial(calling.without_fixed, call), {})
            _raise_first(loss, tried)
            forward = judge_forward(call, tried)
            plan = Plan(pair, tried[0].arrays, {}, forward=forward, course=True)
            return _with_reference(plan, call, tried, {})
    raise TargetError(f"{found.name}: takes other arguments than known losses: {how(found.name)}")


def _plan_of_class(found: Found, cls: type, examples: tuple[Any, ...], settings: Settings) -> Plan:
    """A layer that is an object, or a Function of PyTorch."""
    if is_torch_function(cls):
        if not examples:
            raise TargetError(f"its arguments are not known; {how(found.name)}")
        return Plan(cls, examples, settings.static)
    made = layer_and_inputs(cls, found.name, examples)
    if made is None:
        text = f'{EXAMPLES} = {{"{found.name}": ({found.name}(...), x)}}'
        raise TargetError(
            f"nobody can guess how to make one; give a layer and its inputs in the file: {text}"
        )
    layer, inputs = made
    return _with_forward(found, Plan(layer, inputs, settings.static, course=True))


def _with_forward(found: Found, plan: Plan) -> Plan:
    """The plan with the verdict on the forward, where the name says what it computes."""
    pair = layer_pair(plan.target, plan.examples, {})
    names = tuple(name.lower() for name in inspect.signature(pair.forward).parameters)
    arrays = (*plan.examples, *pair.parameters)
    tried = [Trial(arrays, {}, pair.forward(*map(np.array, arrays))[0], None)]
    one = len(names) == 1
    fitting = [c for c in calls_named(found.name) if names == c.names or (one and len(c.args) == 1)]
    judged = [judge_forward(call, tried) for call in fitting if _has_shapes(call, arrays)]
    right = (forward for forward in judged if forward.verdict == "right")
    return plan._replace(forward=next(right, judged[0])) if judged else plan


def _has_shapes(call: Call, arrays: tuple[Any, ...]) -> bool:
    try:
        call.check_shapes(arrays)
    except PurebpError:
        return False
    return True


def _plan_of_known(found: Found, parts: list[Any], known: list[Call], settings: Settings) -> Plan:
    """The first of several ways to call a layer in which it runs."""
    problem = ""
    for call in known:
        plan = _plan_of_call(found, parts, call, settings)
        if isinstance(plan, Plan):
            return plan
        problem = problem or plan
    if not _is_course(found):
        target = parts[0] if len(parts) == 1 else tuple(parts)
        return Plan(target, (), settings.static)
    raise TargetError(f"{parts[0].__name__} {problem}")


def _plan_of_call(found: Found, parts: list[Any], call: Call, settings: Settings) -> Plan | str:
    """What to verify if a layer is called so, or why it does not run."""
    if found.kind == "rule" or not _is_course(found):
        return _plan_in_jax(found, parts, call, settings)
    pair = calling.course_pair(parts[0], parts[1], call)
    options = calling.options_taken(parts[0], call)
    tried = trials(pair[0], call.example, options)
    if tried[0].error:
        return _on(tried[0])
    forward = judge_forward(call, tried)
    usable = _usable(options, tried)
    static = {name: list(values) for name, values in usable.items()}
    _refuse_unwritten(parts[1], pair, tried[0])
    plan = Plan(pair, call.example(), static, None, forward, True, _left_out(options, usable))
    if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(tried[0].out)):
        return _as_traced(parts, plan)
    return _with_reference(plan, call, tried, usable)


def _plan_in_jax(found: Found, parts: list[Any], call: Call, settings: Settings) -> Plan | str:
    """A pair or a rule in JAX's style, at the defaults of its options."""
    arrays = call.example()
    if found.kind == "rule":
        run = _with_cache(parts[0])
        target = parts[0]
    else:
        run, target = parts[0], tuple(parts)
    tried = trials(run, call.example, {})
    if tried[0].error:
        return _on(tried[0])
    forward = judge_forward(call, tried)
    if forward.verdict == "wrong" and "shape" in forward.text:
        forward = Forward("not known", call.op, forward.text)
    in_numpy = all(isinstance(y, np.ndarray | np.generic) for y in jax.tree.leaves(tried[0].out))
    if found.kind == "pair" and in_numpy and not _can_be_traced(run, arrays):
        pair = calling.course_pair(parts[0], parts[1], call)
        return _with_reference(Plan(pair, arrays, {}, None, forward), call, tried, {})
    narrow = tuple(_narrow(array) for array in arrays)
    return Plan(target, narrow, settings.static, None, forward)


def _with_cache(function: Any) -> Any:
    def run(*arrays: Any) -> tuple[Any, None]:
        return function(*map(_narrow, arrays)), None

    return run


def _can_be_traced(run: Any, arrays: tuple[Any, ...]) -> bool:
    try:
        jax.eval_shape(lambda *args: run(*args)[0], *map(_narrow, arrays))
    except Exception:  # noqa: BLE001 - NumPy code refuses in many ways
        return False
    return True


def _narrow(array: Any) -> Any:
    return np.asarray(array, np.float32) if np.asarray(array).dtype == np.float64 else array


def _as_traced(parts: list[Any], plan: Plan) -> Plan:
    """The plan for JAX code, where the layer returns JAX's arrays."""
    run, pull = plan.target
    try:
        out = run(*(np.array(array) for array in plan.examples))[0]
    except PurebpError:
        raise
    except Exception as error:
        raise TargetError(
            f"{parts[0].__name__} raised {type(error).__name__}: {first_line(error)}"
        ) from error
    if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(out)):
        return plan
    examples = tuple(_narrow(array) for array in plan.examples)
    return plan._replace(target=calling.traced_pair((run, pull)), examples=examples)


def _with_reference(
    plan: Plan, call: Call, tried: list[Trial], options: Mapping[str, tuple[Any, ...]]
) -> Plan:
    """Where the forward is right the op's own definition is a sharper oracle than differences."""
    define = fitting_definition(call, tried) if plan.forward.verdict == "right" else None
    if define is None:
        return plan
    return plan._replace(reference=calling.reference_of(define, plan.target[0], call, options))


def _usable(
    options: Mapping[str, tuple[Any, ...]], tried: list[Trial]
) -> dict[str, tuple[Any, ...]]:
    """The values of options with which the layer ran and left a cache for its backward."""
    good = [trial.options for trial in tried if not trial.error and trial.cache is not None]
    return {
        name: tuple(value for value in values if any(given[name] == value for given in good))
        for name, values in options.items()
    }


def _left_out(
    options: Mapping[str, tuple[Any, ...]], usable: Mapping[str, tuple[Any, ...]]
) -> tuple[str, ...]:
    return tuple(
        f"backward not tried with {name}={value!r}: the forward refuses it or leaves no cache"
        for name, values in options.items()
        for value in values
        if value not in usable[name]
    )


def _refuse_unwritten(backward: Any, pair: calling.Pair, trial: Trial) -> None:
    """A backward that returns nothing is not written yet; what it raises is told later."""
    ones = jax.tree.map(np.ones_like, trial.out)
    try:
        with np.errstate(all="ignore"):
            grads = pair[1](ones, trial.cache)
    except Exception:  # noqa: BLE001 - the verifier calls it again, and reports that
        return
    several = grads if isinstance(grads, tuple | list) else (grads,)
    if all(grad is None for grad in several):
        raise TargetError(f"{backward.__name__} returned None: it is not written yet")


def _raise_first(function: Any, tried: list[Trial]) -> None:
    if tried[0].error:
        raise TargetError(f"{function.__name__} {_on(tried[0])}")


def _on(trial: Trial) -> str:
    shapes = ", ".join(str(np.shape(array)) for array in trial.arrays)
    return f"{trial.error} (on arrays of shapes {shapes})"


def how(name: str) -> str:
    """How to give example arguments, in words."""
    return f'give example arguments in the file, as in {EXAMPLES} = {{"{name}": (x, w)}}'
