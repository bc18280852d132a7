"""Small mistakes in a function's source: each rule proposes other expressions for one node.

RULES is the whole list. A mutant is the function with one node exchanged, compiled in its place.
"""

import ast
import copy
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import jax

Path_ = tuple[tuple[str, int | None], ...]


class Mutant(NamedTuple):
    """A function with one mistake: which kind, where, what it was and is, and its code."""

    kind: str
    line: int
    before: str
    after: str
    code: CodeType


class Scope(NamedTuple):
    """What a rule may know about the function around a node."""

    first: str
    fields: tuple[str, ...]


Rule = Callable[[Any, Scope], Iterator[ast.expr]]


def mutants_of(function: FunctionType) -> Iterator[Mutant]:
    """Every mutant of a function."""
    statement, path = _place_of(function)
    root = _at(statement, path)
    arguments = root.args.posonlyargs + root.args.args
    first = arguments[0].arg if arguments else ""
    scope = Scope(first, _fields_of(root, first))
    for place, node in _expressions(root):
        for kind, (type_, rule) in RULES.items():
            if not isinstance(node, type_):
                continue
            for other in rule(node, scope):
                code = _compiled(function, statement, (*path, *place), other)
                if code is not None:
                    yield Mutant(kind, node.lineno, ast.unparse(node), ast.unparse(other), code)


def another_sign(node: ast.BinOp | ast.UnaryOp, _: Scope) -> Iterator[ast.expr]:
    """a + b for a - b, a - b for a + b, a for -a."""
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            yield node.operand
    elif isinstance(node.op, ast.Add):
        yield ast.BinOp(node.left, ast.Sub(), node.right)
    elif isinstance(node.op, ast.Sub):
        yield ast.BinOp(node.left, ast.Add(), node.right)


def another_factor(node: ast.BinOp, _: Scope) -> Iterator[ast.expr]:
    """a / b for a * b, a * b for a / b, another number for a number."""
    if isinstance(node.op, ast.Mult):
        yield ast.BinOp(node.left, ast.Div(), node.right)
    elif isinstance(node.op, ast.Div):
        yield ast.BinOp(node.left, ast.Mult(), node.right)
    for side in ("left", "right"):
        number = getattr(node, side)
        if isinstance(number, ast.Constant) and type(number.value) in (int, float):
            other = copy.copy(node)
            value: Any = number.value
            step = 1 if isinstance(node.op, ast.Pow) else value or 1
            setattr(other, side, ast.Constant(value + step))
            yield other


def dropped_term(node: ast.BinOp, _: Scope) -> Iterator[ast.expr]:
    """One operand of a sum, a difference, a product or a quotient."""
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        yield node.left
    if isinstance(node.op, ast.Add | ast.Mult):
        yield node.right
    elif isinstance(node.op, ast.Sub):
        yield ast.UnaryOp(ast.USub(), node.right)


def another_axis(node: ast.Call, _: Scope) -> Iterator[ast.expr]:
    """axis=-2 for axis=-1, and so on."""
    for index, keyword in enumerate(node.keywords):
        axis = _number(keyword.value)
        if keyword.arg == "axis" and axis is not None:
            for other in {axis - 1 if axis < 0 else axis + 1, 0} - {axis}:
                yield _with_keyword(node, index, ast.Constant(other))


def transposed(node: ast.Attribute | ast.Call | ast.BinOp, _: Scope) -> Iterator[ast.expr]:
    """x for x.T and swapaxes(x), b @ a for a @ b, another order of the axes of an einsum."""
    if isinstance(node, ast.Attribute):
        if node.attr in ("T", "mT"):
            yield node.value
    elif isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.MatMult):
            yield ast.BinOp(node.right, ast.MatMult(), node.left)
    elif node.args and _called(node) in ("swapaxes", "transpose", "matrix_transpose", "moveaxis"):
        yield node.args[0]
    elif node.args and _called(node) == "einsum" and isinstance(node.args[0], ast.Constant):
        axes = str(node.args[0].value)
        if "->" in axes and axes[-1].isalpha() and axes[-2].isalpha():
            swapped = ast.Constant(axes[:-2] + axes[-1] + axes[-2])
            yield ast.Call(node.func, [swapped, *node.args[1:]], node.keywords)


def without_keepdims(node: ast.Call, _: Scope) -> Iterator[ast.expr]:
    """keepdims=False for keepdims=True."""
    for index, keyword in enumerate(node.keywords):
        if keyword.arg == "keepdims" and isinstance(keyword.value, ast.Constant):
            yield _with_keyword(node, index, ast.Constant(not keyword.value.value))


def another_residual(node: ast.Tuple | ast.Attribute, scope: Scope) -> Iterator[ast.expr]:
    """Two residuals exchanged, where they are unpacked or read."""
    if isinstance(node, ast.Attribute):
        if getattr(node.value, "id", "") == scope.first and node.attr in scope.fields:
            where = scope.fields.index(node.attr)
            for name in (scope.fields[where + 1 :] + scope.fields[:where])[:1]:
                yield ast.Attribute(node.value, name, ast.Load())
    elif isinstance(node.ctx, ast.Store):
        for k in range(len(node.elts) - 1):
            one, two = node.elts[k], node.elts[k + 1]
            names = [getattr(each, "id", "") for each in (one, two)]
            if all(names) and names[0] != names[1]:
                yield ast.Tuple([*node.elts[:k], two, one, *node.elts[k + 2 :]], ast.Store())


