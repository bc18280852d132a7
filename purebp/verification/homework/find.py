"""All that is there to verify in somebody's file, in the order in which it stands there."""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from purebp.compat import is_custom_rule
from purebp.errors import TargetError
from purebp.op import Op
from purebp.verification.homework.known import calls_named
from purebp.verification.homework.names import layer_name, pairs_among
from purebp.verification.targets.instance import methods_of

Kind = Literal["op", "rule", "pair", "loss", "half", "class"]
EXAMPLES = "EXAMPLES"
"""The dictionary in somebody's file that has example arguments for layers of unknown names."""


class Found(NamedTuple):
    """One row: what it is, its name, its functions in the file, and the line of the last."""

    kind: Kind
    name: str
    functions: tuple[str, ...]
    line: int = 0


class Source(NamedTuple):
    """What the text of a file says of its names.

    Which it imports, and whether there may be others that it imports; the lines of functions;
    which of them return two values.
    """

    imported: frozenset[str]
    everything: bool
    lines: dict[str, int]
    two_values: frozenset[str]


def find_all(module: ModuleType, path: Path) -> list[Found]:
    """The rows for a file; what it only imports is not among them."""
    source = read_source(path)
    own = {name: value for name, value in vars(module).items() if _is_own(name, value, source)}
    order = list(vars(module))
    rules = {name: value for name, value in own.items() if _is_rule(value)}
    inside = {id(part) for value in rules.values() for part in _parts(value)}
    functions = _once(
        {name: f for name, f in own.items() if callable(f) and not _is_rule(f)}, inside
    )
    found = [
        Found("op" if isinstance(value, Op) else "rule", name, (name,))
        for name, value in rules.items()
    ]
    for pair in pairs_among(functions):
        both = tuple(name for name in (pair.forward, pair.backward) if name)
        kind: Kind = "pair" if len(both) == 2 else "half"
        if pair.backward or not _is_plain_forward(pair.name, pair.forward, source):
            found.append(Found(kind, pair.name, both))
    found += [Found("class", name, (name,)) for name in _layers(module, source)]
    taken = {name for row in found for name in row.functions}
    found += [
        Found("loss", name, (name,))
        for name in functions
        if name not in taken and _is_loss(name, source)
    ]
    rows = [row._replace(line=source.lines.get(row.functions[-1], 0)) for row in found]
    return sorted(rows, key=lambda row: order.index(row.functions[0]))


def read_source(path: Path) -> Source:
    """What the text of a file says about its names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported, lines, two = set[str](), dict[str, int](), set[str]()
    for node in _statements(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        if isinstance(node, ast.ClassDef):
            lines[node.name] = _line_of_backward(node)
        if isinstance(node, ast.FunctionDef):
            lines[node.name] = node.lineno
            two |= {node.name} if _returns_two(node) else set()
        if isinstance(node, ast.Assign):
            named = [target.id for target in node.targets if isinstance(target, ast.Name)]
            lines.update(dict.fromkeys(named, node.lineno))
    return Source(frozenset(imported), "*" in imported, lines, frozenset(two))


def _line_of_backward(node: ast.ClassDef) -> int:
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    backward = (each.lineno for each in methods if each.name.startswith("backward"))
    return next(backward, node.lineno)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a file, and those inside of `if`, `try` and `with`."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _returns_two(function: ast.FunctionDef) -> bool:
    returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return any(isinstance(value, ast.Tuple) and len(value.elts) == 2 for value in returns)


def _is_own(name: str, value: Any, source: Source) -> bool:
    """Whether a name is bound in the file itself, by something else than an import."""
    if name.startswith("__") or name in source.imported or isinstance(value, type):
        return False
    return name in source.lines or not source.everything


def _layers(module: ModuleType, source: Source) -> Iterator[str]:
    """The classes of the file that have methods forward and backward, also PyTorch's Functions."""
    for name, value in vars(module).items():
        if isinstance(value, type) and name in source.lines and methods_of(value):
            yield name


def _is_rule(value: Any) -> bool:
    return isinstance(value, Op) or is_custom_rule(value)


def _parts(rule: Any) -> tuple[Any, ...]:
    """The functions that a rule is made of: no pair of their own."""
    names = ("forward", "backward", "fwd", "bwd", "fun", "jvp", "definition")
    return tuple(getattr(rule, name, None) for name in names)


def _once(functions: dict[str, Any], inside: set[int]) -> list[str]:
    """Each function once, without those inside of rules; one under two names by its own."""
    names = dict[int, str]()
    for name, function in functions.items():
        if id(function) in inside:
            continue
        if id(function) not in names or getattr(function, "__name__", "") == name:
            names[id(function)] = name
    return list(names.values())


def _is_plain_forward(name: str, function: str, source: Source) -> bool:
    """Whether a forward alone is no layer: it returns no (out, cache), and its name says little."""
    return not calls_named(name) and function not in source.two_values


def _is_loss(name: str, source: Source) -> bool:
    """Whether a function may be one that returns (loss, gradient)."""
    return name in source.two_values and name.endswith("_loss") and bool(calls_named(name))


def find_named(module: ModuleType, path: Path, names: tuple[str, ...]) -> Found:
    """The row for what a user names: one target, or the two functions of a pair."""
    for name in names:
        if not hasattr(module, name):
            known = ", ".join(row.name for row in find_all(module, path)) or "nothing"
            raise TargetError(f"{path}: has no {name!r}; what it has to verify: {known}")
    if len(names) not in (1, 2):
        raise TargetError(f"{path}: {len(names)} names, expected one or a pair: my_fwd,my_bwd")
    source = read_source(path)
    line = source.lines.get(names[-1], 0)
    if len(names) == 2:
        return Found("pair", layer_name(names[0]) or names[0], names, line)
    value = getattr(module, names[0])
    if isinstance(value, type) and methods_of(value):
        return Found("class", names[0], names, line)
    if isinstance(value, Op):
        return Found("op", names[0], names, line)
    plain = not is_custom_rule(value) and _is_loss(names[0], source)
    return Found("loss" if plain else "rule", names[0], names, line)
