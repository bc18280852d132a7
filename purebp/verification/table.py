"""The table that `purebp verify` prints, and the processes that fill it."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

from purebp.catalog import OPS
from purebp.verification.budget import BudgetName
from purebp.verification.report import Report
from purebp.verification.run import verify

STYLES = {"pass": "green", "convention": "green", "vacuous": "dim", "fail": "bold red"}


class Job(NamedTuple):
    """One op of the catalogue, and how thoroughly to verify it."""

    name: str
    budget: BudgetName
    max_examples: int | None
    seed: int


def run_job(job: Job) -> Report:
    """Verify one op of the catalogue."""
    return verify(
        OPS[job.name],
        budget=job.budget,
        max_examples=job.max_examples,
        seed=job.seed,
        progress=False,
    )


def run_jobs(jobs: Sequence[Job], processes: int) -> Iterator[Report]:
    """Verify ops in several processes; the reports come as they are ready."""
    if processes <= 1 or len(jobs) <= 2:
        yield from map(run_job, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        futures: list[Future[Report]] = [pool.submit(run_job, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def default_processes() -> int:
    """As many as there are processors for this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def result_table(families: Mapping[str, Iterable[str]], reports: Mapping[str, Report]) -> Table:
    """One line for each op, by family."""
    table = Table(
        title="hand-derived gradients", title_justify="left", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("op", no_wrap=True)
    for heading in ("checks", "worst", "residuals", "jax.vjp"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for family, names in families.items():
        rows = [reports[name] for name in names if name in reports]
        if rows:
            table.add_row(f"[bold]{family}[/bold]")
        for report in rows:
            style = STYLES.get(report.verdict, "yellow")
            table.add_row(*_cells(report), f"[{style}]{report.verdict}[/{style}]")
    return table


def _cells(report: Report) -> tuple[str, ...]:
    return (
        f"  {report.target}",
        f"{report.passed}/{len(report.checks)}",
        f"{report.worst:.2f}" if report.worst < 1e3 else f"{report.worst:.1e}",
        _bytes(report.residual_bytes),
        _bytes(report.autodiff_bytes),
    )


def _bytes(count: int | None) -> str:
    if count is None:
        return "?"
    return f"{count} B" if count < 10_000 else f"{count / 1e3:.0f} kB"


def each_report(
    jobs: Sequence[Job], processes: int, tell: Callable[[Report], None]
) -> dict[str, Report]:
    """Run all jobs, telling of each report as it comes."""
    reports: dict[str, Report] = {}
    for report in run_jobs(jobs, processes):
        reports[report.target] = report
        tell(report)
    return reports
