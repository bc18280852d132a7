"""Values of the command line, checked: one clear line for the first wrong one."""

import math
from pathlib import Path

from rich.console import Console

from purebp.errors import OptionError


def integer(option: str, text: str, least: int, *, extra: str = "") -> int:
    """An integer from `least` on; `extra` says what else the option may be."""
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least or value >= 2**31:
        raise OptionError(f"{option} is {text!r}, expected an integer from {least} on{extra}")
    return value


def positive(option: str, text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not (math.isfinite(value) and value > 0):
        raise OptionError(f"{option} is {text!r}, expected a positive number")
    return value


def not_negative(option: str, text: str) -> float:
    """A finite number from 0 on."""
    value = _number(text)
    if not (math.isfinite(value) and value >= 0):
        raise OptionError(f"{option} is {text!r}, expected a number from 0 on")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def check_file(option: str, file: Path | None) -> None:
    """Raise for a file that cannot be written."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        problem = "is a directory" if file.is_dir() else "is in a directory that does not exist"
        raise OptionError(f"{option}: {str(file)!r} {problem}")


def complain(message: str) -> None:
    """One line on the standard error."""
    text = f"purebp train: {message.removeprefix('train: ')}"
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)
