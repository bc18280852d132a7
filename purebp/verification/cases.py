"""The inputs that a target is tried on: shapes, options, values and cotangents.

A variant fixes options and shapes (each one compiles once); a case adds the values. Hypothesis
draws cases in the tests: the first variants, patterns and seeds are the simplest.
"""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from purebp.errors import PurebpError, TargetError, first_line
from purebp.op import Domain
from purebp.signature import ArraySpec, Dim, Parameter
from purebp.verification.budget import NORMAL, Budget
from purebp.verification.given import Given, arguments_like
from purebp.verification.matrices import MATRICES, matrix_values
from purebp.verification.shapes import Shapes, other_shapes
from purebp.verification.target import Target
from purebp.verification.values import draw_values, vary, with_first_row

PATTERNS = ("normal", "ties", "wide", "tails", "zero rows")
COTANGENTS = ("normal", "one-hot", "scaled")
PRIMES = ((2, 3, 5, 7, 4, 6), (3, 2, 4, 5, 7, 3), (1, 1, 1, 1, 1, 1), (4, 4, 4, 4, 4, 4))
LEADING: tuple[tuple[int, ...], ...] = ((2,), (3, 2), (), (4,))
BROADCAST: tuple[tuple[int, ...], ...] = ((3,), (2, 3), (), (4, 3))
WHOLE: tuple[tuple[int, ...], ...] = ((3, 4), (2, 3, 2), (), (29,))
"""Leading axes; those that broadcast; all axes of an op that names none: two of them at least for
an option that picks one, and many entries, as values are all that such an op can go wrong on."""


class Variant(NamedTuple):
    """Options, and a shape for each argument (`None`: left out; no shapes: the example).

    `numbers` says which of the arguments that may be real or complex are complex: none ("real"),
    all ("complex"), or all but the first ("mixed").
    """

    settings: tuple[tuple[str, Any], ...]
    shapes: tuple[tuple[int, ...] | None, ...] | None
    numbers: str = "real"


class Case(NamedTuple):
    """One concrete input: everything that is needed to make it again."""

    variant: Variant
    pattern: str
    cotangent: str
    seed: int

    def describe(self) -> str:
        """The case in one line."""
        settings = "".join(f"{key}={value!r}, " for key, value in self.variant.settings)
        shapes = self.variant.shapes
        where = "the example's shapes" if shapes is None else f"shapes {list(shapes)}"
        values = f"{self.pattern} values, {self.cotangent} cotangent"
        numbers = "" if self.variant.numbers == "real" else f"{self.variant.numbers} numbers, "
        return f"{settings}{where}, {numbers}{values}, seed {self.seed}"


def variants(target: Target, budget: Budget = NORMAL) -> tuple[Variant, ...]:
    """The combinations of options and shapes that a target is tried on."""
    if target.given is not None:
        return _variants_of_example(target, target.given, budget)
    accepted = list[Variant]()
    reason = ""
    for alternatives in _candidates(target):
        for variant in alternatives:
            problem = _problem(target, variant)
            reason = reason or problem
            if not problem:
                accepted += [variant] if variant not in accepted else []
                break
    if not accepted:
        raise TargetError(f"{target.name}: its function does not run: {reason}")
    return tuple(dict.fromkeys(accepted))


def _variants_of_example(target: Target, given: Given, budget: Budget) -> tuple[Variant, ...]:
    """The example's shapes and others, at the defaults; some of them for each other setting."""
    settings = [tuple(sorted(setting.items())) for setting in _settings(target)]
    problem = _problem(target, Variant(settings[0], given.shapes))
    if problem:
        raise TargetError(f"{target.name}: its function does not run: {problem}")

    def accepts(shapes: Shapes) -> bool:
        return not _problem(target, Variant(settings[0], shapes))

    def fits(shapes: Shapes) -> bool:
        return _has_fitting_cotangents(target, Variant(settings[0], shapes))

    output = _output_shapes(target, Variant(settings[0], given.shapes))

    def stretches(shapes: Shapes) -> bool:
        return _output_shapes(target, Variant(settings[0], shapes)) == output

    labels = [k for k, nature in enumerate(given.natures) if nature.kind == "integers"]
    every = other_shapes(given.shapes, accepts, fits, stretches, labels)
    shapes = tuple(itertools.islice(every, budget.shapes))
    found = [Variant(settings[0], each) for each in shapes]
    for setting in settings[1:]:
        tried = (Variant(setting, each) for each in shapes)
        accepted = (variant for variant in tried if not _problem(target, variant))
        found += itertools.islice(accepted, budget.shapes_by_option)
    return tuple(found)


