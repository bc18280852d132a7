"""What the annotations of a definition say about its arrays: rank, axes and dtype.

`Float[Array, "*batch d"]` is read once for each op. It serves to check inputs, with an error
that says what was expected, and to generate inputs when an op is verified.
"""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.errors import ArgumentError, DtypeError, ShapeError, in_words


class Dim(NamedTuple):
    """One axis of an annotation, or several (`variadic`); `broadcast` lets it be 1."""

    name: str
    variadic: bool = False
    broadcast: bool = False

    @property
    def size(self) -> int | None:
        """The size where the annotation gives a number."""
        return int(self.name) if self.name.isdigit() else None


class ArraySpec(NamedTuple):
    """What one annotation asks of an array; no `dtypes`: any will do."""

    dims: tuple[Dim, ...]
    dtypes: tuple[str, ...]

    @property
    def rank(self) -> str:
        """The rank in words, for messages."""
        fixed = sum(not dim.variadic for dim in self.dims)
        return f"at least {fixed}" if fixed < len(self.dims) else str(fixed)

    @property
    def kind(self) -> str:
        """The dtypes in words, for messages."""
        if "prng_key" in self.dtypes:
            return "a PRNG key"
        if "float32" in self.dtypes and "complex64" in self.dtypes:
            return "a floating or complex dtype"
        if "float32" in self.dtypes:
            return "a floating dtype" if "bfloat16" in self.dtypes else "float32 or float64"
        if "complex64" in self.dtypes:
            return "a complex dtype"
        if "int32" in self.dtypes:
            return "an integer dtype"
        return " or ".join(self.dtypes)


class Parameter(NamedTuple):
    """One positional argument of an op: the specs it may meet (none: any pytree)."""

    name: str
    specs: tuple[ArraySpec, ...]
    optional: bool


class Signature(NamedTuple):
    """The arguments and the options (with their defaults) of an op."""

    parameters: tuple[Parameter, ...]
    options: Mapping[str, Any]
    variadic: bool
    python: inspect.Signature


def read_signature(function: Callable[..., Any]) -> Signature:
    """Read the arguments, the options and the array annotations of a function."""
    python = inspect.signature(function)
    hints = read_hints(function)
    parameters: list[Parameter] = []
    options: dict[str, Any] = {}
    variadic = False
    for name, parameter in python.parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            options[name] = parameter.default
        elif parameter.kind is parameter.VAR_POSITIONAL:
            variadic = True
        elif parameter.kind is not parameter.VAR_KEYWORD:
            specs = _array_specs(hints.get(name))
            parameters.append(Parameter(name, specs, parameter.default is not parameter.empty))
    return Signature(tuple(parameters), options, variadic, python)


