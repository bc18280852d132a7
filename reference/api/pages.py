"""The pages, as reStructuredText: an index, one for each package, one for each public name."""

import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import purebp
from purebp.op import Domain, Op
from reference.api.docstrings import as_rst, escaped, inline, sections, summary
from reference.api.sources import Place, defined, tested, written_again

INTRODUCTION = """
purebp
======

Hand-derived backpropagation in JAX, and the instrument that proves it right. Every op has its
maths, its shapes, what it saves and why, where it has no derivative, and an example that the tests
run; from each page links lead to its code, to the same op written again in plain loops, and to its
tests. The examples take as given ``import jax``, ``import jax.numpy as jnp`` and the public names;
all else they import. ``bwd(res, y)`` is the gradient of the loss (y_0^2 + y_1^2 + ...) / 2, whose
cotangent is ``y`` itself.
"""


WIDTH = 84


class Public(NamedTuple):
    """A public name, and where it is imported from."""

    package: str
    name: str
    value: Any

    @property
    def page(self) -> str:
        """The name of its page."""
        return f"{self.package}/{self.name}"


def packages() -> list[str]:
    """purebp, and its packages and modules with public names."""
    found = [module.name for module in pkgutil.iter_modules(purebp.__path__)]
    modules = [f"purebp.{name}" for name in found if not name.startswith("_")]
    public = [name for name in modules if hasattr(importlib.import_module(name), "__all__")]
    return ["purebp", *public]


def names(package: str) -> Iterator[Public]:
    """The public names of a package that have a page: all but tables and modules."""
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value):
            yield Public(package, name, value)


def index() -> str:
    """The first page."""
    rows = "\n".join(f"   {package}/index" for package in packages())
    return f"{INTRODUCTION}\n.. toctree::\n   :maxdepth: 1\n\n{rows}\n"


def package_page(package: str) -> str:
    """What a package is for, and a table of its names."""
    public = list(names(package))
    rows = [
        f"   * - :doc:`{each.name} </{each.page}>`\n"
        f"     - {inline(summary(each.value), _arguments(each.value))}"
        for each in public
    ]
    table = "\n".join([".. list-table::", "   :widths: 25 75", "", *rows])
    tree = "\n".join([".. toctree::", "   :hidden:", "", *(f"   /{each.page}" for each in public)])
    purpose = as_rst(sections(importlib.import_module(package))[0])
    return "\n\n".join([_title(package), purpose, table, tree]) + "\n"


def name_page(public: Public) -> str:
    """The page of a public name."""
    value, arguments = public.value, _arguments(public.value)
    signature = f"from {public.package} import {public.name}\n\n{_signature(public)}"
    text = [_title(public.name), f".. code-block:: python\n\n{textwrap.indent(signature, '   ')}"]
    for section in sections(value):
        text += [_heading(section.title)] if section.title else []
        text += [as_rst(section, arguments)]
    if isinstance(value, Op):
        text += list(_declared(value))
    text += [_heading("Where it is written"), *_links(public)]
    return "\n\n".join(text) + "\n"


def places(public: Public) -> dict[str, list[Place]]:
    """Where a name is written, by what is there."""
    own = defined(public.value)
    found = {"code": [own] if own is not None else []}
    if isinstance(public.value, Op):
        found["written again, in plain loops"] = written_again(public.value.name)
    found["tests"] = tested(own) if own is not None else []
    if isinstance(public.value, Op):
        found["tests"] += [Place("tests/test_catalog.py", 1)]
    return {what: where for what, where in found.items() if where}


def _links(public: Public) -> Iterator[str]:
    for what, where in places(public).items():
        links = ", ".join(f"`{place} <../{place.page}>`__" for place in where)
        yield f"* {what}: {links}"


def _declared(op: Op) -> Iterator[str]:
    """What the declaration of an op says beside its docstring."""
    rows = [
        f"* ``{option}``: verified with {', '.join(f'``{value!r}``' for value in values)}"
        for option, values in op.options.items()
    ]
    rows += [f"* ``{name}``: {_in_words(domain)}" for name, domain in op.domains.items()]
    if op.kinks:
        rows.append(f"* kinks: {inline(op.kinks, formulas=False)}")
    if op.tolerance.reason:
        reason = inline(op.tolerance.reason, _arguments(op))
        rows.append(f"* tolerance other than the default: {reason}")
    if rows:
        yield _heading("Verified")
        yield "\n".join(rows)


def _in_words(domain: Domain) -> str:
    """What an argument may be: `index below n`, `between 0 and 1`."""
    if domain.kind == "index":
        return f"integers from 0 to below {domain.below}"
    if domain.kind == "between":
        ends = (domain.low, "above"), (domain.high, "below")
        return "numbers " + " and ".join(f"{word} {end:g}" for end, word in ends if isfinite(end))
    return domain.kind


def _signature(public: Public) -> str:
    try:
        plain = inspect.signature(public.value)
    except (TypeError, ValueError):
        return public.name
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_shown(parameter.default))
        for parameter in plain.parameters.values()
    ]
    bare = plain.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    if not isinstance(public.value, Op):
        return _call(public.name, bare)
    y = "(y, aux)" if public.value.has_aux else "y"
    both = [_call(f"{y} = {public.name}", bare), _call(f"{y}, res = {public.name}.fwd", bare)]
    return "\n".join([*both, f"bars = {public.name}.bwd(res, y_bar)"])


def _call(name: str, signature: inspect.Signature) -> str:
    """A call in one line, or with a line for each argument."""
    line = f"{name}{signature}"
    if len(line) <= WIDTH:
        return line
    given = list(map(str, signature.parameters.values()))
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    options = inspect.Parameter.KEYWORD_ONLY
    if options in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        given.insert(kinds.index(options), "*")
    return "\n".join([f"{name}(", *(f"    {each}," for each in given), ")"])


class _Named:
    """A default that is shown by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def _shown(default: Any) -> Any:
    named = callable(default) and default is not inspect.Parameter.empty
    return _Named(getattr(default, "__name__", repr(default))) if named else default


def _arguments(value: Any) -> list[str]:
    if not isinstance(value, Op):
        return []
    return [parameter.name for parameter in value.signature.parameters]


def _title(text: str) -> str:
    return f"{escaped(text)}\n{'=' * len(escaped(text))}\n"


def _heading(text: str) -> str:
    return f"{text}\n{'-' * len(text)}"


def write(folder: Path) -> list[Public]:
    """All pages into a folder; the public names that have one."""
    found = [public for package in packages() for public in names(package)]
    texts = {"index": index()}
    texts |= {f"{package}/index": package_page(package) for package in packages()}
    texts |= {public.page: name_page(public) for public in found}
    for name, text in texts.items():
        path = folder / f"{name}.rst"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return found
