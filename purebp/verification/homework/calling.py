"""Somebody's functions, called as they want it, behind one shape that the verifier knows.

A course's layer takes arrays and then dictionaries of options, and may return several outputs
before its cache: `next_h, next_c, cache = lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)`. The
verifier wants `forward(*arrays, **options) -> (out, cache)` and `backward(dout, cache)`.
"""

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purebp.errors import TargetError
from purebp.verification.homework.call import Call

Function = Callable[..., Any]
Pair = tuple[Function, Function]

FLOATING = "fV"
"""Kinds of dtypes that may not be finite; bfloat16 is of kind V."""
RESIDUALS = ("cache", "res", "residuals", "residual", "ctx", "saved")
"""First parameters of a backward that wants its residuals first."""


def fits(function: Function, call: Call) -> bool:
    """Whether a function takes as many arguments as a call has, with its options or without."""
    return _bundles_taken(function, call) is not None


def _bundles_taken(function: Function, call: Call) -> int | None:
    """How many parameters for options are passed; None if the arguments do not fit."""
    positional = _positional(function)
    required = sum(parameter.default is parameter.empty for parameter in positional)
    arrays = len(call.args)
    options = positional[arrays : arrays + len(call.bundles)]
    takes = len([p for p in options if p.default is p.empty or not _is_number(p.default)])
    count = arrays + takes
    return takes if required <= count <= len(positional) else None


def _positional(function: Function) -> list[inspect.Parameter]:
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [parameter for parameter in parameters if parameter.kind in kinds]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def course_pair(forward: Function, backward: Function, call: Call) -> Pair:
    """A pair whose arrays and options are those of a call."""
    taken = _bundles_taken(forward, call) or 0

    def run(*arrays: Any, **options: Any) -> tuple[Any, Any]:
        call.check_shapes(arrays)
        bundles = [bundle.fill(arrays, options) for bundle in call.bundles[:taken]]
        np.random.seed(0)  # noqa: NPY002 - layers of courses draw from the global generator
        return split_outputs(forward, backward, forward(*arrays, *bundles))

    options = set(options_taken(forward, call))
    return _signed(run, forward, _array_names(forward, call), options), _pull_of(backward)


def options_taken(forward: Function, call: Call) -> dict[str, tuple[Any, ...]]:
    """The options of a call that reach a function, with their values."""
    taken = _bundles_taken(forward, call) or 0
    return {key.of_call: key.values for bundle in call.bundles[:taken] for key in bundle.keys}


def _array_names(forward: Function, call: Call) -> tuple[str, ...]:
    """The names that the function itself gives its arrays."""
    return tuple(parameter.name for parameter in _positional(forward)[: len(call.args)])


def loss_pair(loss: Function, call: Call) -> Pair:
    """A pair for a function that returns (loss, gradient of its first argument).

    Where its other arguments are real too they stay as they are: it has no gradient of them.
    """
    fixed = {place: arg for place, arg in enumerate(call.args) if place and arg.kind == "real"}
    names = tuple(n for k, n in enumerate(_array_names(loss, call)) if k not in fixed)

    def run(*arrays: Any) -> tuple[Any, Any]:
        given = with_fixed(call, arrays)
        call.check_shapes(given)
        found = loss(*given)
        if not isinstance(found, tuple) or len(found) != 2 or np.ndim(found[0]):
            raise TargetError(f"{loss.__name__} returned {_kind(found)}, expected (loss, dx)")
        return np.float64(found[0]), np.asarray(found[1])

    def pull(dout: Any, cache: Any) -> Any:
        return dout * cache

    return _signed(run, loss, names, set()), _named(pull, loss)


def with_fixed(call: Call, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arrays, and in the places of fixed ones numbers that depend on their shape alone."""
    if len(arrays) == len(call.args):
        return arrays
    left = iter(arrays)
    filled = list[Any]()
    for place, arg in enumerate(call.args):
        if place and arg.kind == "real":
            shape = np.shape(arrays[0])
            filled.append(np.random.default_rng(1).standard_normal(shape))
        else:
            filled.append(next(left))
    return tuple(filled)


def without_fixed(call: Call, seed: int) -> tuple[Any, ...]:
    """Arrays for a loss, but those that stay as they are."""
    pairs = zip(call.args, call.example(seed), strict=True)
    return tuple(x for place, (arg, x) in enumerate(pairs) if not (place and arg.kind == "real"))


def given_pair(forward: Function, backward: Function, examples: tuple[Any, ...]) -> Pair:
    """A pair with everything in an example that is no array handed on as it is."""
    places = [place for place, arg in enumerate(examples) if is_array(arg)]
    positional = [parameter.name for parameter in _positional(forward)]
    names = tuple(positional[k] if k < len(positional) else f"argument_{k}" for k in places)

    def run(*arrays: Any, **options: Any) -> tuple[Any, Any]:
        given = [copy.deepcopy(arg) for arg in examples]
        for place, array in zip(places, arrays, strict=True):
            given[place] = array
        return split_outputs(forward, backward, forward(*given, **options))

    return _signed(run, forward, names, set()), _pull_of(backward)


def _pull_of(backward: Function) -> Function:
    """The backward as a function of (dout, cache), of several outputs too."""
    cache_first = residuals_first(backward)

    def pull(dout: Any, cache: Any) -> Any:
        douts = dout if isinstance(dout, tuple) else (dout,)
        return backward(cache, *douts) if cache_first else backward(*douts, cache)

    return _named(pull, backward)


def traced_pair(pair: Pair) -> Pair:
    """A pair of JAX code in the style of a course, in JAX's own style."""
    forward, backward = pair

    def bwd(res: Any, y_bar: Any) -> tuple[Any, ...]:
        bars = backward(y_bar, res)
        return tuple(bars) if isinstance(bars, tuple | list) else (bars,)

    # By its names the verifier would take it for a NumPy layer.
    forward.__name__ = forward.__name__.replace("forward", "fwd")
    bwd.__name__ = backward.__name__.replace("backward", "bwd")
    bwd.__wrapped__ = inspect.unwrap(backward)  # type: ignore[reportFunctionMemberAccess]  # as below
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("res", "y_bar")]
    bwd.__signature__ = inspect.Signature(parameters)  # type: ignore[reportFunctionMemberAccess]  # as below
    return forward, bwd


