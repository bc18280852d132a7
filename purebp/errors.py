"""The exceptions of purebp. A message names the op, the argument, what was expected, what came."""


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


class UnknownOpError(PurebpError, KeyError):
    """There is no op of that name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TargetError(PurebpError, RuntimeError):
    """Something handed in for verification cannot be used: it does not import, run or fit."""


class DivergenceError(PurebpError, ArithmeticError):
    """Training met a loss or a gradient that is not finite."""


class MissingPackageError(PurebpError, ImportError):
    """An optional package is needed and not installed."""


class VerificationError(PurebpError, AssertionError):
    """A gradient was found to be wrong."""
