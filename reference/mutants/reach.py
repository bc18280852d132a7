"""Which functions of purebp a backward pass is made of: those that it calls."""

import gc
import inspect
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import jax
import jax.numpy as jnp

import purebp
from purebp.op import Op
from purebp.verification.cases import Case, Variant, make_args
from purebp.verification.target import Target

ROOT = Path(purebp.__file__).parent
MACHINERY = ("blocks", "compat", "errors", "gate", "op", "packages", "residuals", "signature")
"""Modules without formulas: what they do holds for every op. `blocks` says how much at a time."""


def called_backward(target: Target, variants: Sequence[Variant]) -> dict[str, list[int]]:
    """The functions that only the backward pass of an op calls, and in which of its variants."""
    found = dict[str, list[int]]()
    other = set[str]()
    for index, variant in enumerate(variants):
        backward, rest = _calls(target, variant)
        other |= rest
        for name in backward:
            found.setdefault(name, []).append(index)
    return {name: where for name, where in found.items() if name not in other}


def functions() -> dict[str, FunctionType]:
    """Every function of purebp that lives, by its name."""
    alive = (item for item in gc.get_objects() if isinstance(item, FunctionType))
    return {name_of(f.__code__): f for f in alive if _is_formula(f.__code__)}


def name_of(code: CodeType) -> str:
    """`layers.norm.layer_norm_bwd`."""
    module = Path(code.co_filename).relative_to(ROOT).with_suffix("")
    return ".".join((*module.parts, code.co_qualname))


def _is_formula(code: CodeType) -> bool:
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or "<lambda>" in code.co_name:
        return False
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0] not in (*MACHINERY, "verification", "benchmark")


def _calls(target: Target, variant: Variant) -> tuple[set[str], set[str]]:
    """The functions that the backward pass calls, and those that the other passes call."""
    op = target.source
    assert isinstance(op, Op)
    entry = _code_of(op.backward)
    backward, rest = set[CodeType](), set[CodeType]()
    depth = 0

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal depth
        if event == "call":
            depth += frame.f_code is entry
            (backward if depth else rest).add(frame.f_code)
        elif event == "return":
            depth -= frame.f_code is entry

    args = make_args(target, Case(variant, "normal", "normal", 0))
    settings = dict(variant.settings)
    sys.setprofile(look)
    try:
        jax.eval_shape(partial(_both, target, settings), *args)
    finally:
        sys.setprofile(None)
    return {*_names(backward)}, {*_names(rest)}


def _both(target: Target, settings: dict[str, Any], *args: Any) -> Any:
    y = target.reference(settings, *args)
    return target.pull(settings, args, jax.tree.map(jnp.ones_like, y))[1]


def _code_of(function: Any) -> CodeType:
    while isinstance(function, partial):
        function = function.func
    return inspect.unwrap(function).__code__


def _names(codes: set[CodeType]) -> Iterator[str]:
    """Their names, but for those that another one of them makes anew each time it is called."""
    names = {name_of(code) for code in codes if _is_formula(code)}
    return (n for n in names if n.rpartition(".<locals>.")[0] not in names or ".<locals>." not in n)
