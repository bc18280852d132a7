"""The mutation score of purebp's backward passes: `python -m reference.mutants`.

Every function that only backward passes call is changed in one place, in every way that
`edits.RULES` has, and the ops that call it are verified until one check fails. Each result is a
line in build/mutants/: a run that was broken off goes on where it stopped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from purebp.verification.table import default_processes
from reference.mutants.equivalent import reason_of

RESULTS = Path("build/mutants")
OPS_TRIED = 8
"""A mutant that one op lets live is tried on so many, those with the fewest functions first."""
LIMIT = 300
"""Seconds for one mutant: it may make a loop endless."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not known yet, and print the score."""
    parser = argparse.ArgumentParser(prog="python -m reference.mutants", description=__doc__)
    parser.add_argument("functions", nargs="*", help="beginnings of names: layers.norm")
    parser.add_argument("--jobs", type=int, default=default_processes())
    parser.add_argument("--minutes", type=float, default=180.0, help="stop after this long")
    parser.add_argument("--fresh", action="store_true", help="forget what is known")
    parser.add_argument("--table", action="store_true", help="print what is known, run nothing")
    args = parser.parse_args(argv)
    path = RESULTS / "results.jsonl"
    if args.fresh:
        path.unlink(missing_ok=True)
    if not args.table:
        run(plan(args.functions), path, args)
    print_score(known(path).values())
    return 0


def plan(beginnings: Sequence[str]) -> dict[str, dict[str, dict[str, list[int]]]]:
    """For each op the functions that are tried on it first, and on which ops, in which variants."""
    from purebp.catalog import OPS  # noqa: PLC0415 - it imports JAX
    from purebp.verification.cases import variants  # noqa: PLC0415
    from purebp.verification.target import make_target  # noqa: PLC0415
    from reference.mutants.reach import called_backward  # noqa: PLC0415

    called = dict[str, dict[str, list[int]]]()
    for name, op in OPS.items():
        target = make_target(op)
        called[name] = called_backward(target, variants(target))
    users = dict[str, list[str]]()
    for name in sorted(called, key=lambda name: len(called[name])):
        for function in called[name]:
            users.setdefault(function, []).append(name)
    jobs = dict[str, dict[str, dict[str, list[int]]]]()
    for function, ops in users.items():
        if not beginnings or function.startswith(tuple(beginnings)):
            where = {op: called[op][function] for op in ops[:OPS_TRIED]}
            jobs.setdefault(ops[0], {})[function] = where
    return jobs


def known(path: Path) -> dict[str, dict[str, Any]]:
    """The results so far, by mutant."""
    lines = path.read_text().splitlines() if path.exists() else []
    results = [json.loads(line) for line in lines if line.endswith("}")]
    return {line["key"]: line for line in results}


def run(jobs: Mapping[str, Any], path: Path, args: argparse.Namespace) -> None:
    """The functions of each op in a process; a line for each mutant as it is done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stop = time.monotonic() + 60 * args.minutes
    done, lock = {*known(path)}, threading.Lock()
    columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))

    def run_op(op: str) -> None:
        for line in results_of(jobs[op], done, stop):
            with lock:
                file.write(json.dumps(line) + "\n")
                file.flush()
        progress.advance(task)
        progress.update(task, description=op)

    with progress, path.open("a") as file, ThreadPoolExecutor(args.jobs) as pool:
        task = progress.add_task("", total=len(jobs))
        list(pool.map(run_op, jobs))


def results_of(
    functions: Mapping[str, Any], done: set[str], stop: float
) -> Iterator[dict[str, Any]]:
    """What becomes of each mutant; a new process after one that hangs or crashes."""
    done = set(done)
    while time.monotonic() < stop:
        last: dict[str, Any] | None = None
        for line in _lines({"functions": functions, "known": sorted(done)}, stop):
            last = None if "by" in line else line
            if "by" in line:
                done.add(line["key"])
                yield line
        if last is None or time.monotonic() >= stop:
            return
        done.add(last["key"])
        yield {**last, "op": "", "by": "hung or crashed"}


def _lines(job: Mapping[str, Any], stop: float) -> Iterator[dict[str, Any]]:
    """The lines of a process, which is stopped after the time of one mutant without any."""
    command = [sys.executable, "-m", "reference.mutants.child"]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with process:
            process.stdin.write(json.dumps(job))
            process.stdin.close()
            watch = _watch(process, stop)
            for text in process.stdout:
                watch.cancel()
                yield json.loads(text)
                watch = _watch(process, stop)
            watch.cancel()
        if process.returncode > 0:
            errors.seek(0)
            raise RuntimeError(errors.read()[-2000:])


def _watch(process: "subprocess.Popen[str]", stop: float) -> threading.Timer:
    timer = threading.Timer(max(min(LIMIT, stop - time.monotonic()), 0.0), process.kill)
    timer.daemon = True
    timer.start()
    return timer


def print_score(results: Any) -> None:
    """A line for each kind of mistake, and every mutant that lives without a reason."""
    results = list(results)
    table = Table(title="mutants of purebp's backward passes")
    for name in ("mistake", "mutants", "killed", "equivalent", "alive", "score"):
        table.add_column(name, justify="left" if name == "mistake" else "right")
    kinds = Counter(line["kind"] for line in results)
    for kind in (*sorted(kinds), ""):
        mine = [line for line in results if kind in ("", line["kind"])]
        table.add_row(kind or "all", *_score(mine), end_section=kind == max(kinds, default=""))
    console = Console()
    console.print(table)
    for line in results:
        if not line["by"] and not reason_of(line):
            place = f"{line['name']}, line {line['line']} ({line['op']})"
            text = f"{place}: {line['kind']}: {line['before']}  ->  {line['after']}"
            console.print(text, soft_wrap=True, markup=False)


def _score(lines: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    killed = sum(bool(line["by"]) for line in lines)
    equal = sum(not line["by"] and bool(reason_of(line)) for line in lines)
    counted = len(lines) - equal
    share = f"{killed / counted:.1%}" if counted else "-"
    return str(len(lines)), str(killed), str(equal), str(counted - killed), share


if __name__ == "__main__":
    sys.exit(main())
