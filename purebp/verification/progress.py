"""The bars that show how far a long verification is, on stderr."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def verifying(total: int) -> Generator[Callable[[str], None]]:
    """A bar for so many targets; what it hands out is told the name of each that is done."""
    columns = (
        TextColumn("verifying {task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)

        def tell(name: str) -> None:
            progress.update(task, advance=1, description=name)

        yield tell


def nobody(done: int, total: int, what: str) -> None:
    """Tell nobody."""


@contextmanager
def watching(name: str, *, shown: bool) -> Generator[Callable[[int, int, str], None]]:
    """A bar for one target, on a terminal; what it hands out is told how much of what is done."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield nobody
        return
    columns = (
        TextColumn(f"verifying {name}: {{task.description}}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total or None, description=what)

        yield tell
