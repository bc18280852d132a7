"""NumPy layers in the style of CS231n.

A pair of `layer_forward(x, ...) -> (out, cache)` and `layer_backward(dout, cache) -> grads`. JAX
cannot trace them. They run through callbacks, in float64, and the reference is the forward
itself with slopes by finite differences, nan where their error bar is too wide.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from purebp.errors import CotangentError
from purebp.op import Tolerance
from purebp.signature import read_signature
from purebp.verification.differences import jacobian
from purebp.verification.options import guess_options

Function = Callable[..., Any]

RTOL, ATOL = 1e-5, 1e-8
DIFFERENCES = Tolerance(
    rtol=RTOL, atol=ATOL, reason="finite differences have about ten digits in float64"
)
WIDE = 1e-6
"""Relative error bars beyond this decide nothing."""
FEW, FINE = 3, 1e-9
"""A short ladder of steps is long enough where it leaves no more doubt than this."""


def is_numpy_pair(target: Any) -> bool:
    """Whether a pair is `(layer_forward, layer_backward)`, with `backward(dout, cache)`."""
    if not (isinstance(target, tuple) and len(target) == 2 and all(map(callable, target))):  # type: ignore[reportUnknownArgumentType]  # any tuple may come
        return False
    forward, backward = target  # type: ignore[reportUnknownVariableType]  # as above
    names = getattr(forward, "__name__", ""), getattr(backward, "__name__", "")
    if names[0].endswith("_forward") and names[1].endswith("_backward"):
        return True
    parameters = list(inspect.signature(backward).parameters)
    return len(parameters) >= 2 and parameters[1] == "cache"


class NumpyPair:
    """The two functions as callbacks: the primal, the cotangents, the slopes by differences.

    `arrays`: how many arguments the example has; what has a default after them is an option.
    `silent`: the places of the arguments that have no gradient.
    """

    def __init__(self, forward: Function, backward: Function, arrays: int | None = None) -> None:
        self.forward, self.backward = forward, backward
        self.signature = read_signature(forward)
        self.options = guess_options(forward, arrays)
        self.silent: frozenset[int] = frozenset()
        self._kept: tuple[Any, list[Any]] | None = None

    def run(self, settings: Mapping[str, Any], *args: Any) -> Any:
        """The output of the forward function."""
        call = partial(self._out, settings)
        return _called(call, self._shape(settings, args), *args)

    def pull(self, settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> Any:
        """(output, cotangents): one for each argument, None for integers."""
        bars = _called_for_each(partial(self._cotangents, settings), y_bar, args)
        return self.run(settings, *args), bars

    def try_out(self, settings: Mapping[str, Any], args: tuple[Any, ...]) -> None:
        """Run both functions once, outside of JAX, so that they raise what they raise."""
        out = self.forward(*map(own, args), **settings)[0]
        self._cotangents(settings, jax.tree.map(np.ones_like, out), *args)

    def fits(self, settings: Mapping[str, Any], args: tuple[Any, ...]) -> bool:
        """Whether both functions run, and each gradient has the shape of its argument."""
        try:
            with np.errstate(all="ignore"):
                self.try_out(settings, args)
        except Exception:  # noqa: BLE001 - it refuses, in its own words
            return False
        return True

    def by_differences(self, settings: Mapping[str, Any], *args: Any) -> Any:
        """The forward function with slopes by finite differences, for autodiff to find."""
        return self._with_slopes(self._differences, settings, args)

    def by_its_own(self, settings: Mapping[str, Any], *args: Any) -> Any:
        """The forward function with the slopes that its backward gives, for autodiff to find."""
        return self._with_slopes(self._cotangents, settings, args)

    def _with_slopes(
        self, slopes: Function, settings: Mapping[str, Any], args: tuple[Any, ...]
    ) -> Any:
        @jax.custom_vjp
        def forward(*args: Any) -> Any:
            return self.run(settings, *args)

        def fwd(*args: Any) -> Any:
            return forward(*args), args

        def bwd(args: Any, y_bar: Any) -> Any:
            return _called_for_each(partial(slopes, settings), y_bar, args)

        forward.defvjp(fwd, bwd)
        return forward(*args)

    def weighted(self, settings: Mapping[str, Any], args: tuple[Any, ...], y_bar: Any) -> float:
        """sum(y_bar * output), outside of JAX: many calls need no program."""
        out = self.forward(*map(own, args), **settings)[0]
        flat = np.concatenate([np.ravel(y) for y in jax.tree.leaves(out)])
        return float(flat.astype(np.float64) @ y_bar)

    def _out(self, settings: Mapping[str, Any], *args: Any) -> Any:
        out = self.forward(*map(own, args), **settings)[0]
        return jax.tree.map(lambda y: np.asarray(y, _dtype_of(args)), out)

    def _shape(self, settings: Mapping[str, Any], args: tuple[Any, ...]) -> Any:
        """The shapes of the output, by running the function on numbers."""
        rng = np.random.default_rng(0)
        given = [_some_numbers(x, rng) for x in args]
        out = self.forward(*given, **settings)[0]
        dtype = _dtype_of(args)
        return jax.tree.map(lambda y: jax.ShapeDtypeStruct(np.shape(y), dtype), out)

    def _cotangents(self, settings: Mapping[str, Any], y_bar: Any, *args: Any) -> Any:
        _, cache = self.forward(*map(own, args), **settings)
        grads = self.backward(jax.tree.map(own, y_bar), cache)
        several = grads if isinstance(grads, tuple | list) else (grads,)
        return tuple(self._fitted(list(several), args))

    def _fitted(self, grads: list[Any], args: tuple[Any, ...]) -> list[Any]:
        """One gradient for each floating argument, in order; 0 for the others."""
        names = [parameter.name for parameter in self.signature.parameters]
        floating = [
            k
            for k, x in enumerate(args)
            if np.issubdtype(np.asarray(x).dtype, np.floating) and k not in self.silent
        ]
        if len(grads) == len(args):
            grads = [grads[k] for k in floating]
        if len(grads) != len(floating):
            listed = ", ".join(names[k] for k in floating)
            raise CotangentError(
                f"{self.backward.__name__} returned {len(grads)} gradients, expected "
                f"{len(floating)}, one for each of {listed}"
            )
        fitted = [np.zeros(np.shape(x), np.asarray(x).dtype) for x in args]
        for place, grad in zip(floating, grads, strict=True):
            if np.shape(grad) != np.shape(args[place]):
                raise CotangentError(
                    f"the gradient of {names[place]} has shape {np.shape(grad)}, expected "
                    f"{np.shape(args[place])}"
                )
            fitted[place] = np.asarray(grad, fitted[place].dtype)
        return fitted

    def _differences(self, settings: Mapping[str, Any], y_bar: Any, *args: Any) -> Any:
        weights = np.concatenate([np.ravel(bar) for bar in jax.tree.leaves(y_bar)])
        bars = list[Any]()
        for x, known in zip(args, self._jacobians(settings, args), strict=True):
            bar = None if known is None else _weighted(weights.astype(np.float64), known)
            shape, dtype = np.shape(x), np.asarray(x).dtype
            bars.append(np.zeros(shape, dtype) if bar is None else bar.reshape(shape).astype(dtype))
        return tuple(bars)

    def _jacobians(self, settings: Mapping[str, Any], args: tuple[Any, ...]) -> list[Any]:
        """One Jacobian for each floating argument, nan where it is not known; the last is kept."""
        key = (repr(settings), *((np.shape(x), np.asarray(x).tobytes()) for x in args))
        if self._kept is None or self._kept[0] != key:
            given = [own(x) for x in args]
            self._kept = (key, [self._jacobian(settings, given, k) for k in range(len(args))])
        return self._kept[1]

    def _jacobian(self, settings: Mapping[str, Any], given: list[Any], place: int) -> Any:
        x = given[place]
        if x.dtype.kind != "f" or place in self.silent:
            return None

        def outputs(points: np.ndarray) -> np.ndarray:
            return np.stack([self._output(settings, given, place, p) for p in points])

        point, places = x.ravel(), np.arange(x.size)
        magnitudes = np.abs(outputs(point[None])[0]) + 1.0
        found, bars, *_ = jacobian(outputs, point, places, magnitudes, rungs=FEW)
        vague = np.flatnonzero(~(bars <= FINE * _size(found)).all(axis=0))
        if vague.size:
            better = jacobian(outputs, point, vague, magnitudes)
            found[:, vague], bars[:, vague] = better.values, better.bars
        return np.where(bars <= WIDE * _size(found), found, np.nan)

    def _output(
        self, settings: Mapping[str, Any], given: list[Any], place: int, point: np.ndarray
    ) -> np.ndarray:
        """The output as one vector, with one argument replaced."""
        args = [np.array(x) for x in given]
        args[place] = point.reshape(given[place].shape).copy()
        out = self.forward(*args, **settings)[0]
        return np.concatenate([np.ravel(y) for y in jax.tree.leaves(out)]).astype(np.float64)


def _size(found: np.ndarray) -> np.ndarray:
    """1 more than the largest slope of each output."""
    finite = np.where(np.isfinite(found), np.abs(found), 0.0)
    return 1 + finite.max(axis=1, keepdims=True, initial=0.0)


def _weighted(weights: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    """y_bar times the Jacobian; what is not known does not count where y_bar is 0."""
    used = weights != 0
    return weights[used] @ jacobian[used]


def _called_for_each(function: Function, y_bar: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """A callback that returns one cotangent for each argument, None in place of integers'."""
    shapes = tuple(jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)) for x in args)
    bars = _called(function, shapes, y_bar, *args)
    return tuple(bar if jnp.issubdtype(bar.dtype, jnp.floating) else None for bar in bars)


