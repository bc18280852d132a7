"""Where the first nan or infinity is born: in the values, and in the cotangents."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from purebp.autodiff.api import CustomRules, Rules, grad
from purebp.autodiff.flow import is_inexact
from purebp.autodiff.straight import Bars, Line, Node, bars_of, line_of, one_number

Function = Callable[..., Any]
SHOWN = 3

LOG = "the logarithm of 0 or less: keep its argument away from 0, or use log1p, logsumexp, xlogy"
ROOT = "the slope of a root has no end at 0: add a small number under the root"
GUARD = "guard the operand before, and not the result: f(where(ok, x, 1)) inside of where(ok, ., 0)"
EXP = "it overflows: subtract the largest first, as logsumexp and softmax do"
EDGE = "its slope has no end at -1 and 1: clip the operand inside of them"
MATRIX = "the matrix is not positive definite: add a small multiple of the identity"
EIGEN = "eigenvalues or singular values that are equal have no vectors of their own"

CURES = {
    "div": f"a division by 0: {GUARD}",
    "log": LOG,
    "log1p": LOG,
    "sqrt": ROOT,
    "rsqrt": ROOT,
    "cbrt": ROOT,
    "pow": f"the slope of a power at base 0: {GUARD}",
    "integer_pow": f"a negative power of 0: {GUARD}",
    "exp": EXP,
    "exp2": EXP,
    "expm1": EXP,
    "sinh": EXP,
    "cosh": EXP,
    "asin": EDGE,
    "acos": EDGE,
    "atanh": EDGE,
    "erf_inv": EDGE,
    "acosh": "its slope has no end at 1: keep the operand above it",
    "atan2": "the angle of the point (0, 0) has no slope",
    "mul": f"0 times infinity: {GUARD}",
    "sub": "infinity minus infinity: look for what overflows",
    "dot_general": "0 times infinity in a sum: look for what overflows",
    "cholesky": MATRIX,
    "eigh": EIGEN,
    "eig": EIGEN,
    "svd": EIGEN,
    "triangular_solve": "the matrix is singular: a number on its diagonal is 0",
    "lu": "the matrix is singular",
}
"""What usually helps, by the primitive in which it is born."""


class Birth(NamedTuple):
    """The node that makes the first nan or infinity out of numbers.

    `before`: its operands, and for a cotangent also what came in; `after`: what it gave.
    """

    what: str
    primitive: str
    line: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    cure: str

    def __str__(self) -> str:
        lines = [f"the first {self.what} that is not finite: {self.primitive} at {self.line}"]
        lines += [f"  from   {text}" for text in self.before]
        lines += [f"  gives  {text}" for text in self.after]
        return "\n".join([*lines, f"  usual  {self.cure}"] if self.cure else lines)


class NonFinite(NamedTuple):
    """The first value and the first cotangent that are not finite; `None` where all are.

    `arguments`: which of the arrays handed in are not finite themselves, by their place.

    Example:
        >>> found = find_nonfinite(lambda x: jnp.sum(jnp.log(x)), jnp.array([1.0, 0.0]))
        >>> found.value.primitive
        'log'
    """

    value: Birth | None
    cotangent: Birth | None
    arguments: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.value is not None or self.cotangent is not None or bool(self.arguments)

    def __str__(self) -> str:
        given = [f"argument array {place} is not finite itself" for place in self.arguments]
        births = [str(birth) for birth in (self.value, self.cotangent) if birth is not None]
        return "\n".join([*given, *births]) or "all values and all cotangents are finite"


def find_nonfinite(
    function: Function,
    *args: Any,
    rules: Rules | None = None,
    custom_rules: CustomRules = "honour",
) -> NonFinite:
    """The first value and the first cotangent of a loss that are nan or infinite, and why.

    The function is run node by node, its loops step by step; then its gradient is taken at each
    node. The result is true if something was found, and prints as a short report.

    Args:
        function: of arrays in any trees, to one real number.
        args: where it is looked at; numbers, not traced values.
        rules: as for `purebp.vjp`.
        custom_rules: as for `purebp.vjp`.

    Raises:
        ArgumentError: if the function does not return one real number, or is called under jit.
        NoRuleError: if a primitive has no rule.

    >>> import jax.numpy as jnp
    >>> found = find_nonfinite(lambda x: jnp.sum(jnp.sqrt(x * 0)), jnp.ones(2))
    >>> found.value is None, found.cotangent.primitive
    (True, 'sqrt')
    """
    line = line_of(function, *args)
    one_number(function, line)
    arguments = tuple(place for place, leaf in enumerate(line.leaves) if not _finite([leaf]))
    bars = bars_of(line, lambda f: grad(f, rules=rules, custom_rules=custom_rules))
    return NonFinite(first_value(line), first_cotangent(line, bars), arguments)


def birth_of_value(function: Function, *args: Any) -> Birth | None:
    """The first value of a function that is nan or infinite; its gradient is not taken."""
    return first_value(line_of(function, *args))


def first_value(line: Line) -> Birth | None:
    """The first value of a run that is nan or infinite."""
    return next((_of_value(node) for node in line.nodes if _is_born(node.args, node.outs)), None)


def first_cotangent(line: Line, bars: Sequence[Bars]) -> Birth | None:
    """The first cotangent, from the output on, that is nan or infinite."""
    pairs = zip(reversed(line.nodes), reversed(bars), strict=True)
    return next(
        (
            _of_cotangent(node, bar.arriving, bar.leaving)
            for node, bar in pairs
            if _is_born(bar.arriving, bar.leaving)
        ),
        None,
    )


def _of_value(node: Node) -> Birth:
    name = node.equation.primitive.name
    before, after = _all_in_words(node.args, ""), _all_in_words(node.outs, "")
    return Birth("value", node.name, node.line, before, after, CURES.get(name, ""))


def _of_cotangent(node: Node, arriving: Sequence[Any], leaving: Sequence[Any]) -> Birth:
    name = node.equation.primitive.name
    before = (*_all_in_words(node.args, ""), *_all_in_words(arriving, "cotangent "))
    after = _all_in_words(leaving, "cotangent ")
    return Birth("cotangent", node.name, node.line, before, after, CURES.get(name, ""))


def _is_born(before: Sequence[Any], after: Sequence[Any]) -> bool:
    return _finite(before) and not _finite(after)


def _finite(values: Sequence[Any]) -> bool:
    return all(bool(jnp.isfinite(x).all()) for x in values if x is not None and is_inexact(x))


def _all_in_words(values: Sequence[Any], what: str) -> tuple[str, ...]:
    return tuple(what + _in_words(x) for x in values if x is not None and is_inexact(x))


def _in_words(x: Any) -> str:
    """The dtype and shape, and some of the numbers: those that are not finite, 0 or largest."""
    kind = f"{x.dtype}{list(x.shape)}"
    if not x.size:
        return kind
    numbers = np.asarray(x, np.complex128 if jnp.iscomplexobj(x) else np.float64).ravel()
    bad = np.flatnonzero(~np.isfinite(numbers))
    if not bad.size:
        low, high = np.abs(numbers).min(), np.abs(numbers).max()
        return f"{kind}, sizes {low:.3g} to {high:.3g}"
    places = [tuple(map(int, np.unravel_index(k, x.shape))) for k in bad[:SHOWN]]
    entries = ", ".join(f"{list(p)}: {numbers[k]}" for p, k in zip(places, bad, strict=False))
    return f"{kind}, {bad.size} of {x.size} not finite, as {entries}"
