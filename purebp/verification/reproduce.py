"""A script that shows a failure again, as it stands."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from purebp.catalog import OPS
from purebp.compat import custom_rule_body, enable_x64, fixed_arguments, is_custom_rule
from purebp.op import Op
from purebp.signature import read_signature
from purebp.verification.cases import Case
from purebp.verification.comparison import Failure
from purebp.verification.layout import widen
from purebp.verification.origin import Import, import_of
from purebp.verification.probe import Probe
from purebp.verification.target import Target
from purebp.verification.targets.instance import InstancePair, required
from purebp.verification.targets.parts import is_module, linen_module
from purebp.verification.written import UnwritableError, imports_for, number, written

MOST = 2000
"""Numbers that a script writes out, at most."""
WIDE = {"jacobian", "gradient float64", "finite differences"}
"""Checks of single numbers in float64."""
NUMBERS = WIDE | {"gradient float32"}


class _Call(NamedTuple):
    """The lines that import a layer, and that set `bars` from the arguments and y_bar."""

    imports: list[str]
    lines: list[str]


def script(probe: Probe, case: Case, failure: Failure, headline: str) -> str:
    """The script; a comment that says why there is none where that is so."""
    try:
        if failure.check in NUMBERS and failure.argument:
            return _of_anumber(probe, case, failure, headline)
        return _of_a_check(probe, case, failure, headline)
    except UnwritableError as reason:
        return f"# no script: {reason}\n"


def _of_anumber(probe: Probe, case: Case, failure: Failure, headline: str) -> str:
    """Run the hand-written backward pass, and compare one number with the expected one."""
    target = probe.target
    wide = failure.check in WIDE
    args, y_bar = _inputs(probe, case, failure, wide=wide)
    names = _names(target, args)
    call = _call(target, probe.settings, names)
    more = _import_lines([each for arg in args for each in imports_for(arg)])
    place = _place(probe, failure)
    sign = "-" if place.endswith(".imag") else ""
    entry = f"[{', '.join(map(str, failure.element))}]" if failure.element else ""
    lines = [
        *_header(headline, [*call.imports, *more, "import jax", "import jax.numpy as jnp"]),
        *(['jax.config.update("jax_enable_x64", True)', ""] if wide else []),
        *map(_assigned, (*names, "y_bar"), (*args, y_bar)),
        "",
        *call.lines,
        f"got = {sign}bars{place}{entry}",
        f"expected = {number(failure.expected)}  # {failure.oracle}",
        f'print("{failure.argument}_bar{entry}: got", got, "expected", expected)',
        f"assert abs(got - expected) <= {number(failure.tolerance)}",
    ]
    return "\n".join(lines) + "\n"


def _of_a_check(probe: Probe, case: Case, failure: Failure, headline: str) -> str:
    """Verify the layer again on these very inputs."""
    target = probe.target
    args, _ = _inputs(probe, case, failure, wide=False)
    names = _names(target, args)
    imports, layer = _layer(target)
    imports += _import_lines([each for arg in args for each in imports_for(arg)])
    static = f"static={probe.settings!r}, " if probe.settings else ""
    pair = target.numpy
    given = names[: pair.count] if isinstance(pair, InstancePair) else names
    given = given[1:] if is_module(target.source) else given
    call = ", ".join([layer, *given, f'{static}budget="quick"'])
    lines = [
        *_header(headline, [*imports, "import jax", "import jax.numpy as jnp", "import purebp"]),
        *map(_assigned, names, args),
        f"purebp.verify({call}).raise_if_failed()",
    ]
    return "\n".join(lines) + "\n"


def _header(headline: str, imports: Sequence[str]) -> list[str]:
    """The docstring and the imports; the folder of the layer comes first on the path."""
    folders = [line for line in imports if line.startswith("sys.")]
    plain = sorted(line for line in imports if line.startswith("import"))
    named = sorted(line for line in imports if line.startswith("from"))
    named += [line for line in imports if line.startswith("#")]
    text = headline.replace("\\", "\\\\").replace('"""', "'''")
    return [
        f'"""{text}"""',
        "",
        *(["import sys", ""] if folders else []),
        *folders,
        *plain,
        *named,
        "",
    ]


def _inputs(probe: Probe, case: Case, failure: Failure, *, wide: bool) -> tuple[Any, Any]:
    """The arguments and the cotangent of the number that is wrong."""
    chosen, rest, y_bar = probe.inputs(case)
    if failure.output is not None:
        flat = np.zeros(probe.output_size)
        flat[failure.output] = 1.0
        ends = np.cumsum([bar.size for bar in y_bar])[:-1]
        parts = zip(np.split(flat, ends), y_bar, strict=True)
        y_bar = [part.reshape(bar.shape).astype(bar.dtype) for part, bar in parts]
    entries = sum(leaf.size for leaf in (*chosen, *rest, *y_bar))
    if entries > MOST:
        raise UnwritableError(f"the inputs have {entries} numbers")
    if wide:
        chosen, y_bar = widen(chosen), widen(y_bar)
    with enable_x64(wide):
        args = probe.layout.join(chosen, rest)
        return args, probe.full_cotangent(args, y_bar)


def _names(target: Target, args: Sequence[Any]) -> list[str]:
    names = [target.argument_name(k) for k in range(len(args))]
    return [name if name.isidentifier() else f"x{k}" for k, name in enumerate(names)]


def _place(probe: Probe, failure: Failure) -> str:
    """The way from the tuple of cotangents to the array that is wrong."""
    layout = probe.layout
    path = layout.paths[layout.names.index(failure.argument)]
    if probe.target.numpy is None:
        return path
    return f"[{layout.chosen(layout.names).index(failure.argument)}]"