def _has_fitting_cotangents(target: Target, variant: Variant) -> bool:
    """Whether each cotangent has the shape of its argument."""
    args = make_args(target, Case(variant, "normal", "normal", 0))
    settings = dict(variant.settings)
    if target.numpy is not None:
        return target.numpy.fits(settings, args)

    def pull(*args: Any) -> Any:
        y = target.reference(settings, *args)
        return target.pull(settings, args, jax.tree.map(jnp.ones_like, y))[1]

    try:
        bars = jax.eval_shape(pull, *args)
    except Exception:  # noqa: BLE001 - it refuses, in its own words
        return False
    if len(bars) != len(args):
        return False
    pairs = [(bar, arg) for bar, arg in zip(bars, args, strict=True) if bar is not None]
    return all(jax.tree.map(jnp.shape, bar) == jax.tree.map(jnp.shape, arg) for bar, arg in pairs)


def _output_shapes(target: Target, variant: Variant) -> Any:
    args = make_args(target, Case(variant, "normal", "normal", 0))
    y = jax.eval_shape(partial(target.reference, dict(variant.settings)), *args)
    return jax.tree.map(jnp.shape, y)


def patterns_of(target: Target) -> tuple[str, ...]:
    """The patterns of values that a target is tried on."""
    return PATTERNS if target.given is None else target.given.patterns


def drawn_cases(
    variant: Variant, patterns: tuple[str, ...], count: int, seed: int
) -> tuple[Case, ...]:
    """Cases drawn by chance; the same ones for the same seed."""
    rng = random.Random(seed)
    return tuple(
        Case(variant, rng.choice(patterns), rng.choice(COTANGENTS), rng.randrange(2**16))
        for _ in range(count)
    )


def simplest_cases(variant: Variant, patterns: tuple[str, ...]) -> Iterator[Case]:
    """All cases, the simplest first."""
    for seed, cotangent, pattern in itertools.product(range(2**16), COTANGENTS, patterns):
        yield Case(variant, pattern, cotangent, seed)


def fixed_cases(
    variant: Variant, patterns: tuple[str, ...] = PATTERNS, seed: int = 0
) -> tuple[Case, ...]:
    """One case for each pattern and each kind of cotangent, so that none is left to chance.

    The first is the example itself, whatever the seed.
    """
    own = 1000 * seed
    others = enumerate(patterns[1:], start=1)
    by_pattern = [Case(variant, pattern, "normal", own + number) for number, pattern in others]
    by_cotangent = [Case(variant, "normal", kind, own + 1) for kind in COTANGENTS[1:]]
    return (Case(variant, patterns[0], "normal", 0), *by_pattern, *by_cotangent)


def make_args(target: Target, case: Case) -> tuple[Any, ...]:
    """The arguments of a case, in float32."""
    if target.given is not None:
        shapes = case.variant.shapes or target.given.shapes
        return arguments_like(target.given, shapes, case.pattern, case.seed)  # type: ignore[reportArgumentType]  # none is left out
    rng, numbers = np.random.default_rng(case.seed), case.variant.numbers
    if case.variant.shapes is None:
        assert target.example is not None
        example = jax.tree.map(_as_array, target.example(rng))
        varied = [
            arg if _is_fixed(target, index) else _vary_example(arg, case, rng)
            for index, arg in enumerate(example)
        ]
        for index, parameter in enumerate(target.parameters[: len(varied)]):
            if _is_complex(target, parameter, numbers):
                varied[index] = jax.tree.map(partial(_with_imaginary_part, rng=rng), varied[index])
        return tuple(varied)
    sizes = _bound_sizes(target.parameters, case.variant.shapes)
    arguments = zip(target.parameters, case.variant.shapes, strict=False)
    return tuple(
        _make_array(target, parameter, shape, sizes, case, rng) for parameter, shape in arguments
    )


