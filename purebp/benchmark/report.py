"""What a run of the benchmark leaves: a table, a bar chart and JSON, with device and versions."""

import datetime as dt
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jax
from rich.box import SIMPLE_HEAD
from rich.table import Table

from purebp.benchmark.measure import Ratio, Row
from purebp.packages import load

PACKAGES = ("purebp", "jax", "jaxlib", "flax", "optax", "torch")
INTRODUCTION = """\
Forward plus backward pass under jit, interleaved pairs. `time` is the median of the time ratios
by hand / jax.grad with both passes in one program, `95%` its interval; `apart` is that of two
programs, with the residuals in memory between them; `torch` is one program against PyTorch eager.
Flops, bytes accessed and compile time are ratios of the compiled programs ("loop": XLA counts the
body of a loop once, so there is no ratio); temporary and residual memory is by hand / jax.grad.
Rows marked * are single gates."""
HEADINGS = (
    "op",
    "size",
    "time",
    "95%",
    "apart",
    "torch",
    "flops",
    "bytes",
    "temporary",
    "residuals",
    "compile",
    "note",
)


@cache
def environment() -> dict[str, str]:
    """Device, processors, versions and date."""
    known = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()}
    device = jax.devices()[0]
    return {
        "device": f"{device.platform}: {device.device_kind}",
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES if name in known},
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean; nan of nothing."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def summary(rows: Sequence[Row]) -> list[str]:
    """The sentences below the table."""
    fused = [row for row in rows if not row.single]
    lines = list[str]()
    for size in ("large", "small"):
        rows_of_size = [row for row in fused if row.size == size]
        for what, ratios in (
            ("jax.grad, one program", [row.time.median for row in rows_of_size if row.time]),
            ("jax.grad, two programs", [row.apart.median for row in rows_of_size if row.apart]),
            ("PyTorch eager", [row.torch.median for row in rows_of_size if row.torch]),
        ):
            if ratios:
                lines.append(
                    f"{size}: {geometric_mean(ratios):.2f} of the time of {what}, geometric mean "
                    f"of {len(ratios)} rows without single gates"
                )
    slower = [f"{row.name} ({row.size})" for row in fused if row.slower]
    fatter = [f"{row.name} ({row.size})" for row in fused if row.fatter]
    lines.append(f"slower than jax.grad: {', '.join(slower) or 'none'}")
    lines.append(f"more residuals or temporaries, no reason: {', '.join(fatter) or 'none'}")
    return lines


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table; every figure is by hand / by autodiff."""
    hand, other = row.hand, row.autodiff
    return (
        row.name,
        row.size,
        _ratio(row.time),
        f"{row.time.low:.2f}-{row.time.high:.2f}" if row.time else "",
        _ratio(row.apart),
        _ratio(row.torch),
        _divided(hand.flops, other.flops) if not (hand.loops or other.loops) else "loop",
        _divided(hand.accessed, other.accessed) if not (hand.loops or other.loops) else "loop",
        f"{_bytes(hand.temporary)} / {_bytes(other.temporary)}",
        f"{_bytes(hand.residuals)} / {_bytes(other.residuals)}",
        _divided(hand.compile_seconds, other.compile_seconds),
        "slower" if row.slower else "more memory" if row.fatter else "",
    )


def rich_table(rows: Sequence[Row]) -> Table:
    """The table for the terminal."""
    table = Table(title="by hand / jax.grad", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*cells(row), style="yellow" if row.slower or row.fatter else "")
    return table


def markdown(rows: Sequence[Row], where: dict[str, str]) -> str:
    """The same table as a document."""
    lines = [
        "# By hand against jax.grad",
        "",
        INTRODUCTION,
        "",
        *(f"- {key}: {value}" for key, value in where.items()),
        "",
        *(f"- {line}" for line in summary(rows)),
        "",
        "| " + " | ".join((*HEADINGS, "against", "shapes")) + " |",
        "|" + "---|" * (len(HEADINGS) + 2),
    ]
    for row in rows:
        name, *rest = cells(row)
        mark = "*" if row.single else ""
        lines.append("| " + " | ".join((name + mark, *rest, row.against, row.shapes)) + " |")
    reasons = {row.name: row.more_memory for row in rows if row.more_memory}
    lines += ["", *(f"- {name} keeps more memory: {reason}" for name, reason in reasons.items())]
    return "\n".join(lines).rstrip() + "\n"


def read(file: Path) -> list[Row]:
    """The rows of an earlier run on the same device with the same versions; else none."""
    if not file.exists():
        return []
    data = json.loads(file.read_text())
    same = {**data["environment"], "date": ""} == {**environment(), "date": ""}
    return [Row.from_dict(row) for row in data["rows"]] if same else []


def merge(earlier: Sequence[Row], rows: Sequence[Row], order: Sequence[str]) -> list[Row]:
    """The rows, and those of an earlier run that were not measured again, in the given order."""
    kept = {(row.name, row.size): row for row in (*earlier, *rows) if row.name in order}
    return sorted(kept.values(), key=lambda row: order.index(row.name))


def write_json(rows: Sequence[Row], file: Path) -> None:
    """Write the rows, so that a run that is broken off loses none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = {"environment": environment(), "rows": [row.to_dict() for row in rows]}
    file.write_text(json.dumps(data, indent=1) + "\n")


def write(rows: Sequence[Row], json_file: Path) -> list[Path]:
    """Write JSON, table and chart beside each other; returns the files."""
    where = environment()
    write_json(rows, json_file)
    table = json_file.with_suffix(".md")
    table.write_text(markdown(rows, where))
    timed = [row for row in rows if row.time]
    charts = [json_file.with_suffix(suffix) for suffix in (".svg", ".png")] if timed else []
    if charts:
        _draw(timed, where, charts)
    return [table, json_file, *charts]


def _draw(rows: Sequence[Row], where: dict[str, str], files: Sequence[Path]) -> None:
    """Bars of the time ratios, fastest first; 1 is jax.grad."""
    figures = load("matplotlib.figure", needed_by="the bar chart", extra="examples")
    large = [row for row in rows if row.size == "large"] or list(rows)
    large.sort(key=lambda row: row.time.median if row.time else 0, reverse=True)
    figure = figures.Figure(figsize=(9, 1.2 + 0.22 * len(large)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(large):
        assert row.time is not None
        color = "0.6" if row.single else "C3" if row.slower else "C0"
        axes.barh(place, row.time.median, color=color)
        axes.plot([row.time.low, row.time.high], [place, place], color="black", lw=1)
        if row.torch:
            against_torch = row.time.median / row.torch.median
            axes.plot(against_torch, place, "o", color="C1", ms=4)
    axes.axvline(1, color="black", lw=0.8)
    axes.set_yticks(range(len(large)), [row.name for row in large], fontsize=8)
    axes.set(
        xlabel="time by hand / time of jax.grad (line: 95%; dot: PyTorch eager / jax.grad)",
        title=f"forward plus backward, {where['device']}, JAX {where['jax']}",
        ylim=(-0.6, len(large) - 0.4),
        xlim=(0, 2),
    )
    for file in files:
        figure.savefig(file, dpi=120)


def _ratio(ratio: Ratio | None) -> str:
    return f"{ratio.median:.2f}" if ratio else ""


def _divided(a: float, b: float) -> str:
    return f"{a / b:.2f}" if b else "1.00" if a == b else "-"


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
