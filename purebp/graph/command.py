"""The command `purebp graph`: the picture of a function in somebody's file."""

import argparse
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from purebp.errors import OptionError, TargetError, first_line
from purebp.graph.graph import Graph, trace
from purebp.load import import_file

OK = 0
EXAMPLES = "EXAMPLES"


def add_graph_command(commands: Any) -> None:
    """Add `graph` to the commands."""
    draw = commands.add_parser(
        "graph",
        help="draw a function as a computational graph",
        description="Run a function, backpropagate, and draw every value and every gradient.",
    )
    draw.add_argument("function", metavar="FILE:FUNCTION", help="as in loss.py:loss")
    draw.add_argument(
        "--args",
        metavar="EXPRESSIONS",
        help='its arguments in Python, as "-2, [1.0, 2.0]": lists of numbers are arrays; '
        "with jnp, np, jax and what the file has. By default "
        f'{EXAMPLES} = {{"FUNCTION": (x, w)}} in the file',
    )
    draw.add_argument(
        "-o", "--output", type=Path, help="a name that ends in .svg, .png or .html; text by default"
    )
    draw.add_argument("--depth", type=int, help="how many levels of boxes are open")
    draw.add_argument(
        "--summary", action="store_true", help="print gradient norms and the first nan"
    )
    draw.set_defaults(run=run_graph)


def run_graph(args: argparse.Namespace) -> int:
    """Draw, and return the exit status."""
    graph = _graph(args.function, args.args)
    shown = list[Any]()
    if args.output is not None:
        shown.append(f"{graph.save(args.output, args.depth)}: {len(graph.nodes)} gates")
    elif not args.summary:
        shown.append(graph)
    if args.summary:
        shown.append(graph.summary())
    Console().print(*map(str, shown), sep="\n", markup=False, highlight=False, soft_wrap=True)
    return OK


def _graph(name: str, text: str | None) -> Graph:
    file, colon, wanted = name.rpartition(":")
    if not colon:
        raise OptionError(f"{name}: expected FILE:FUNCTION, as in loss.py:loss")
    module = import_file(Path(file))
    function = getattr(module, wanted, None)
    if not callable(function):
        raise TargetError(f"{file} has no function {wanted!r}")
    given = _arguments(module, wanted, text)
    try:
        inspect.signature(function).bind(*given)
    except TypeError as error:
        raise OptionError(f"{wanted} does not take these {len(given)} arguments: {error}") from None
    graph = trace(function, *given)
    return graph.backward(jax.tree.map(jnp.ones_like, graph.value))


def _arguments(module: ModuleType, wanted: str, text: str | None) -> tuple[Any, ...]:
    if text is None:
        examples = getattr(module, EXAMPLES, {})
        if wanted not in examples:
            raise OptionError(
                f'{wanted} needs arguments: --args "1.0, jnp.ones(3)", or {EXAMPLES} = '
                f'{{"{wanted}": (1.0, x)}} in {module.__name__}.py'
            )
        return tuple(examples[wanted])
    names = {"jax": jax, "jnp": jnp, "np": np, **vars(module)}
    try:
        typed = eval(f"({text},)" if text.strip() else "()", names)
        return jax.tree.map(_array_of, typed, is_leaf=_holds_numbers)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with what was typed
        raise OptionError(f"--args {text!r}: {type(error).__name__}: {first_line(error)}") from None


def _array_of(value: Any) -> Any:
    return jnp.asarray(value) if isinstance(value, list) else value


def _holds_numbers(value: Any) -> bool:
    """Whether a value is a list of numbers, or of such lists."""
    number = (int, float, complex)
    return isinstance(value, list) and all(
        isinstance(x, number) or _holds_numbers(x) for x in value
    )
