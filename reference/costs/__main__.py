"""What purebp.grad costs beside jax.grad on whole programs: `make costs`."""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import track
from rich.table import Table

from purebp.autodiff import fused
from purebp.autodiff.fusion import CALLS
from purebp.benchmark.report import environment
from reference.costs.measure import Found, measure
from reference.costs.programs import FEW, LARGE, OF_CALLS, PROGRAMS, SMALL

BOUNDS = {"flops": 1.01, "temporary": 1.05, "compile": 1.1, "time": 1.05}

WITHOUT_GELU = tuple(name for name in CALLS if name != "gelu")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure all programs, or those with a word in their name; print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m reference.costs", description=__doc__)
    parser.add_argument("words", nargs="*", help="only programs with one of these in their name")
    parser.add_argument("--pairs", type=int, default=30, help="0: no clock")
    parser.add_argument("--compiles", type=int, default=5, help="how often each is compiled")
    parser.add_argument("--small", action="store_true", help="at a size for trying out")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--fused", action="store_true", help="programs of calls, by fused ops")
    args = parser.parse_args(argv)
    sizes = SMALL if args.small else LARGE
    programs = OF_CALLS if args.fused else PROGRAMS
    tables: dict[str, Any] = {"": None}
    if args.fused:
        tables = {"by gates": None, "fused": fused(), "fused but for gelu": fused(*WITHOUT_GELU)}
    chosen = [
        (name, title)
        for name in programs
        for title in tables
        if not args.words or any(word.lower() in name.lower() for word in args.words)
    ]
    console = Console(stderr=True)
    found = [
        measure(
            f"{name} {title}".strip(),
            programs[name](sizes),
            programs[name](sizes._replace(length=FEW)),
            args.pairs,
            args.compiles,
            tables[title],
        )
        for name, title in track(chosen, "measuring", console=console)
    ]
    print_table(found)
    if args.json:
        data = {"environment": environment(), "rows": [each.to_dict() for each in found]}
        args.json.write_text(json.dumps(data, indent=1) + "\n")
    return 0


def print_table(found: Sequence[Found]) -> None:
    """A line for each program; what is above its bound is marked."""
    table = Table(title=f"purebp.grad / jax.grad, JAX {jax.__version__}")
    table.add_column("program")
    for name in ("flops", "temporary", "trace + compile", "time", "95%"):
        table.add_column(name, justify="right")
    for each in found:
        interval = "-" if each.time is None else f"{each.time.low:.2f} to {each.time.high:.2f}"
        cells = [_cell(each.ratios.get(name), bound) for name, bound in BOUNDS.items()]
        table.add_row(each.name, *cells, interval)
    timed = [each.time.median for each in found if each.time is not None]
    console = Console()
    console.print(table)
    if timed:
        mean = math.exp(statistics.fmean(map(math.log, timed)))
        console.print(f"time, geometric mean of {len(timed)}: {mean:.3f}", highlight=False)


def _cell(ratio: float | None, bound: float) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.3f}" + (" !" if ratio > bound else "")


if __name__ == "__main__":
    sys.exit(main())
