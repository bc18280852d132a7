"""A failure of a layer in somebody's file, shown again by a script as it stands."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from purebp.errors import TargetError
from purebp.load import import_file
from purebp.verification.homework.find import find_named
from purebp.verification.homework.plan import Plan, Settings, make_plan

UNNAMED = re.compile(r"^# \w+ has to be defined here: .*\n", re.MULTILINE)
"""What a script says where it cannot import a function: here they are made from others."""


def pair_in_file(path: str, *names: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The functions of a file as the verifier calls them: `forward(*arrays, **options)`."""
    module = import_file(Path(path))
    target = make_plan(module, find_named(module, Path(path), names), Settings()).target
    if not isinstance(target, tuple):
        raise TargetError(f"{path}: {', '.join(names)} is no pair")
    return target  # type: ignore[reportUnknownVariableType]  # of two functions, as all pairs are


def runnable(script: str, plan: Plan, file: str, names: tuple[str, ...]) -> str:
    """A script with the functions of a pair taken from their file."""
    if not isinstance(plan.target, tuple) or not UNNAMED.search(script):
        return script
    forward, backward = (function.__name__ for function in plan.target)  # type: ignore[reportUnknownVariableType]  # as above
    given = ", ".join(repr(text) for text in (str(Path(file).absolute()), *names))
    lines = (
        "from purebp.verification.homework.again import pair_in_file\n\n"
        f"{forward}, {backward} = pair_in_file({given})\n"
    )
    first = UNNAMED.search(script)
    assert first is not None
    return UNNAMED.sub("", script[: first.start()]) + lines + UNNAMED.sub("", script[first.end() :])
