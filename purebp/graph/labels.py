"""What is written on a gate, and what is told about it."""

import math
from typing import Any

import numpy as np

from purebp.graph.node import Box, Node, Operand
from purebp.graph.numbers import numbers_of, root_mean_square, short
from purebp.graph.roles import DISTRIBUTOR, SWITCHER
from purebp.graph.view import Bundle, Shown, View

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
BOTH_WAYS = {"add": "+", "mul": "×", "max": "max", "min": "min"}
LEFT_FIRST = {"sub": "−", "div": "÷"}


def sign_of(node: Node) -> str:
    """The sign of a gate, with the number that is written in the code: `+ 1`, `1 ÷`, `x²`."""
    name = node.operation
    if name == "integer_pow":
        return "x" + str(node.equation.params["y"]).translate(SUPERSCRIPT)
    written = [place for place, operand in enumerate(node.operands) if _is_number(operand)]
    if len(node.operands) != 2 or len(written) != 1:
        return node.role.symbol
    number = short(node.operands[written[0]].value)
    if name in BOTH_WAYS:
        return f"{BOTH_WAYS[name]} {number}"
    if name in LEFT_FIRST:
        sign = LEFT_FIRST[name]
        if name == "div" and not written[0] and number == "1":
            return "1/x"
        return f"{number} {sign}" if not written[0] else f"{sign} {number}"
    return node.role.symbol


def part_of(node: Node) -> str:
    """What a gate does with a gradient; one that adds or multiplies a number has no choice."""
    alone = sum(not _is_number(operand) for operand in node.operands) == 1
    return (
        ""
        if alone and node.role.part in (DISTRIBUTOR, SWITCHER) and _is_binary(node)
        else (node.role.part)
    )


def local_of(node: Node) -> str:
    """The local gradients of a gate of single numbers: `∂ 3, -4`."""
    if len(node.values) != 1 or any(np.shape(operand.value) for operand in node.operands):
        return ""
    slopes = [short(slope) for slope in node.local if slope is not None]
    return "∂ " + ", ".join(slopes) if slopes else ""


def _is_binary(node: Node) -> bool:
    return len(node.operands) == 2


def _is_number(operand: Operand) -> bool:
    """Whether an operand is one number that depends on no argument."""
    return math.prod(np.shape(operand.value)) == 1 and not any(
        source.varies for source, _ in operand.sources
    )


def tooltip_of(each: Shown, view: View) -> str:
    """All that is known of a gate or a box, in lines."""
    if isinstance(each, Box):
        gates = f"{len(view.inside[each])} gates" if each in view.inside else "outside"
        return f"{each.name}: {gates}\n{each.line}".strip()
    if isinstance(each, Bundle):
        return "\n".join(f"{node.name}: {_in_words(node.values)}" for node in each.nodes)
    lines = [f"{each.name}: {_in_words(each.values)}"]
    if each.line:
        lines.append(each.line)
    if part_of(each):
        lines.append(f"in the backward pass a {part_of(each)}")
    if each.role.local:
        lines.append(f"local gradient: {each.role.local}")
    if each.uses > 1:
        lines.append(f"used {each.uses} times: its gradients add up")
    if each.bars is not None:
        lines.append(f"gradient: {_in_words(each.bars)}")
    return "\n".join(lines)


def _in_words(values: tuple[Any, ...]) -> str:
    return ", ".join(_one_in_words(value) for value in values)


def _one_in_words(value: Any) -> str:
    if value is None:
        return "none"
    array = numbers_of(value)
    if not array.shape:
        return short(array)
    if not array.size or not np.issubdtype(array.dtype, np.inexact):
        return f"{array.dtype} {short(array)}"
    return f"{array.dtype} {short(array)}, root mean square {root_mean_square(array):.3g}"
