"""Op: a hand-derived (fwd, bwd) pair that is also a callable JAX function.

An op is three plain functions and one declaration:

    definition(*arrays, **options) -> y          plain jnp, the oracle that autodiff differentiates
    fwd(*arrays, **options) -> (y, residuals)    hand-derived
    bwd(residuals, y_bar, **options) -> cotangents, one for each array
"""

import copy
import difflib
import inspect
import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Self, cast

import jax
import numpy as np

from purebp.compat import unify_varying
from purebp.errors import (
    ArgumentError,
    CotangentError,
    OptionError,
    ResidualsError,
    in_words,
)
from purebp.residuals import Residuals, check_cotangent, output_specs
from purebp.signature import Signature, as_array, check_arrays, read_signature

Function = Callable[..., Any]
_NONE = cast(Function, None)


class Domain(NamedTuple):
    """What an argument may be: real, positive, nonzero, an index below an axis, a PRNG key.

    Or a mask of booleans, or between two bounds. Or fixed: it is not differentiated, and keeps
    the value of the example. Or a matrix with properties (the last two axes), see below.
    """

    kind: str = "real"
    below: str = ""
    low: float = -math.inf
    high: float = math.inf


REAL, POSITIVE, NONZERO, KEY = Domain("real"), Domain("positive"), Domain("nonzero"), Domain("key")
FIXED, MASK = Domain("fixed"), Domain("mask")
FULL_RANK = Domain("full rank")  # a well conditioned matrix, its singular values apart
SYMMETRIC = Domain("symmetric")  # eigenvalues of both signs, apart
SIMPLE = Domain("simple")  # eigenvalues apart, most of them in pairs of conjugates
SPD = Domain("spd")  # symmetric, positive eigenvalues, some of them equal in one of the patterns


def index_below(axis: str) -> Domain:
    """Integers from 0 to below the size of the named axis."""
    return Domain("index", axis)


def between(low: float = -math.inf, high: float = math.inf) -> Domain:
    """Real numbers above `low` and below `high`."""
    return Domain("between", low=low, high=high)


class Tolerance(NamedTuple):
    """The allowed error of a cotangent, in units of eps * (|J|^T |y_bar|).

    `conditioned` adds the rounding errors that autodiff of the definition makes nearby; `reason`
    says why an op needs more than the default. `pooled` takes their root mean square over each
    argument where that is more: for ops that mix entries, in which a sum that cancels to 0 shows
    little of its rounding. `whole` does so with the output, for functions of a matrix that are
    right as a whole: an entry of 0 has the rounding of the others. `rtol` replaces
    `factor * eps`, `atol` is added.
    """

    factor: float = 8.0
    conditioned: bool = False
    pooled: bool = False
    whole: bool = False
    reason: str = ""
    rtol: float | None = None
    atol: float = 0.0


STRICT = Tolerance()


def conditioned(reason: str, *, pooled: bool = False, whole: bool = False) -> Tolerance:
    """The tolerance of an op whose cotangent is a difference that cancels."""
    return Tolerance(conditioned=True, pooled=pooled, whole=whole, reason=reason)


_OPENED: ContextVar[str | None] = ContextVar("opened", default=None)
"""The name of the op whose parts are called, empty outside of any; `None` if none is opened."""


@contextmanager
def opened(name: str | None = "") -> Generator[None]:
    """Within it an op that is made of others is a compiled call of these, and no pair of its own.

    The gradients are the same: its backward pass is theirs in reverse, and aux has no gradient.
    `name` is that of the op whose parts are called; `None` for pairs again.
    """
    before = _OPENED.set(name)
    try:
        yield
    finally:
        _OPENED.reset(before)


