"""`purebp bench`: time and weigh every op against jax.grad and PyTorch."""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from purebp.benchmark.cases import find_cases
from purebp.benchmark.measure import Row, measure
from purebp.benchmark.report import rich_table, summary, write
from purebp.errors import OptionError, VerificationError

SIZES = ("large", "small")
WIDE = 160


def add_bench_command(commands: Any) -> None:
    """Add `bench` to the commands."""
    bench = commands.add_parser(
        "bench",
        help="time and weigh every op against jax.grad and PyTorch",
        description="Forward plus backward under jit, by hand and by jax.grad of the idiomatic "
        "form (and PyTorch eager, where it is installed), interleaved in one run.",
    )
    bench.add_argument("ops", nargs="*", metavar="OP", help="all rows by default")
    bench.add_argument("--size", choices=SIZES, action="append", help="both by default")
    bench.add_argument("--pairs", type=int, default=30, help="30 by default; 0: no clock")
    bench.add_argument("--no-torch", action="store_true", help="leave out PyTorch")
    bench.add_argument("--json", action="store_true", help="print the rows as JSON")
    bench.add_argument(
        "-o", "--output", type=Path, help="a folder for the table, the chart and the JSON"
    )
    bench.set_defaults(run=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Measure, print, write."""
    if args.pairs < 0:
        raise OptionError(f"--pairs is {args.pairs}, expected 0 (no clock) or more")
    cases = find_cases(args.ops)
    torch = None if args.no_torch else load_torch()
    rows, failures = list[Row](), list[str]()
    sizes = args.size or SIZES
    columns = (
        TextColumn("timing {task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(cases) * len(sizes))
        for case in cases:
            for size in sizes:
                progress.update(task, description=f"{case.name}, {size}")
                try:
                    rows.append(measure(case, size, pairs=args.pairs, torch=torch))
                except VerificationError as error:
                    failures.append(str(error))
                progress.advance(task)
                jax.clear_caches()
    screen = Console()
    console = screen if screen.is_terminal else Console(width=WIDE)
    if args.json:
        sys.stdout.write(json.dumps([row.to_dict() for row in rows], indent=1) + "\n")
    else:
        console.print(rich_table(rows))
        for line in summary(rows):
            console.print(line, soft_wrap=True)
    if args.output:
        for file in write(rows, args.output, jax.devices()[0].platform):
            console.print(f"wrote {file}", soft_wrap=True)
    for failure in failures:
        screen.print(f"not timed: {failure}", soft_wrap=True, markup=False)
    return 1 if failures else 0


def load_torch() -> Any:
    """PyTorch, or None where it is not installed. It takes as many threads as there are cores."""
    try:
        return import_module("torch")
    except ImportError:
        return None