def make_cotangent(case: Case, sizes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """A cotangent for each output shape."""
    rng = np.random.default_rng(case.seed + 1)
    normal = [rng.standard_normal(shape) for shape in sizes]
    if case.cotangent == "scaled":
        return [1e3 * bar for bar in normal]
    total = sum(bar.size for bar in normal)
    if case.cotangent == "one-hot" and total:
        flat = np.zeros(total)
        flat[rng.integers(total)] = 1.0
        ends = np.cumsum([bar.size for bar in normal])[:-1]
        return [f.reshape(b.shape) for f, b in zip(np.split(flat, ends), normal, strict=True)]
    return normal


def _candidates(target: Target) -> Iterator[Sequence[Variant]]:
    """Variants, each with others to try where the function refuses its shapes.

    The first settings meet every choice of shapes, the others one that they accept.
    """
    settings = [tuple(sorted(setting.items())) for setting in _settings(target)]
    either = [parameter for parameter in target.parameters if _takes_both(parameter)]
    if target.example is not None:
        yield from ([Variant(setting, None)] for setting in settings)
        if either:
            yield [Variant(settings[0], None, "complex")]
        return
    shapes = [_assign(target, k) for k in range(len(PRIMES))]
    yield from ([Variant(settings[0], each)] for each in shapes)
    for index, setting in enumerate(settings[1:], start=1):
        order = (index % 2, 1 - index % 2, *range(2, len(PRIMES)))
        yield [Variant(setting, shapes[k]) for k in order]
    for index, numbers in enumerate(("complex", "mixed")[: len(either)]):
        yield [Variant(settings[0], shapes[index], numbers)]


def _settings(target: Target) -> Iterator[Mapping[str, Any]]:
    base = {key: values[0] for key, values in target.options.items() if key not in target.defaults}
    yield base
    for key, values in target.options.items():
        default = target.defaults.get(key, values[0])
        for value in values:
            if value != default:
                yield {**base, key: value}
    if len(target.options) > 1:
        yield {key: values[-1] for key, values in target.options.items()}


def _problem(target: Target, variant: Variant) -> str:
    """Why the reference does not accept a variant; empty if it does."""
    args = make_args(target, Case(variant, "normal", "normal", 0))
    try:
        jax.eval_shape(lambda *a: target.reference(dict(variant.settings), *a), *args)
    except PurebpError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever a custom layer raises is the answer
        shapes = ", ".join(str(jax.tree.map(np.shape, arg)) for arg in args)
        return f"{type(error).__name__}: {first_line(error)} (on arguments of shapes {shapes})"
    return ""


def _assign(target: Target, k: int) -> tuple[tuple[int, ...] | None, ...]:
    sizes: dict[str, Any] = {}
    for parameter in target.parameters:
        for dim in parameter.specs[0].dims if parameter.specs else ():
            sizes.setdefault(dim.name, _size(target, dim, k, len(sizes)))
    return tuple(
        None
        if not parameter.specs or (parameter.optional and k % 2 == 1)
        else _shape(parameter.specs[0], sizes, k, index)
        for index, parameter in enumerate(target.parameters)
    )


def _size(target: Target, dim: Dim, k: int, order: int) -> Any:
    pool = target.sizes.get(dim.name)
    if pool is not None:
        return pool[k % len(pool)]
    if dim.variadic and dim.broadcast:
        return BROADCAST[k]
    if dim.variadic:
        return WHOLE[k] if _names_no_axis(target) else LEADING[k]
    return dim.size if dim.size is not None else PRIMES[k][order % len(PRIMES[k])]


def _names_no_axis(target: Target) -> bool:
    """Whether the arguments may have any shape."""
    specs = [parameter.specs[0] for parameter in target.parameters if parameter.specs]
    return all(dim.variadic for spec in specs for dim in spec.dims)


def _shape(spec: ArraySpec, sizes: Mapping[str, Any], k: int, index: int) -> tuple[int, ...]:
    shape: tuple[int, ...] = ()
    for dim in spec.dims:
        size = sizes[dim.name]
        part = tuple(size) if dim.variadic else (int(size),)
        if dim.broadcast and k == 1 and index % 2 == 1:
            part = part[1:]
        if dim.broadcast and k == 3 and part:
            axis = index % len(part)
            part = (*part[:axis], 1, *part[axis + 1 :])
        shape += part
    return shape


def _bound_sizes(
    parameters: tuple[Parameter, ...], shapes: tuple[tuple[int, ...] | None, ...]
) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for parameter, shape in zip(parameters, shapes, strict=False):
        if shape is None or not parameter.specs:
            continue
        dims = parameter.specs[0].dims
        after = (
            [dim.variadic for dim in dims].index(True) if any(d.variadic for d in dims) else None
        )
        for axis, dim in enumerate(dims):
            if not dim.variadic:
                place = axis if after is None or axis < after else axis - len(dims)
                sizes[dim.name] = shape[place]
    return sizes


def _make_array(
    target: Target,
    parameter: Parameter,
    shape: tuple[int, ...] | None,
    sizes: Mapping[str, int],
    case: Case,
    rng: np.random.Generator,
) -> Any:
    if shape is None:
        return None
    domain = target.domains.get(parameter.name, Domain())
    if domain.kind == "key":
        return jax.random.key(case.seed)
    if domain.kind == "index":
        return jnp.asarray(rng.integers(0, sizes[domain.below], shape), jnp.int32)
    if domain.kind == "mask":
        mask = rng.random(shape) < 0.6
        return jnp.asarray(with_first_row(mask, False) if case.pattern == "zero rows" else mask)
    if domain.kind in MATRICES:
        matrix = matrix_values(rng, shape, domain.kind, case.pattern)
        if _is_complex(target, parameter, case.variant.numbers):
            return jnp.asarray((0.8 + 0.6j) * matrix, jnp.complex64)
        return jnp.asarray(matrix, jnp.float32)
    values = draw_values(rng, shape, domain, case.pattern)
    if _is_complex(target, parameter, case.variant.numbers):
        imaginary = draw_values(rng, shape, Domain(), case.pattern)
        return jnp.asarray(values + 1j * imaginary, jnp.complex64)
    return jnp.asarray(values, jnp.float32)


def _with_imaginary_part(x: Any, rng: np.random.Generator) -> Any:
    real = jnp.issubdtype(x.dtype, jnp.floating)
    return lax.complex(x, jnp.asarray(rng.standard_normal(x.shape), x.dtype)) if real else x


def _takes_both(parameter: Parameter) -> bool:
    """Whether an argument may be real or complex."""
    dtypes = [dtype for spec in parameter.specs for dtype in spec.dtypes]
    return "float32" in dtypes and "complex64" in dtypes


def _is_complex(target: Target, parameter: Parameter, numbers: str) -> bool:
    """Whether an argument is complex in a variant."""
    if _takes_both(parameter):
        first = next(each for each in target.parameters if _takes_both(each))
        return numbers == "complex" or (numbers == "mixed" and parameter != first)
    return any("complex64" in spec.dtypes for spec in parameter.specs)


def _is_fixed(target: Target, index: int) -> bool:
    return target.domains.get(target.argument_name(index), Domain()).kind == "fixed"


def _vary_example(arg: Any, case: Case, rng: np.random.Generator) -> Any:
    """The example itself for seed 0, else its floating arrays moved or drawn anew."""
    if case.seed == 0:
        return arg
    return jax.tree.map(lambda leaf: vary(leaf, case.pattern, rng), arg)


def _as_array(leaf: Any) -> Any:
    return leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf)