@dataclass(frozen=True, eq=False, repr=False)
class Op:
    """A hand-derived pair. `op.fwd`, `op.bwd` are explicit; `op(...)` works under `jax.grad`.

    Args:
        forward: `(*arrays, **options) -> (y, residuals)`.
        backward: `(residuals, y_bar, **options) -> cotangents`; names only the options it needs.
        definition: the plain function; by default the first output of `forward`.
        options: for each option the values that verification tries.
        domains: for each argument what it may be, where that is not "any real number".
        sizes: for each axis of the annotations the sizes (for several axes: tuples) to try.
        check: called with the arguments and options; raises for what annotations cannot say.
        kinks: where the definition has no derivative, and the convention taken there.
        tolerance: the allowed error, with a reason where it is not the default.
        has_aux: the output is `(y, aux)`; aux is not differentiated and `bwd` takes `y_bar` alone.
        takes_tuple: the first argument may be a tuple; `chain` and the like hand it over whole.
        example: `numpy.random.Generator -> arguments`, for arguments that are not single arrays.
        name: by default the name of the definition.
        composed: the definition calls nothing but `define` of other ops, or plain functions between
            them: `opened` runs it by their pairs.

    As with every `jax.custom_vjp`, forward mode (`jax.jvp`, `jax.jacfwd`) straight over an op
    raises in JAX; `jax.hessian` and `jax.grad` of `jax.grad` work.

    >>> import jax.numpy as jnp
    >>> from purebp.gates import mul
    >>> z, res = mul.fwd(jnp.float32(3), jnp.float32(4))
    >>> [float(bar) for bar in mul.bwd(res, 1.0)]
    [4.0, 3.0]
    """

    forward: Function
    backward: Function
    definition: Function = _NONE
    options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])
    domains: Mapping[str, Domain] = field(default_factory=dict[str, Domain])
    sizes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])
    check: Function | None = None
    kinks: str = ""
    tolerance: Tolerance = STRICT
    has_aux: bool = False
    takes_tuple: bool = False
    example: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    name: str = ""
    composed: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    _calls: dict[Any, Function] = field(default_factory=dict[Any, Function])

    def __post_init__(self) -> None:
        definition = self.definition or partial(_primal, self.forward)
        name = self.name or _plain_name(self.definition or self.forward)
        signature = read_signature(self.definition or self.forward)
        taken = set(inspect.signature(self.backward).parameters)
        object.__setattr__(self, "definition", definition)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "signature", signature)
        object.__setattr__(self, "__signature__", signature.python)
        object.__setattr__(self, "_backward_options", taken & set(signature.options))
        object.__setattr__(self, "__name__", name)
        object.__setattr__(self, "__doc__", (self.definition or self.forward).__doc__)
        for option in (*self.options, *self.settings):
            self._check_option(option)

    signature: Signature = field(init=False)
    _backward_options: set[str] = field(init=False)

    def __repr__(self) -> str:
        settings = "".join(f", {key}={value!r}" for key, value in self.settings.items())
        return f"<Op {self.name}{settings}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The value of the op, with the hand-derived pair as its derivative."""
        arrays, settings = self._bind(args, kwargs)
        if self.composed and _OPENED.get() is not None:
            return self._by_parts(settings, *arrays)
        call = self._calls.get(settings)
        if call is None:
            call = self._calls[settings] = self._differentiable(settings)
        return call(*unify_varying(arrays))

    def fwd(self, *args: Any, **kwargs: Any) -> tuple[Any, Residuals]:
        """The forward pass: the output, and what the backward pass needs."""
        arrays, settings = self._bind(args, kwargs)
        return self._run_forward(settings, *arrays)

    def bwd(self, res: Residuals, y_bar: Any) -> tuple[Any, ...]:
        """The backward pass: one cotangent for each argument, `None` where there is none."""
        if not isinstance(res, Residuals) or res.saved_by != self.name:
            came = f"from {res.saved_by}" if isinstance(res, Residuals) else in_words(res)
            raise ResidualsError(
                f"{self.name}: res is {came}, expected the residuals of {self.name}.fwd"
            )
        y_bar = check_cotangent(self.name, res.output, y_bar)
        options = {k: v for k, v in res.settings if k in self._backward_options}
        bars = self.backward(res.values, y_bar, **options)
        if not isinstance(bars, tuple | list):
            raise CotangentError(
                f"{self.name}: bwd returned {in_words(bars)}, expected a tuple of "
                f"{res.arity}, one cotangent for each argument; write `return x_bar,`"
            )
        if len(bars) != res.arity:  # type: ignore[reportUnknownArgumentType]  # any tuple may come
            raise CotangentError(
                f"{self.name}: bwd returned {len(bars)} cotangents, expected {res.arity}, "  # type: ignore[reportUnknownArgumentType]
                f"one for each argument{self._names()}"
            )
        return tuple(bars)  # type: ignore[reportUnknownVariableType]

    def define(self, *args: Any, **kwargs: Any) -> Any:
        """The value by the plain definition, with this op's options; by its pair if `opened`."""
        if _OPENED.get() is not None:
            return self(*args, **kwargs)
        arrays, settings = self._bind(args, kwargs)
        return self.definition(*arrays, **dict(settings))

    def with_options(self, **options: Any) -> Self:
        """The same op with other defaults of its options."""
        for option in options:
            self._check_option(option)
        other = copy.copy(self)
        object.__setattr__(other, "settings", {**self.settings, **options})
        return other

    def _run_forward(self, settings: tuple[tuple[str, Any], ...], *arrays: Any) -> Any:
        with opened(None):
            came = self.forward(*self._arrays(arrays), **dict(settings))
        out, values = self._pair("fwd", came, "(y, residuals)")
        y = self._pair("the output", out, "(y, aux)")[0] if self.has_aux else out
        return out, Residuals(values, self.name, settings, output_specs(y), len(arrays))

    def _pair(self, source: str, came: Any, expected: str) -> tuple[Any, Any]:
        if not isinstance(came, tuple) or len(came) != 2:  # type: ignore[reportUnknownArgumentType]  # any tuple may come
            verb = "returned" if source == "fwd" else "is"
            raise ResidualsError(
                f"{self.name}: {source} {verb} {in_words(came)}, expected the pair {expected}"
            )
        return cast(tuple[Any, Any], came)

    def _by_parts(self, settings: tuple[tuple[str, Any], ...], *arrays: Any) -> Any:
        """The definition as a compiled call of the op's name, its parts as the pairs they are."""

        def call(*arrays: Any) -> Any:
            with opened(self.name):
                out = self.definition(*arrays, **dict(settings))
            if not self.has_aux:
                return out
            y, aux = self._pair("the output", out, "(y, aux)")
            return y, jax.lax.stop_gradient(aux)

        _give_name(call, self.name)
        return call(*arrays) if _OPENED.get() == self.name else jax.jit(call)(*arrays)

    def _differentiable(self, settings: tuple[tuple[str, Any], ...]) -> Function:
        def call(*arrays: Any) -> Any:
            return self._run_forward(settings, *arrays)[0]

        def call_bwd(res: Residuals, y_bar: Any) -> tuple[Any, ...]:
            return self.bwd(res, y_bar[0] if self.has_aux else y_bar)

        _give_name(call, self.name)
        op = jax.custom_vjp(call)
        op.defvjp(partial(self._run_forward, settings), call_bwd)
        if self.composed:
            vars(inspect.unwrap(call_bwd))["by_parts"] = partial(self._by_parts, settings)
        return cast(Function, op)

    def _bind(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]:
        names = [parameter.name for parameter in self.signature.parameters]
        options = {**_with_default(self.signature.options), **self.settings}
        for key, value in kwargs.items():
            if key not in names:
                self._check_option(key)
                options[key] = value
        named = {key: value for key, value in kwargs.items() if key in names}
        try:
            bound = self.signature.python.bind(*args, **named, **options)
        except TypeError as error:
            raise ArgumentError(
                f"{self.name}: {error}; the arguments are {', '.join(names)}"
            ) from None
        bound.apply_defaults()
        settings = tuple(sorted(options.items()))
        try:
            hash(settings)
        except TypeError:
            wrong = next(key for key, value in settings if not _is_hashable(value))
            raise OptionError(
                f"{self.name}: option {wrong} is {options[wrong]!r}, expected a hashable value; "
                "options are static: pass numbers, strings or tuples"
            ) from None
        arrays = self._arrays(bound.args)
        check_arrays(self.name, self.signature.parameters, arrays)
        if self.check is not None:
            self.check(*arrays, **options)
        return arrays, settings

    def _arrays(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        specs = [(p.name, bool(p.specs)) for p in self.signature.parameters]
        specs += [("", False)] * (len(values) - len(specs))
        return tuple(
            as_array(self.name, name, value) if single and value is not None else value
            for (name, single), value in zip(specs, values, strict=True)
        )

    def _names(self) -> str:
        names = ", ".join(parameter.name for parameter in self.signature.parameters)
        return f" ({names})" if names else ""

    def _check_option(self, option: str) -> None:
        known = list(self.signature.options)
        if option in known:
            return
        close = difflib.get_close_matches(option, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        has = ", ".join(known) or "none"
        raise OptionError(f"{self.name} has no option {option!r}{hint} (its options: {has})")


def _with_default(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that have a default."""
    return {key: value for key, value in options.items() if value is not inspect.Parameter.empty}


def _primal(forward: Function, *args: Any, **options: Any) -> Any:
    return forward(*args, **options)[0]


def _plain_name(function: Function) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return name.removesuffix("_definition").removesuffix("_fwd").removesuffix("_forward")


def _give_name(function: Function, name: str) -> None:
    """The name that programs show, of a function and of what it wraps."""
    for each in (function, inspect.unwrap(function)):
        each.__name__ = name


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
