"""The table of marks, and below it what there is to say of the layers that are wrong."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from purebp.verification.homework.mark import Mark
from purebp.verification.report import describe

GREEN, RED, YELLOW, DIM = "green", "bold red", "yellow", "dim"
STYLES = {"pass": GREEN, "convention": GREEN, "vacuous": DIM, "fail": RED}
FORWARDS = {"right": "[green]right[/green]", "wrong": "[bold red]wrong[/bold red]"}


def print_marks(console: Console, marks: Sequence[Mark]) -> None:
    """The tables, one for each file; the details; how many are right."""
    for file in dict.fromkeys(mark.file for mark in marks):
        console.print(marks_table(file, [mark for mark in marks if mark.file == file]))
    for mark in marks:
        if not mark.ok:
            console.print(details(mark), soft_wrap=True, highlight=False)
    good = sum(mark.ok for mark in marks)
    console.print(f"{good} of {len(marks)} layers are right.")
    wrong = next((mark for mark in marks if mark.report is not None and not mark.report.ok), None)
    if wrong is not None:
        named = f"purebp verify {Path(wrong.file).name}:{','.join(wrong.functions)}"
        console.print(f"All that was found, and a script to see it again: {named}", soft_wrap=True)


def marks_table(file: str, marks: Sequence[Mark]) -> Table:
    """One line for each layer."""
    name = Path(file).name
    table = Table(title=name, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="fold")
    table.add_column("held against", overflow="fold")
    table.add_column("forward", no_wrap=True)
    table.add_column("gradients", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for mark in marks:
        style = STYLES.get(mark.verdict, YELLOW)
        table.add_row(
            escape(mark.name),
            escape(mark.matched or "-"),
            FORWARDS.get(mark.forward.verdict, "-"),
            _gradients(mark),
            f"[{style}]{mark.verdict}[/{style}]",
        )
    return table


def _gradients(mark: Mark) -> str:
    """The right ones together, then each other one with what is wrong."""
    right = [escape(name) for name, words in mark.gradients.items() if words == "right"]
    parts = [f"{' '.join(right)} [green]right[/green]"] if right else []
    for name, words in mark.gradients.items():
        if words == "?":
            parts.append(f"{escape(name)} ?")
        elif words != "right":
            parts.append(f"{escape(name)} [bold red]{escape(words)}[/bold red]")
    return ", ".join(parts) or "-"


def details(mark: Mark) -> str:
    """What is wrong with a layer, and on which numbers."""
    place = f" ({Path(mark.file).name}:{mark.line})" if mark.line else ""
    lines = [f"[bold]{escape(mark.name)}[/bold]{place}: {escape(mark.summary)}"]
    lines += [f"  {escape(note)}" for note in mark.notes]
    failures = () if mark.report is None else mark.report.failures
    of_backward = [failure for failure in failures if failure.check != "forward"]
    for failure in (of_backward or list(failures))[:1]:
        lines += [f"  {escape(line)}" for line in describe(failure).splitlines()]
    return "\n".join(lines) + "\n"
