"""Tasks in processes of their own, with a limit for the time and the memory of each.

A layer that hangs, crashes the interpreter or eats the memory ends its own process alone.
"""

import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from purebp.verification.homework.task import RESULT, TASK, TRACE, Result, Task

GIGABYTE = 2**30
PAUSE = 0.05
CHILD = "purebp.verification.homework.child"


class Limits(NamedTuple):
    """How long a task may take, how much memory it may have, and how many run at once."""

    seconds: float
    gigabytes: float
    processes: int = 1


class _Running(NamedTuple):
    place: int
    task: Task
    folder: tempfile.TemporaryDirectory[str]
    process: "subprocess.Popen[bytes]"
    deadline: float


def run_tasks(
    tasks: Sequence[Task], limits: Limits, tell: Callable[[int], None] | None = None
) -> list[Result]:
    """The results of all tasks, in their order; `tell` hears the place of each that is done."""
    results: dict[int, Result] = {}
    for place, result in _results(tasks, limits):
        results[place] = result
        if tell is not None:
            tell(place)
    return [results[place] for place in range(len(tasks))]


def _results(tasks: Sequence[Task], limits: Limits) -> Iterator[tuple[int, Result]]:
    waiting = list(enumerate(tasks))[::-1]
    running = list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < limits.processes:
                running.append(_start(*waiting.pop(), limits))
            time.sleep(PAUSE)
            for one in list(running):
                result = _result_of(one, limits)
                if result is not None:
                    running.remove(one)
                    one.folder.cleanup()
                    yield one.place, result
    finally:
        for one in running:
            _stop(one.process)
            one.folder.cleanup()


def _start(place: int, task: Task, limits: Limits) -> _Running:
    task = task._replace(
        deadline=time.time() + limits.seconds, path=str(Path(task.path).absolute())
    )
    folder = tempfile.TemporaryDirectory(prefix="purebp-", ignore_cleanup_errors=True)
    (Path(folder.name) / TASK).write_bytes(pickle.dumps(task))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", CHILD, folder.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    )
    return _Running(place, task, folder, process, time.monotonic() + limits.seconds)


def _environment() -> dict[str, str]:
    """Ours, with this purebp on the path, and a GPU's memory taken as it is needed."""
    root = str(Path(__file__).parents[3])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    calm = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return {**calm, **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _result_of(one: _Running, limits: Limits) -> Result | None:
    """What came of a process; None while it runs within its limits."""
    folder = Path(one.folder.name)
    if one.process.poll() is not None:
        return _read(folder) or Result(error=_ending(one))
    used = memory_of(one.process.pid)
    if used is not None and used > limits.gigabytes * GIGABYTE:
        _stop(one.process)
        return Result(error=f"stopped: it took more than {limits.gigabytes:g} GB of memory")
    if time.monotonic() > one.deadline:
        _stop(one.process)
        where = _where(folder / TRACE, one.task.path)
        return _read(folder) or Result(error=f"stopped after {limits.seconds:g} s{where}")
    return None


def _read(folder: Path) -> Result | None:
    file = folder / RESULT
    return pickle.loads(file.read_bytes()) if file.is_file() else None


def _ending(one: _Running) -> str:
    """How a process ended that left no result."""
    status = one.process.returncode
    where = _where(Path(one.folder.name) / TRACE, one.task.path)
    if status >= 0:
        return f"the interpreter ended with status {status} before there was a verdict"
    with contextlib.suppress(ValueError):
        name = signal.Signals(-status).name
        return f"the interpreter crashed: signal {-status}, {name}{where}"
    return f"the interpreter crashed: signal {-status}{where}"


def _where(trace: Path, path: str) -> str:
    """The function and the line of somebody's file in which a process was last seen."""
    text = trace.read_text(errors="replace") if trace.is_file() else ""
    found = re.search(rf'File "{re.escape(path)}", line (\d+) in (\S+)', text)
    return f", in {found.group(2)}, line {found.group(1)}" if found else ""


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def memory_of(pid: int) -> int | None:
    """The bytes of memory that a process holds; None where the system does not say.

    Not a limit on its addresses: JAX reserves far more of these than it uses.
    """
    file = Path(f"/proc/{pid}/statm")
    try:
        if file.exists():
            return int(file.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        done = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return int(done.stdout) * 1024
    except (OSError, ValueError, IndexError):
        return None
