"""The command `purebp verify`: all ops, some, or layers in somebody's file."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from purebp.catalog import families, find
from purebp.errors import OptionError
from purebp.verification.budget import BUDGETS
from purebp.verification.homework.files import TIME_LIMITS, mark_files
from purebp.verification.homework.mark import Mark
from purebp.verification.homework.plan import Settings
from purebp.verification.homework.processes import Limits
from purebp.verification.homework.table import print_marks
from purebp.verification.progress import verifying
from purebp.verification.report import Report
from purebp.verification.table import Job, default_processes, each_report, result_table

OK, WRONG, UNDECIDED = 0, 1, 2


def add_verify_command(commands: Any) -> None:
    """Add `verify` to the commands."""
    check = commands.add_parser(
        "verify",
        help="check hand-written gradients",
        description="Check hand-written gradients: of all ops, of some, or of a layer of yours.",
    )
    check.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="an op (gelu), a layer in a file (layers.py:my_layer), a pair in a file "
        "(layers.py:my_fwd,my_bwd), a file (layers.py) or a folder; all ops by default",
    )
    check.add_argument("--shapes", help='axis names of each argument of a layer, as in "b d, d k"')
    check.add_argument(
        "--static",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a keyword-only option of a layer; several times to try several values",
    )
    check.add_argument(
        "--domain",
        action="append",
        default=[],
        metavar="NAME=WHERE",
        help="where the numbers of an argument of a layer lie: positive, nonzero or LOW:HIGH",
    )
    check.add_argument(
        "--budget",
        choices=list(BUDGETS),
        default="normal",
        help="how much to try; normal by default",
    )
    check.add_argument("--max-examples", type=_count, help="inputs drawn for each set of shapes")
    check.add_argument("--seed", type=int, default=0, help="0 by default; fixes every input")
    check.add_argument("--json", action="store_true", help="print the reports as JSON")
    check.add_argument(
        "--jobs", type=_count, default=default_processes(), help="processes; all cores by default"
    )
    check.add_argument(
        "--time-limit",
        type=_positive,
        metavar="SECONDS",
        help="for each layer of a file; by default "
        + ", ".join(f"{seconds} ({name})" for name, seconds in TIME_LIMITS.items()),
    )
    check.add_argument(
        "--memory-limit",
        type=_positive,
        default=4.0,
        metavar="GB",
        help="for each layer of a file; 4 by default",
    )
    check.set_defaults(run=run_verify)


def run_verify(args: argparse.Namespace) -> int:
    """Verify, print, and say by the exit status what was found."""
    files = [target for target in args.targets if _is_file(target)]
    names = [target for target in args.targets if not _is_file(target)]
    named = {"--shapes": args.shapes, "--static": args.static, "--domain": args.domain}
    for option, value in named.items():
        if value and not files:
            raise OptionError(f"{option} is for layers in a file; ops know it themselves")
    if not args.targets:
        names = [op.name for group in families().values() for op in group]
    ops = dict.fromkeys(find(name).name for name in names)
    jobs = [Job(name, args.budget, args.max_examples, args.seed) for name in ops]
    static, domain = _read_static(args.static), dict(map(_read_domain, args.domain))
    settings = Settings(args.budget, args.max_examples, args.seed, args.shapes, static, domain)
    limits = Limits(args.time_limit or TIME_LIMITS[args.budget], args.memory_limit, args.jobs)
    reports = _verify_ops(jobs, args.jobs)
    marks = mark_files(files, settings, limits)
    if args.json:
        every = [*(report.to_dict() for report in reports.values())]
        every += [mark.to_dict() for mark in marks]
        sys.stdout.write(json.dumps(every, indent=2) + "\n")
    else:
        _print(reports)
        _print_marks(marks, in_full=all(":" in file for file in files))
    return _status([*reports.values(), *marks])


def _verify_ops(jobs: list[Job], processes: int) -> dict[str, Report]:
    if not jobs:
        return {}
    with verifying(len(jobs)) as tell:
        return each_report(jobs, processes, lambda report: tell(report.target))


def _print_marks(marks: Sequence[Mark], *, in_full: bool) -> None:
    """The table or, of layers that were asked for one by one, all that was found."""
    console = Console()
    if marks and not in_full:
        print_marks(console, marks)
    for mark in marks if in_full else ():
        if mark.report is None or mark.forward.verdict == "wrong":
            console.print(escape(f"{mark.name}: {mark.summary}"), soft_wrap=True)
        if mark.report is not None:
            console.print(escape(str(mark.report)), soft_wrap=True)


def _print(reports: Mapping[str, Report]) -> None:
    console = Console()
    if reports:
        console.print(result_table(_family_names(), reports))
        for report in reports.values():
            if not report.ok:
                console.print(f"\n{escape(str(report))}", soft_wrap=True)
        good = sum(report.ok for report in reports.values())
        console.print(
            f"{good} of {len(reports)} ops are right. worst: the largest error in units of the "
            "tolerance, 8 roundings of |J|^T |y_bar|. residuals: bytes saved for the backward "
            "pass, by hand and by jax.vjp."
        )


def _status(reports: Sequence[Report | Mark]) -> int:
    verdicts = {report.verdict for report in reports}
    if "fail" in verdicts:
        return WRONG
    return OK if all(report.ok for report in reports) else UNDECIDED


def _family_names() -> dict[str, list[str]]:
    return {family: [op.name for op in ops] for family, ops in families().items()}


def _is_file(target: str) -> bool:
    return ".py" in target or "/" in target or Path(target).is_dir()


def _read_static(texts: Sequence[str]) -> dict[str, Any]:
    static: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionError(f"--static is {text!r}, expected NAME=VALUE, as in stride=2")
        static.setdefault(name, []).append(_literal(value))
    return dict(static)


def _read_domain(text: str) -> tuple[str, Any]:
    name, _, where = text.partition("=")
    low, colon, high = where.partition(":")
    try:
        return name, (float(low or "-inf"), float(high or "inf")) if colon else where
    except ValueError:
        raise OptionError(
            f"--domain is {text!r}, expected NAME=positive or two bounds, as in p=0:1"
        ) from None


def _literal(text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)
    return tuple(value) if isinstance(value, list) else value  # type: ignore[reportUnknownArgumentType]  # JSON is untyped


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)