def read_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, as far as they can be read."""
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {}


def _array_specs(annotation: Any) -> tuple[ArraySpec, ...]:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        found = [_array_specs(member) for member in typing.get_args(annotation)]
        return tuple(spec for specs in found for spec in specs)
    if not hasattr(annotation, "dim_str"):
        return ()
    dtypes = annotation.dtypes if isinstance(annotation.dtypes, tuple | list) else ()  # Shaped: any
    return (ArraySpec(parse_dims(annotation.dim_str), tuple(dtypes)),)


def parse_dims(text: str) -> tuple[Dim, ...]:
    """Parse `"*batch d 3"` as jaxtyping does: `*` several axes, `#` may be 1, `_` any size.

    `?` and the name in `rows=4` only serve the reader.
    """
    return tuple(_parse_dim(word, index) for index, word in enumerate(text.split()))


def _parse_dim(word: str, index: int) -> Dim:
    if word in {"...", "_"}:
        return Dim(f"_{index}", variadic=word == "...")
    name = word.lstrip("*#?")
    marks = word[: len(word) - len(name)]
    return Dim(name.partition("=")[2] or name, "*" in marks, "#" in marks)


def as_array(op: str, name: str, value: Any) -> Any:
    """Turn a Python number, a list or a NumPy array into a JAX array; keys stay as they are."""
    if isinstance(value, jax.Array):
        return value
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise DtypeError(
            f"{op}: {name} is {in_words(value)}, expected an array of numbers"
        ) from error


def check_arrays(op: str, parameters: Sequence[Parameter], values: Sequence[Any]) -> None:
    """Raise ShapeError or DtypeError for the first array that does not fit its annotation."""
    bound: dict[str, tuple[Any, str]] = {}
    for parameter, value in zip(parameters, values, strict=False):
        if parameter.specs and value is not None:
            spec = _fitting_spec(op, parameter, value)
            _check_shape(op, parameter.name, spec, value.shape, bound)
        elif parameter.specs and not parameter.optional:
            raise ArgumentError(f"{op}: {parameter.name} is None, expected an array")


def _fitting_spec(op: str, parameter: Parameter, value: Any) -> ArraySpec:
    dtype = "prng_key" if jnp.issubdtype(value.dtype, jax.dtypes.prng_key) else str(value.dtype)
    for spec in parameter.specs:
        if dtype in spec.dtypes or not spec.dtypes:
            return spec
    name, kind = parameter.name, parameter.specs[0].kind
    fix = ""
    narrow = kind == "float32 or float64" and jnp.issubdtype(value.dtype, jnp.floating)
    if narrow or ("float" in kind and jnp.issubdtype(value.dtype, jnp.integer)):
        fix = f"; convert it, for example {name}.astype(jnp.float32)"
    if kind == "a complex dtype" and jnp.issubdtype(value.dtype, jnp.number):
        fix = f"; convert it, for example {name}.astype(jnp.complex64)"
    if "float" in kind and jnp.issubdtype(value.dtype, jnp.complexfloating):
        fix = f"; pass a real array, for example {name}.real"
    if kind == "a PRNG key":
        fix = "; make one with jax.random.key(0)"
    raise DtypeError(f"{op}: {name} has dtype {dtype}, expected {kind}{fix}")


def _check_shape(
    op: str,
    name: str,
    spec: ArraySpec,
    shape: tuple[int, ...],
    bound: dict[str, tuple[Any, str]],
) -> None:
    fixed = sum(not dim.variadic for dim in spec.dims)
    if len(shape) < fixed or (len(shape) > fixed and fixed == len(spec.dims)):
        axes = " ".join(("*" if dim.variadic else "") + dim.name for dim in spec.dims)
        raise ShapeError(f"{op}: {name} has shape {shape}, expected rank {spec.rank} ({axes})")
    axis = 0
    for index, dim in enumerate(spec.dims):
        if dim.variadic:
            width = len(shape) - fixed
            _bind_axes(op, name, shape, axis, shape[axis : axis + width], dim, bound)
            axis += width
            continue
        place = f"axis {axis - len(shape)}" if index and spec.dims[0].variadic else f"axis {axis}"
        expected, source = bound.setdefault(dim.name, (shape[axis], f"{place} of {name}"))
        if dim.size is not None:
            expected, source = dim.size, "the definition"
        if shape[axis] != expected and not (dim.broadcast and 1 in (shape[axis], expected)):
            wanted = (*shape[:axis], expected, *shape[axis + 1 :])
            raise ShapeError(f"{op}: {name} has shape {shape}, expected {wanted} from {source}")
        if expected == 1 and dim.broadcast:
            bound[dim.name] = (shape[axis], f"{place} of {name}")
        axis += 1


def _bind_axes(
    op: str,
    name: str,
    shape: tuple[int, ...],
    axis: int,
    part: tuple[int, ...],
    dim: Dim,
    bound: dict[str, tuple[Any, str]],
) -> None:
    expected, source = bound.get(dim.name, (part, name))
    if not dim.broadcast:
        if part != expected:
            wanted = (*shape[:axis], *expected, *shape[axis + len(part) :])
            raise ShapeError(
                f"{op}: {name} has shape {shape}, expected {wanted} from the axes of {source}"
            )
        bound.setdefault(dim.name, (part, name))
        return
    try:
        bound[dim.name] = (np.broadcast_shapes(part, expected), source)
    except ValueError as error:
        raise ShapeError(
            f"{op}: {name} has shape {shape}, which does not broadcast with {expected} of {source}"
        ) from error
