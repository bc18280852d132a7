"""What the verifier finds, and what others find: `make proof`.

Every wrong layer of `reference.wrong_gradients` is verified from its ordinary example, and so is
its right twin, with 20 seeds, in float32, float64 and bfloat16; `jax.test_util.check_grads` and
`torch.autograd.gradcheck` see the same inputs. Each result is a line in build/proof/: a run that
was broken off goes on where it stopped, and a layer that hangs or crashes is a result too.
"""

import argparse
import itertools
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from purebp.verification.table import default_processes

DTYPES = ("float32", "float64", "bfloat16")
JUDGES = {"purebp": DTYPES, "check_grads": DTYPES, "gradcheck": ("float64",)}
"""Each with its dtypes: gradcheck computes in float64, whatever it is given."""
SEEDS = 20
LIMIT = 1200
"""Seconds for one layer, with all its seeds."""
ENDS = 10
"""Seconds for its process to end after the answer."""
RESULTS = Path("build/proof")
PROCESSES = multiprocessing.get_context("forkserver")
"""Each job is forked from a process that has imported everything, and computed nothing."""
PROCESSES.set_forkserver_preload(["jax.test_util", "torch", "reference.proof.judge"])


class Job(NamedTuple):
    """One layer, wrong or right, in one dtype, before one judge."""

    judge: str
    layer: str
    which: str
    dtype: str

    @property
    def key(self) -> str:
        """The name of its line."""
        return "/".join(self)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not known yet, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m reference.proof", description=__doc__)
    parser.add_argument("layers", nargs="*", help="names or numbers (B042); all by default")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="for the right twins")
    parser.add_argument("--jobs", type=int, default=default_processes())
    parser.add_argument("--minutes", type=float, default=180.0, help="stop after this long")
    parser.add_argument("--fresh", action="store_true", help="forget what is known")
    parser.add_argument("--table", action="store_true", help="print what is known, run nothing")
    args = parser.parse_args(argv)
    path = RESULTS / "results.jsonl"
    if args.fresh:
        path.unlink(missing_ok=True)
    jobs = list(all_jobs(args.layers, args.dtypes))
    if not args.table:
        run([job for job in jobs if job.key not in known(path)], path, args)
    print_tables(jobs, known(path))
    return 0


def all_jobs(chosen: Sequence[str], dtypes: Sequence[str]) -> Iterator[Job]:
    """Every judge before every layer: first what is found, in each dtype, then the long alarms."""
    from reference.wrong_gradients import LAYERS  # noqa: PLC0415 - it imports JAX

    names = [x.name for x in LAYERS if not chosen or x.name in chosen or x.bug in chosen]
    for which, dtype, judge in itertools.product(("wrong", "right"), dtypes, JUDGES):
        if dtype in JUDGES[judge]:
            yield from (Job(judge, name, which, dtype) for name in names)


def known(path: Path) -> dict[str, dict[str, Any]]:
    """The results so far, by job."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return {line["key"]: line for line in lines}


def run(jobs: Sequence[Job], path: Path, args: argparse.Namespace) -> None:
    """Each job in a process of its own; a line for each as it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stop = time.monotonic() + 60 * args.minutes
    columns = (TextColumn("{task.description:<48}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
    with progress, ThreadPoolExecutor(args.jobs) as pool, path.open("a") as file:
        task = progress.add_task("", total=len(jobs))
        futures = [pool.submit(result_of, job, args.seeds, stop) for job in jobs]
        for future in as_completed(futures):
            result = future.result()
            if result is not None:
                file.write(json.dumps(result) + "\n")
                file.flush()
                progress.update(task, description=result["key"])
            progress.advance(task)


def result_of(job: Job, seeds: int, stop: float) -> dict[str, Any] | None:
    """What a judge says, in a process of its own; `None` where the time is up."""
    from reference.proof.judge import tell  # noqa: PLC0415 - it imports JAX

    if time.monotonic() > stop:
        return None
    started = time.monotonic()
    receiver, sender = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=tell, args=(sender, tuple(job), seeds), daemon=True)
    process.start()
    sender.close()
    if receiver.poll(LIMIT):
        try:
            answer = receiver.recv()
        except EOFError:
            process.join()
            answer = {"verdict": "crashed", "note": f"exit status {process.exitcode}"}
    else:
        process.kill()
        answer = {"verdict": "timed out", "note": f"after {LIMIT} s"}
    process.join(ENDS)
    process.kill()
    return {"key": job.key, "seconds": round(time.monotonic() - started, 1), **answer}


def print_tables(jobs: Sequence[Job], results: dict[str, dict[str, Any]]) -> None:
    """A line for each judge and dtype, and what to look at."""
    table = Table(title="wrong gradients from public projects, from ordinary example inputs")
    for name in ("judge", "dtype", "wrong found", "named", "right twins", "false alarms"):
        table.add_column(name, justify="left" if name in {"judge", "dtype"} else "right")
    groups = dict.fromkeys((job.judge, job.dtype) for job in jobs)
    for judge, dtype in groups:
        mine = [job for job in jobs if (job.judge, job.dtype) == (judge, dtype)]
        wrong = [results[j.key] for j in mine if j.which == "wrong" and j.key in results]
        right = [results[j.key] for j in mine if j.which == "right" and j.key in results]
        found = [line for line in wrong if line["verdict"] == "fail"]
        named = sum(bool(line.get("named")) for line in found)
        alarms = sum(line["verdict"] not in FINE for line in right)
        table.add_row(
            judge,
            dtype,
            _share(len(found), len(wrong)),
            _share(named, len(wrong)) if judge == "purebp" else "",
            str(len(right)),
            str(alarms),
        )
    console = Console()
    console.print(table)
    for job in jobs:
        line = results.get(job.key)
        if job.judge == "purebp" and line is not None and _is_odd(job, line):
            what = f"{line['verdict']} {line.get('kind', '')}, wanted {line.get('wanted', '')}"
            console.print(f"{job.key}: {what} {line.get('note', '')}", soft_wrap=True, markup=False)


FINE = {"pass", "convention", "vacuous"}


def _share(count: int, total: int) -> str:
    return f"{count}/{total} ({count / total:.0%})" if total else "-"


def _is_odd(job: Job, line: dict[str, Any]) -> bool:
    if job.which == "right":
        return line["verdict"] not in FINE
    return line["verdict"] != "fail" or not line.get("named")


if __name__ == "__main__":
    sys.exit(main())