def _called(function: Function, shapes: Any, *args: Any) -> Any:
    """A callback whose float64 numbers travel as pairs of words.

    The thread that a callback runs on may not know float64, and would round them.
    """

    def on_words(*words: Any) -> Any:
        numbers = jax.tree.map(_from_words, jax.tree.unflatten(tree, words), kinds)
        return jax.tree.map(_to_words, function(*numbers))

    leaves, tree = jax.tree.flatten(args)
    kinds = jax.tree.unflatten(tree, [jnp.result_type(leaf) == jnp.float64 for leaf in leaves])
    sent = [_as_words(leaf) for leaf in leaves]
    came = jax.pure_callback(
        on_words, jax.tree.map(_words_of, shapes), *sent, vmap_method="sequential"
    )
    return jax.tree.map(
        lambda x, s: lax.bitcast_convert_type(x, s.dtype) if s.dtype == jnp.float64 else x,
        came,
        shapes,
    )


def _as_words(x: Any) -> Any:
    wide = jnp.result_type(x) == jnp.float64
    return lax.bitcast_convert_type(jnp.asarray(x), jnp.uint32) if wide else x


def _words_of(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    wide = shape.dtype == jnp.float64
    return jax.ShapeDtypeStruct((*shape.shape, 2), jnp.uint32) if wide else shape


def _from_words(x: Any, wide: bool) -> np.ndarray:
    array = np.array(x)
    return array.view(np.float64)[..., 0] if wide else array


def _to_words(y: Any) -> np.ndarray:
    array = np.asarray(y)
    if array.dtype != np.float64:
        return array
    return np.array(array[..., None], order="C").view(np.uint32)


def own(x: Any) -> np.ndarray:
    """A fresh array that the layer may do with what it likes; floating numbers in float64."""
    array = np.array(x)
    return array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array


def _dtype_of(args: tuple[Any, ...]) -> Any:
    floating = [x.dtype for x in args if jnp.issubdtype(x.dtype, jnp.floating)]
    return np.result_type(*floating) if floating else np.dtype(np.float32)


def _some_numbers(x: Any, rng: np.random.Generator) -> np.ndarray:
    if jnp.issubdtype(x.dtype, jnp.floating):
        return rng.uniform(0.5, 1.5, np.shape(x))
    return np.zeros(np.shape(x), x.dtype)
