"""The exceptions of purebp. A message names the op, the argument, what was expected, what came."""

import inspect
from pathlib import Path
from typing import Any


class PurebpError(Exception):
    """The base of every error that purebp raises itself."""


class ArgumentError(PurebpError, TypeError):
    """Too few, too many or unknown arguments."""


class ShapeError(PurebpError, ValueError):
    """An array has the wrong rank or an axis of the wrong size."""


class DtypeError(PurebpError, TypeError):
    """An array has the wrong dtype, or something is not an array at all."""


class OptionError(PurebpError, TypeError):
    """An option is unknown, or its value is not allowed."""


class ResidualsError(PurebpError, TypeError):
    """The residuals given to `bwd` were not made by the same op's `fwd`."""


class CotangentError(PurebpError, TypeError):
    """A backward pass returned cotangents that do not fit the arguments."""


class NoRuleError(PurebpError, NotImplementedError):
    """A program cannot be differentiated backward: a part of it has no rule.

    `line`: where the user's code calls that part; empty until somebody knows.
    """

    def __init__(self, message: str, line: str = "") -> None:
        super().__init__(message)
        self.line = line

    def __str__(self) -> str:
        return f"{self.args[0]} (at {self.line})" if self.line else str(self.args[0])


class UnknownOpError(PurebpError, KeyError):
    """There is no op of that name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TargetError(PurebpError, RuntimeError):
    """Something handed in for verification cannot be used: it does not import, run or fit."""


class DivergenceError(PurebpError, ArithmeticError):
    """Training met a loss or a gradient that is not finite."""


class ConvergenceError(PurebpError, ArithmeticError):
    """An iteration stopped before it converged."""


class MissingPackageError(PurebpError, ImportError):
    """An optional package is needed and not installed."""


class VerificationError(PurebpError, AssertionError):
    """A gradient was found to be wrong."""


def in_words(value: Any) -> str:
    """What kind of thing came, for messages: `an array of shape (2,)`, `a tuple of 3`, `a str`."""
    if value is None:
        return "None"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"an array of shape {tuple(value.shape)}"
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    return f"{article} {name}" + (f" of {len(value)}" if isinstance(value, tuple | list) else "")


def named(function: Any) -> str:
    """A function by its name and where it is written: `loss (train.py:12)`."""
    plain = inspect.unwrap(getattr(function, "func", function))
    name = getattr(plain, "__name__", type(plain).__name__)
    code = getattr(plain, "__code__", None)
    return name if code is None else f"{name} ({file_name(code.co_filename)}:{code.co_firstlineno})"


def file_name(path: str) -> str:
    """The name of a file of code, without its folder; `cell` for a cell of a notebook."""
    found = Path(path)
    return "cell" if found.parent.name.startswith("ipykernel_") else found.name


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