def residuals_first(backward: Function) -> bool:
    """Whether a backward takes its residuals first, as JAX wants it."""
    names = [parameter.name for parameter in _positional(backward)]
    if names and names[0] in RESIDUALS:
        return True
    return "bwd" in backward.__name__.split("_") and (len(names) < 2 or names[1] not in RESIDUALS)


def is_array(value: Any) -> bool:
    """Whether an argument of an example is an array, or a number that has a derivative."""
    return isinstance(value, np.ndarray | np.generic | jax.Array | float)


def split_outputs(forward: Function, backward: Function, found: Any) -> tuple[Any, Any]:
    """(outputs, cache) of what a forward returned; several outputs are a tuple."""
    wanted = len([p for p in _positional(backward) if p.default is p.empty])
    if found is None:
        raise TargetError(f"{forward.__name__} returned None: it is not written yet")
    if not isinstance(found, tuple | list) or len(found) < 2:
        raise TargetError(f"{forward.__name__} returned {_kind(found)}, expected (out, cache)")
    *outputs, cache = found
    if len(outputs) > 1 and wanted != len(found):
        raise TargetError(
            f"{forward.__name__} returned {len(found)} values and {backward.__name__} takes "
            f"{wanted}, expected as many: a gradient for each output, and the cache"
        )
    if any(output is None for output in outputs):
        raise TargetError(f"{forward.__name__} returned None as output: it is not written yet")
    return (outputs[0] if len(outputs) == 1 else tuple(outputs)), cache


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a tuple of {len(value)}"
    return "one array" if isinstance(value, np.ndarray | jax.Array) else f"{value!r:.30}"


def _signed(run: Function, source: Function, names: tuple[str, ...], options: set[str]) -> Function:
    """A function under the name of another, with the given arguments and options."""
    kinds = inspect.Parameter
    parameters = [kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in names]
    parameters += [kinds(name, kinds.KEYWORD_ONLY) for name in sorted(options)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[reportFunctionMemberAccess]  # inspect documents it
    run.__name__ = forward_name(source.__name__)
    run.__wrapped__ = source  # type: ignore[reportFunctionMemberAccess]  # inspect documents it
    return run


def _named(pull: Function, source: Function) -> Function:
    """A function of (dout, cache) under the name of another, whose lines it stands for."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("dout", "cache")]
    pull.__signature__ = inspect.Signature(parameters)  # type: ignore[reportFunctionMemberAccess]  # as above
    pull.__name__ = source.__name__
    pull.__wrapped__ = source  # type: ignore[reportFunctionMemberAccess]  # as above
    return pull


def forward_name(name: str) -> str:
    """A name by which the verifier knows a NumPy layer."""
    return name if name.endswith("_forward") else f"{name}_forward"


def reference_of(
    define: Function, run: Function, call: Call, options: Mapping[str, tuple[Any, ...]]
) -> Function:
    """A definition for the verifier: it refuses the shapes and options that the layer refuses."""
    unset = {name: values[0] for name, values in call.options.items() if name not in options}
    wanted = inspect.signature(define).parameters
    unset = {name: value for name, value in unset.items() if name in wanted}

    def reference(*arrays: Any, **settings: Any) -> Any:
        given = with_fixed(call, arrays)
        call.check_shapes(given)
        run(*(_numbers_like(array) for array in arrays), **settings)
        hidden = _nan_unless_asked_for(call, given)
        return jax.tree.map(lambda y: y + hidden, define(*given, **unset, **settings))

    return reference


def _nan_unless_asked_for(call: Call, arrays: tuple[Any, ...]) -> Any:
    """0, or nan where a course does not ask what comes: no finite number, no label in range."""
    sizes = call.sizes_of(arrays)
    good = [jnp.isfinite(array).all() for array in arrays if array.dtype.kind in FLOATING]
    for arg, array in zip(call.args, arrays, strict=True):
        if arg.below in sizes:
            good.append(((array >= 0) & (array < sizes[arg.below])).all())
    return jnp.where(jnp.all(jnp.asarray(good)), 0.0, jnp.nan)


def _numbers_like(array: Any) -> np.ndarray:
    """Numbers in the shape and dtype of an array that is being traced."""
    if np.issubdtype(array.dtype, np.floating):
        return np.random.default_rng(0).uniform(0.5, 1.5, array.shape)
    return np.zeros(array.shape, array.dtype)
