"""`purebp bench`: time and weigh every op against jax.grad and PyTorch."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from purebp.benchmark.case import Case
from purebp.benchmark.cases import CASES, find_cases
from purebp.benchmark.measure import Row, measure
from purebp.benchmark.report import merge, read, rich_table, summary, write, write_json
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
        "-o",
        "--output",
        type=Path,
        help="a folder for the table, the chart and the JSON; rows of an earlier run there, on the "
        "same device and versions, that are not measured again are kept",
    )
    bench.add_argument(
        "--resume", action="store_true", help="leave out the rows that --output already has"
    )
    bench.set_defaults(run=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Measure, print, write."""
    if args.pairs < 0:
        raise OptionError(f"--pairs is {args.pairs}, expected 0 (no clock) or more")
    if args.resume and not args.output:
        raise OptionError("--resume goes on with the rows of an earlier run; name its --output")
    file = args.output and args.output / f"{jax.devices()[0].platform}.json"
    earlier = read(file) if file else []
    timed = {(row.name, row.size) for row in earlier if row.time or not args.pairs}
    order = [case.name for case in CASES]
    wanted = [
        (case, size)
        for case in find_cases(args.ops)
        for size in args.size or SIZES
        if not (args.resume and (case.name, size) in timed)
    ]
    torch = None if args.no_torch else load_torch()
    rows, failures = list[Row](), list[str]()
    try:
        for row in _measured(wanted, args.pairs, torch, failures):
            rows.append(row)
            if file:
                write_json(merge(earlier, rows, order), file)
    except KeyboardInterrupt:
        failures.append(f"stopped after {len(rows)} of {len(wanted)} rows; --resume goes on")
    screen = Console()
    console = screen if screen.is_terminal else Console(width=WIDE)
    if args.json:
        sys.stdout.write(json.dumps([row.to_dict() for row in rows], indent=1) + "\n")
    else:
        console.print(rich_table(rows))
        for line in summary(rows):
            console.print(line, soft_wrap=True)
    for written in write(merge(earlier, rows, order), file) if file else ():
        Console(stderr=True).print(f"wrote {written}", soft_wrap=True)
    for failure in failures:
        Console(stderr=True).print(f"not timed: {failure}", soft_wrap=True, markup=False)
    return 1 if failures else 0


def _measured(
    wanted: Sequence[tuple[Case, str]], pairs: int, torch: Any, failures: list[str]
) -> Iterator[Row]:
    """One row after another, with progress; a case that cannot be compared is a failure."""
    columns = (
        TextColumn("timing {task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(wanted))
        for case, size in wanted:
            progress.update(task, description=f"{case.name}, {size}")
            try:
                yield measure(case, size, pairs=pairs, torch=torch)
            except VerificationError as error:
                failures.append(str(error))
            progress.advance(task)
            jax.clear_caches()


def load_torch() -> Any:
    """PyTorch, or None where it is not installed. It takes as many threads as there are cores."""
    try:
        return import_module("torch")
    except ImportError:
        return None
