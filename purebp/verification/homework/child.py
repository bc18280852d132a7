"""What runs in a process of its own: one import of somebody's file, and one task.

    python -m purebp.verification.homework.child FOLDER

FOLDER holds `task.pickle`; `result.pickle` is written beside it, and `trace.txt`: where the
program was when it crashed or was running out of time.
"""

import faulthandler
import pickle
import signal
import sys
import time
from pathlib import Path

from purebp.errors import PurebpError
from purebp.load import import_file, package_of
from purebp.verification.homework.find import find_all, find_named
from purebp.verification.homework.grade import grade
from purebp.verification.homework.task import RESULT, TASK, TRACE, Result, Task

BEFORE_THE_END = 0.9
"""Of the time that is left: then the trace is written, for whoever is still running."""
GRACE = 10


def main(folder: Path) -> None:
    """Do the task in a folder."""
    task = pickle.loads((folder / TASK).read_bytes())
    with (folder / TRACE).open("w") as trace:
        faulthandler.enable(trace)
        left = max(task.deadline - time.time(), 0.1)
        faulthandler.dump_traceback_later(BEFORE_THE_END * left, file=trace)
        if hasattr(signal, "alarm"):
            signal.alarm(int(left) + GRACE)  # should the parent be gone
        result = do(task)
        faulthandler.cancel_dump_traceback_later()
        faulthandler.disable()
    partial = folder / "partial.pickle"
    partial.write_bytes(pickle.dumps(result))
    partial.rename(folder / RESULT)


def do(task: Task) -> Result:
    """The result of a task, whatever somebody's file raises."""
    path = Path(task.path)
    try:
        module = import_file(path)
        sys.path.insert(0, str(package_of(path.resolve())[0]))  # for what is imported later
        if task.found is not None:
            return Result(grade(module, task.found, task.settings))
        if task.names:
            found = find_named(module, path, task.names)
            return Result(grade(module, found, task.settings))
        return Result(find_all(module, path))
    except PurebpError as error:
        return Result(error=str(error))
    except BaseException as error:  # noqa: BLE001 - a layer may even leave by SystemExit
        return Result(error=f"it raised {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
