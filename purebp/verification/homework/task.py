"""A task for a process of its own, and what comes back: both travel as files in a folder."""

from typing import Any, NamedTuple

from purebp.verification.homework.find import Found
from purebp.verification.homework.plan import Settings

TASK, RESULT, TRACE = "task.pickle", "result.pickle", "trace.txt"


class Task(NamedTuple):
    """Mark what was found in a file, or what is named; without either list what it has.

    `deadline`: when it will be stopped, by the clock.
    """

    path: str
    names: tuple[str, ...] = ()
    found: Found | None = None
    settings: Settings = Settings()
    deadline: float = 0.0


class Result(NamedTuple):
    """What came of a task; or why it could not be done."""

    value: Any = None
    error: str = ""