def _call(target: Target, settings: Mapping[str, Any], names: Sequence[str]) -> _Call:
    imports, layer = _layer(target)
    options = [f"{key}={value!r}" for key, value in settings.items()]
    if target.numpy is not None:
        if isinstance(target.numpy, InstancePair):
            lines = target.numpy.as_code(layer, names, settings)
            return _Call([*imports, "import numpy as np"], lines)
        forward, backward = layer.strip("()").split(", ")
        return _Call(
            imports,
            [
                f"out, cache = {forward}({', '.join([*map(_numpy, names), *options])})",
                f"bars = {backward}(jax.device_get(y_bar), cache)",
                "bars = bars if isinstance(bars, tuple | list) else (bars,)",
            ],
        )
    if is_custom_rule(target.source):
        return _Call(imports, _of_a_rule(target, settings, layer, names))
    if target.alone is not None:
        return _Call(imports, _of_a_function(target, settings, layer, names))
    op = layer if not layer.startswith("(") else f"Op{layer}"
    more = [] if op == layer else ["from purebp import Op"]
    return _Call(
        [*imports, *more],
        [
            f"op = {op}",
            f"y, residuals = op.fwd({', '.join([*names, *options])})",
            "bars = op.bwd(residuals, y_bar)",
        ],
    )


def _through_vjp(layer: str, names: Sequence[str], given: Sequence[str]) -> list[str]:
    """The lines that call a layer, and pull y_bar back through it."""
    return [
        f"def function({', '.join(names)}):",
        f"    return {layer}({', '.join(given)})",
        "",
        f"y, pullback = jax.vjp(function, {', '.join(names)})",
        "bars = pullback(y_bar)",
    ]


def _of_a_rule(
    target: Target, settings: Mapping[str, Any], layer: str, names: Sequence[str]
) -> list[str]:
    """What has no derivative is passed as it is, in its place."""
    parameters = read_signature(custom_rule_body(target.source)).parameters
    fixed = {parameters[place].name: place for place in fixed_arguments(target.source)}
    given = list(names)
    for name, place in sorted(fixed.items(), key=lambda item: item[1]):
        given.insert(place, repr(settings[name]))
    given += [f"{key}={value!r}" for key, value in settings.items() if key not in fixed]
    return _through_vjp(layer, names, given)


def _of_a_function(
    target: Target, settings: Mapping[str, Any], layer: str, names: Sequence[str]
) -> list[str]:
    """By name where a setting stands among the arguments."""
    source = target.source.__call__ if _is_any_module(target.source) else target.source
    known = {parameter.name for parameter in read_signature(source).parameters}
    passed = names[1:] if is_module(target.source) else names
    given = [f"{name}={name}" for name in passed] if known & set(settings) else list(passed)
    given += [f"{key}={value!r}" for key, value in settings.items()]
    return _through_vjp(layer, names, given)


def _is_any_module(source: Any) -> bool:
    return linen_module(source) is not None or is_module(source)


def _numpy(name: str) -> str:
    return f"jax.device_get({name})"


def _layer(target: Target) -> tuple[list[str], str]:
    """The import lines of a layer, and what it is called then."""
    source = target.source
    if isinstance(source, Op) and OPS.get(source.name) is source:
        return ["from purebp.catalog import OPS"], f"OPS[{source.name!r}]"
    if isinstance(target.numpy, InstancePair):
        return _object(target)
    if linen_module(source) is not None:
        return _import_lines(imports_for(source)), f"{written(source)}.apply"
    if is_module(source):
        return [], target.argument_name(0)
    functions = _functions(target)
    if not all(hasattr(function, "__name__") for function, _ in functions):
        raise UnwritableError(f"{target.name} has no name that a script could import")
    found = [import_of(function, inner) for function, inner in functions]
    known = [each for each in found if each is not None]
    names = [
        function.__name__ if each is None else each.name
        for each, (function, _) in zip(found, functions, strict=True)
    ]
    missing = [name for name, each in zip(names, found, strict=True) if each is None]
    lines = [
        f"# {name} has to be defined here: no file has it at its top level" for name in missing
    ]
    return [*_import_lines(known), *lines], names[0] if len(names) == 1 else f"({', '.join(names)})"


def _object(target: Target) -> tuple[list[str], str]:
    """The import lines of a layer that is an object, and its name."""
    assert target.numpy is not None
    found = import_of(target.source, target.numpy.backward)
    if found is not None:
        return _import_lines([found]), found.name
    made = import_of(type(target.source), target.numpy.backward)
    if made is None or required(type(target.source)):
        raise UnwritableError(
            f"{target.name} is an object, which has no name at the top level of its file"
        )
    return _import_lines([made]), f"{made.name}()"


def _functions(target: Target) -> list[tuple[Any, Any]]:
    """What a script has to import, each with a function of the file where it stands."""
    source = target.source
    if target.numpy is not None:
        return [(function, function) for function in (target.numpy.forward, target.numpy.backward)]
    if not isinstance(source, Op) or import_of(source, source.forward) is not None:
        return [(source, source.forward if isinstance(source, Op) else source)]
    return [(function, function) for function in (source.forward, source.backward)]


def _import_lines(found: Sequence[Import]) -> list[str]:
    folders = [f"sys.path.insert(0, {each.folder!r})" for each in found if each.folder]
    names: dict[str, list[str]] = {}
    for each in found:
        names.setdefault(each.module, []).append(each.name)
    imports = [
        f"from {module} import {', '.join(sorted(set(named)))}" for module, named in names.items()
    ]
    return [*dict.fromkeys(folders), *imports]


def _assigned(name: str, value: Any) -> str:
    text = f"{name} = {written(value)}"
    return text.replace("\n", "\n    ")
