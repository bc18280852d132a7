"""Marks for the files and folders that a user names."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from purebp.errors import TargetError
from purebp.verification.homework.mark import Mark
from purebp.verification.homework.plan import Settings
from purebp.verification.homework.processes import Limits, run_tasks
from purebp.verification.homework.task import Result, Task
from purebp.verification.progress import verifying

TIME_LIMITS = {"quick": 180, "normal": 900, "thorough": 3600}
"""Seconds for one layer, by budget."""


def mark_files(texts: Sequence[str], settings: Settings, limits: Limits) -> list[Mark]:
    """The marks of everything in files, in folders, or named as `file.py:layer`."""
    tasks = [task for text in texts for task in _tasks(text, settings, limits)]
    if not tasks:
        return []
    with verifying(len(tasks)) as tell:
        results = run_tasks(tasks, limits, lambda place: tell(_name(tasks[place])))
    return [_mark(*pair) for pair in zip(tasks, results, strict=True)]


def _name(task: Task) -> str:
    return ",".join(task.names) if task.found is None else task.found.name


def _mark(task: Task, result: Result) -> Mark:
    if isinstance(result.value, Mark):
        return replace(result.value, file=task.path)
    line = 0 if task.found is None else task.found.line
    functions = task.names if task.found is None else task.found.functions
    return Mark(_name(task), task.path, line, functions, problem=result.error)


def _tasks(text: str, settings: Settings, limits: Limits) -> list[Task]:
    """A task for everything that is there to verify, or for what is named."""
    name, _, names = text.partition(":")
    path = Path(name)
    if not path.exists():
        raise TargetError(f"{path}: there is no such file")
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    if not files:
        raise TargetError(f"{path}: there is no Python file in this folder")
    if names:
        wanted = tuple(part.strip() for part in names.split(","))
        return [Task(name, wanted, settings=settings)]
    listed = run_tasks([Task(str(file)) for file in files], limits)
    rows = list[Task]()
    for file, result in zip(files, listed, strict=True):
        if result.error:
            told = file.name in result.error
            raise TargetError(result.error if told else f"{file}: {result.error}")
        rows += [Task(str(file), (), found, settings) for found in result.value]
    if not rows:
        raise TargetError(
            f"{path}: found nothing to verify; expected pairs named as x_forward and x_backward or "
            "x_fwd and x_bwd, classes with forward and backward, losses that return (loss, dx), "
            "jax.custom_vjp functions or purebp Ops"
        )
    return rows