def ignored_cotangent(node: ast.Name, _: Scope) -> Iterator[ast.expr]:
    """Ones for a cotangent."""
    if isinstance(node.ctx, ast.Load) and node.id.endswith("_bar"):
        yield ast.parse(
            f"__import__('jax').tree.map(lambda v: v * 0 + 1, {node.id})", mode="eval"
        ).body


def other_branch(node: ast.Call, _: Scope) -> Iterator[ast.expr]:
    """where(c, b, a) for where(c, a, b)."""
    if _called(node) in ("where", "select") and len(node.args) == 3:
        condition, one, two = node.args
        yield ast.Call(node.func, [condition, two, one], node.keywords)


RULES: dict[str, tuple[Any, Rule]] = {
    "another sign": (ast.BinOp | ast.UnaryOp, another_sign),
    "another factor": (ast.BinOp, another_factor),
    "dropped term": (ast.BinOp, dropped_term),
    "another axis": (ast.Call, another_axis),
    "transposed": (ast.Attribute | ast.Call | ast.BinOp, transposed),
    "without keepdims": (ast.Call, without_keepdims),
    "another residual": (ast.Tuple | ast.Attribute, another_residual),
    "ignored cotangent": (ast.Name, ignored_cotangent),
    "other branch": (ast.Call, other_branch),
}


def _number(node: ast.expr) -> int | None:
    """The integer that is written there."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _with_keyword(node: ast.Call, index: int, value: ast.expr) -> ast.expr:
    keywords = list(node.keywords)
    keywords[index] = ast.keyword(keywords[index].arg, value)
    return ast.Call(node.func, node.args, keywords)


def _fields_of(root: ast.AST, first: str) -> tuple[str, ...]:
    """The attributes of its first argument that a function reads."""
    names = [
        node.attr
        for node in ast.walk(root)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == first
        and not hasattr(jax.Array, node.attr)
    ]
    return tuple(dict.fromkeys(names))


def _expressions(root: Any) -> Iterator[tuple[Path_, ast.expr]]:
    """Every expression in the body of a function, with the way to it; not in what it raises."""
    stack: list[tuple[Path_, ast.AST]] = [
        ((("body", index),), statement) for index, statement in reversed(list(enumerate(root.body)))
    ]
    while stack:
        path, node = stack.pop()
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr) or _is_about_shape(node):
            continue
        if isinstance(node, ast.expr):
            yield path, node
        stack += [((*path, step), child) for step, child in reversed(list(_children(node)))]


def _is_about_shape(node: ast.AST) -> bool:
    """x.shape, zeros_like(x): what x holds does not matter."""
    if isinstance(node, ast.Attribute):
        return node.attr in ("shape", "dtype", "ndim", "size")
    likes = ("zeros_like", "ones_like", "full_like", "result_type", "spec_of")
    return isinstance(node, ast.Call) and _called(node) in likes


def _children(node: ast.AST) -> Iterator[tuple[tuple[str, int | None], ast.AST]]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(
            node, ast.Call
        ):
            continue
        if isinstance(value, ast.AST):
            yield (name, None), value
        elif isinstance(value, list):
            yield from (((name, k), v) for k, v in enumerate(value) if isinstance(v, ast.AST))


def _at(node: Any, path: Path_) -> Any:
    for name, index in path:
        node = getattr(node, name) if index is None else getattr(node, name)[index]
    return node


def _compiled(
    function: FunctionType, statement: ast.stmt, path: Path_, other: ast.expr
) -> CodeType | None:
    """The code of a function with another expression at a place; `None` if that does not fit."""
    changed = copy.deepcopy(statement)
    holder, (name, index) = _at(changed, path[:-1]), path[-1]
    if index is None:
        setattr(holder, name, copy.deepcopy(other))
    else:
        getattr(holder, name)[index] = copy.deepcopy(other)
    module = ast.fix_missing_locations(ast.Module([changed], []))
    wanted = function.__code__
    try:
        codes = _codes_in(compile(module, wanted.co_filename, "exec"))
    except SyntaxError:
        return None
    same = (c for c in codes if c.co_qualname == wanted.co_qualname)
    found = next((c for c in same if c.co_firstlineno == wanted.co_firstlineno), None)
    return found if found is not None and found.co_freevars == wanted.co_freevars else None


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)


def _place_of(function: FunctionType) -> tuple[ast.stmt, Path_]:
    """The top-level statement that holds a function, and the way from it to the function."""
    code = function.__code__
    for statement in _parsed(code.co_filename).body:
        for path, node in _definitions(statement, ()):
            lines = (node.lineno, *(d.lineno for d in node.decorator_list))
            if node.name == code.co_name and min(lines) == code.co_firstlineno:
                return statement, path
    raise LookupError(f"{inspect.getmodule(function)}: no source of {code.co_qualname}")


@cache
def _parsed(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text())


def _definitions(node: Any, path: Path_) -> Iterator[tuple[Path_, Any]]:
    if isinstance(node, ast.FunctionDef):
        yield path, node
    for name, value in ast.iter_fields(node):
        for index, child in enumerate(value) if isinstance(value, list) else ():
            if isinstance(child, ast.stmt):
                yield from _definitions(child, (*path, (name, index)))
