"""A `torch.autograd.Function`: held against finite differences of its forward, or a reference."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from purebp.errors import TargetError
from purebp.signature import Parameter, Signature
from purebp.verification.numpy_pair import DIFFERENCES, NumpyPair
from purebp.verification.options import alternatives
from purebp.verification.targets.view import UNKNOWN_CONDITION, Function, Target
from purebp.verification.torch_pair import TorchPair, arguments_of, is_tensor


def from_torch(
    target: Any,
    reference: Function | None,
    static: Mapping[str, tuple[Any, ...]],
    examples: tuple[Any, ...],
) -> tuple[Target, tuple[Any, ...]]:
    """The target, and its tensors as NumPy arrays; what is no tensor becomes a setting."""
    name = target.__name__
    parameters = arguments_of(target)
    if not examples:
        raise TargetError(
            f"{name}: give example arguments, tensors or NumPy arrays: what its forward takes"
        )
    if len(examples) > len(parameters):
        listed = ", ".join(p.name for p in parameters)
        raise TargetError(
            f"{name}: {len(examples)} example arguments, expected {len(parameters)} ({listed})"
        )
    fixed = {
        parameters[place].name: place
        for place, value in enumerate(examples)
        if not is_tensor(value) and not isinstance(value, np.ndarray | jax.Array)
    }
    arrays = tuple(_array(x) for k, x in enumerate(examples) if k not in fixed.values())
    named = [Parameter(p.name, (), False) for p in parameters if p.name not in fixed]
    how = (named[: len(arrays)], fixed, [array.dtype for array in arrays])
    pair = TorchPair(target.apply, target.backward, *how)
    passed = {key: (examples[k], *alternatives(examples[k])) for key, k in fixed.items()}
    options = {**passed, **static}
    first = {key: values[0] for key, values in options.items()}
    plain, oracle = pair.by_differences, "finite differences of the forward"
    tolerance = DIFFERENCES
    if reference is not None:
        plain, oracle, tolerance = _given(reference, how, first, arrays)
    made = Target(
        name=name,
        source=target,
        forward=pair.run,
        pull=pair.pull,
        reference=plain,
        reference_name=oracle,
        parameters=tuple(named[: len(arrays)]),
        options=options,
        tolerance=tolerance,
        numpy=pair,
        differences=tolerance is DIFFERENCES,
    )
    return made, arrays


def _array(value: Any) -> np.ndarray:
    """The numbers of an example, in a dtype that NumPy has."""
    if not is_tensor(value):
        return np.asarray(value)
    plain = value.detach().cpu()
    return plain.float().numpy() if str(plain.dtype) == "torch.bfloat16" else plain.numpy()


def _given(
    reference: Function, how: tuple[Any, ...], first: Mapping[str, Any], arrays: tuple[Any, ...]
) -> tuple[Function, str, Any]:
    """A reference of PyTorch, JAX or NumPy: whichever takes the example."""
    pair = TorchPair(reference, reference, *how)
    wide = [np.array(x, np.float64) if x.dtype.kind == "f" else x for x in arrays]
    if _runs(partial(pair.run_tensors, wide, first)):
        return pair.by_its_own, "torch.autograd of the given reference", UNKNOWN_CONDITION

    def placed(settings: Mapping[str, Any], *args: Any) -> Any:
        given = list(args)
        for name, place in sorted(how[1].items(), key=lambda item: item[1]):
            given.insert(place, settings[name])
        return reference(*given)

    if _runs(lambda: jax.eval_shape(partial(placed, first), *arrays)):
        return placed, "the given reference", UNKNOWN_CONDITION

    def forward(*args: Any, **settings: Any) -> Any:
        return placed(settings, *args), None

    by_numpy = NumpyPair(forward, forward)
    by_numpy.signature = Signature(tuple(how[0]), {}, False, by_numpy.signature.python)
    if _runs(lambda: forward(*wide, **first)):
        return by_numpy.by_differences, "finite differences of the given reference", DIFFERENCES
    raise TargetError(
        "the reference runs neither on tensors, nor on arrays of JAX or NumPy; expected a function "
        "of the same arguments as forward, without ctx"
    )


def _runs(call: Function) -> bool:
    try:
        call()
    except Exception:  # noqa: BLE001 - made for other arrays
        return False
    return True
