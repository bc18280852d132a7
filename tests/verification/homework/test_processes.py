"""Layers that hang, crash, eat the memory or leave: each ends its own process alone."""

import os

import pytest

from purebp.verification.homework.find import Found
from purebp.verification.homework.processes import Limits, memory_of, run_tasks
from purebp.verification.homework.task import Task

FILES = {
    "fine": "def relu_forward(x):\n    return x, x\n\nprint('chatter')\n",
    "hangs": "import time\n\ndef wait():\n    time.sleep(1000)\n\nwait()\n",
    "aborts": "import os\n\ndef end():\n    os.abort()\n\nend()\n",
    "exits": "import os\n\nos._exit(0)\n",
    "leaves": "raise SystemExit('bye')\n",
    "eats": "kept = []\nwhile True:\n    kept.append(bytearray(b'x') * 10_000_000)\n",
}
LIMITS = Limits(seconds=12, gigabytes=1.5, processes=2)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What becomes of each file, and the order in which they were done."""
    folder = tmp_path_factory.mktemp("files")
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    done = list[int]()
    tasks = [Task(str(folder / f"{name}.py")) for name in FILES]
    results = run_tasks(tasks, LIMITS, done.append)
    return dict(zip(FILES, results, strict=True)), done


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("hangs", "stopped after 12 s, in wait, line 4"),
        ("aborts", "the interpreter crashed: signal 6, SIGABRT, in end, line 4"),
        ("exits", "the interpreter ended with status 0 before there was a verdict"),
        ("leaves", "does not import: SystemExit: bye"),
        ("eats", "stopped: it took more than 1.5 GB of memory"),
    ],
)
def test_what_goes_wrong_is_said(outcomes, name, error):
    assert error in outcomes[0][name].error


def test_the_others_go_on(outcomes):
    results, done = outcomes
    assert sorted(done) == list(range(len(FILES)))
    assert results["fine"].value == [Found("half", "relu", ("relu_forward",), 1)]


def test_the_memory_of_a_process_is_known():
    memory = memory_of(os.getpid())
    assert memory is None or 10**6 < memory < 10**12
    assert memory_of(2**22 + 7) is None
