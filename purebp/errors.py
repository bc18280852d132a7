"""The exceptions of purebp. A message names the op, the argument, what was expected, what came."""

import inspect
from pathlib import Path
from typing import Any


class PurebpError(Exception):
    """The base of every error that purebp raises itself.

    Example:
        >>> from purebp.gates import dot
        >>> try:
        ...     dot(jnp.ones(2), jnp.ones(3))
        ... except PurebpError as error:
        ...     print(type(error).__name__)
        ShapeError
    """


class ArgumentError(PurebpError, TypeError):
    """Too few, too many or unknown arguments.

    Example:
        >>> from purebp.gates import mul
        >>> mul(2.0)
        Traceback (most recent call last):
        purebp.errors.ArgumentError: mul: missing a required argument: 'y'; the arguments are x, y
    """


class ShapeError(PurebpError, ValueError):
    """An array has the wrong rank or an axis of the wrong size.

    Example:
        >>> from purebp.gates import dot
        >>> dot(jnp.ones(2), jnp.ones(3))
        Traceback (most recent call last):
        purebp.errors.ShapeError: dot: y has shape (3,), expected (2,) from axis -1 of x
    """


class DtypeError(PurebpError, TypeError):
    """An array has the wrong dtype, or something is not an array at all.

    Example:
        >>> from purebp.gates import sin
        >>> sin(jnp.array([1, 2]))
        Traceback (most recent call last):
        purebp.errors.DtypeError: sin: x has dtype int32, expected a floating or complex dty...
    """


class OptionError(PurebpError, TypeError):
    """An option is unknown, or its value is not allowed.

    Example:
        >>> from purebp.activations import softmax
        >>> softmax(jnp.ones(3), axes=0)
        Traceback (most recent call last):
        purebp.errors.OptionError: softmax has no option 'axes'; did you mean 'axis'? (its op...
    """


class ResidualsError(PurebpError, TypeError):
    """The residuals given to `bwd` were not made by the same op's `fwd`.

    Example:
        >>> from purebp.gates import cos, sin
        >>> y, res = sin.fwd(1.0)
        >>> cos.bwd(res, 1.0)
        Traceback (most recent call last):
        purebp.errors.ResidualsError: cos: res is from sin, expected the residuals of cos.fwd
    """


class CotangentError(PurebpError, TypeError):
    """A backward pass returned cotangents that do not fit the arguments.

    Example:
        >>> import purebp
        >>> mul = purebp.Op(lambda x, y: (x * y, (x, y)), lambda res, z_bar: (res[1] * z_bar,))
        >>> z, res = mul.fwd(jnp.float32(2.0), jnp.float32(3.0))
        >>> mul.bwd(res, 1.0)
        Traceback (most recent call last):
        purebp.errors.CotangentError: <lambda>: bwd returned 1 cotangents, expected 2, one for...
    """


class NoRuleError(PurebpError, NotImplementedError):
    """A program cannot be differentiated backward: a part of it has no rule.

    `line`: where the user's code calls that part; empty until somebody knows.

    Example:
        >>> import purebp
        >>> purebp.grad(lambda x: jax.pure_callback(lambda x: x, x, x))(1.0)
        Traceback (most recent call last):
        purebp.errors.NoRuleError: the primitive 'pure_callback' is not differentiated: nobod...
    """

    def __init__(self, message: str, line: str = "") -> None:
        super().__init__(message)
        self.line = line

    def __str__(self) -> str:
        return f"{self.args[0]} (at {self.line})" if self.line else str(self.args[0])


class UnknownOpError(PurebpError, KeyError):
    """There is no op of that name.

    Example:
        >>> from purebp.catalog import find
        >>> find("softmx")
        Traceback (most recent call last):
        purebp.errors.UnknownOpError: unknown op 'softmx'; did you mean 'softmax'?
    """

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TargetError(PurebpError, RuntimeError):
    """Something handed in for verification cannot be used: it does not import, run or fit.

    Example:
        >>> import purebp
        >>> purebp.verify(3)
        Traceback (most recent call last):
        purebp.errors.TargetError: cannot verify a int: expected a purebp Op, a (fwd, bwd) pa...
    """


class DivergenceError(PurebpError, ArithmeticError):
    """Training met a loss or a gradient that is not finite.

    Example:
        >>> issubclass(DivergenceError, ArithmeticError)
        True
    """


class ConvergenceError(PurebpError, ArithmeticError):
    """An iteration stopped before it converged.

    Example:
        >>> issubclass(ConvergenceError, ArithmeticError)
        True
    """


class MissingPackageError(PurebpError, ImportError):
    """An optional package is needed and not installed.

    Example:
        >>> issubclass(MissingPackageError, ImportError)
        True
    """


class VerificationError(PurebpError, AssertionError):
    """A gradient was found to be wrong.

    Example:
        >>> import purebp
        >>> half = jax.custom_vjp(lambda x: x * x)
        >>> half.defvjp(lambda x: (x * x, x), lambda x, y_bar: (x * y_bar,))
        >>> purebp.verify(half, 3.0, budget="quick").raise_if_failed()
        Traceback (most recent call last):
        purebp.errors.VerificationError: <lambda>: x_bar is 2 times too small: the...
    """


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
