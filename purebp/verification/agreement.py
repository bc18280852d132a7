"""Two reverse modes over one function, node by node: where they part.

Both differentiate the function as a straight line of nodes, with a zero added to each operand and
each output; the gradients in these zeros are the cotangents. The table of gates knows nothing of
JAX's rules, and goes through the bodies of custom rules, but both see the same traced program.
"""

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from purebp.autodiff.api import CustomRules, Rules, grad
from purebp.autodiff.flow import is_inexact
from purebp.autodiff.straight import Bars, Line, Node, bars_of, line_of, one_number
from purebp.compat import enable_x64
from purebp.errors import OptionError

Function = Callable[..., Any]
Against = Literal["jax.grad", "float64"]
RTOL = 1e-3


class Parting(NamedTuple):
    """A node at which the same cotangents come in, and others go out.

    `expected`, `came`: at the entry of the operand that is furthest off.

    Example:
        >>> import purebp
        >>> wrong = jax.custom_vjp(lambda x: x * x)
        >>> wrong.defvjp(lambda x: (x * x, x), lambda x, y_bar: (x * y_bar,))
        >>> found = purebp.compare(lambda x: jnp.sum(wrong(x)), jnp.ones(3), custom_rules="open")
        >>> [(parting.expected, parting.came) for parting in found.partings]
        [(1.0, 2.0)]
    """

    name: str
    line: str
    operand: int
    entry: tuple[int, ...]
    expected: float
    came: float

    def __str__(self) -> str:
        place = f"operand {self.operand}" + (f", entry {list(self.entry)}" if self.entry else "")
        numbers = f"expected {self.expected:.9g}, came {self.came:.9g}"
        return f"{self.name} at {self.line}: {place}: {numbers}"


class Comparison(NamedTuple):
    """What came out: the nodes that part by their own fault, the last of the program first.

    `nodes`: how many were looked at; `skipped`: how many had no partner in the other program.

    Example:
        >>> import purebp
        >>> found = purebp.compare(lambda x: jnp.sum(jnp.tanh(x) ** 2), jnp.ones(3))
        >>> found.partings
        ()
    """

    against: str
    partings: tuple[Parting, ...]
    nodes: int
    skipped: int

    @property
    def agree(self) -> bool:
        """Whether no node parts from the other reverse mode."""
        return not self.partings

    def __str__(self) -> str:
        found = [f"{self.against} and purebp.grad agree at {self.nodes} nodes"]
        if self.partings:
            found = [f"{self.against} and purebp.grad part first at {self.partings[0]}"]
            found += [f"  and at {parting}" for parting in self.partings[1:]]
        if self.skipped:
            found.append(f"  {self.skipped} nodes were not compared: they have no partner")
        return "\n".join(found)


def compare(
    function: Function,
    *args: Any,
    against: Against = "jax.grad",
    rules: Rules | None = None,
    custom_rules: CustomRules = "open",
    rtol: float = RTOL,
) -> Comparison:
    """Where a gradient goes wrong: the node that gets the right cotangents and gives others.

    Args:
        function: of arrays in any trees, to one real number. Loops are gone through step by step.
        args: where it is looked at; numbers, not traced values.
        against: "jax.grad", which takes the rules of `jax.custom_vjp` and `jax.custom_jvp`
            functions as they are; or "float64", this reverse mode in float64: what is lost to
            rounding.
        rules: as for `purebp.vjp`.
        custom_rules: "open" sets the bodies of custom rules against the rules; "honour" takes the
            rules on both sides.
        rtol: how far two cotangents may be apart, as a part of the largest at a node.

    Raises:
        ArgumentError: if the function does not return one real number, or is called under jit.
        NoRuleError: if a primitive has no rule.

    >>> import jax
    >>> @jax.custom_jvp
    ... def double(x):
    ...     return 2 * x
    >>> _ = double.defjvp(lambda x, dx: (2 * x[0], 7 * dx[0]))
    >>> found = compare(lambda x: 3 * double(x), 1.0)
    >>> found.agree, found.partings[0].name, found.partings[0].expected, found.partings[0].came
    (False, 'double', 21.0, 6.0)
    """
    if against not in ("jax.grad", "float64"):
        raise OptionError(f"against is {against!r}, expected 'jax.grad' or 'float64'")
    line = line_of(function, *args)
    one_number(function, line)

    def by_gates(f: Function) -> Function:
        return grad(f, rules=rules, custom_rules=custom_rules)

    came = bars_of(line, by_gates)
    if against == "jax.grad":
        pairs = list(zip(line.nodes, bars_of(line, jax.grad), came, strict=True))
    else:
        pairs = _with_partners(line, came, *_in_float64(function, args, by_gates))
    partings = [_parting(*pair, rtol) for pair in reversed(pairs)]
    found = tuple(dict.fromkeys(parting for parting in partings if parting is not None))
    return Comparison(against, found, len(pairs), len(line.nodes) - len(pairs))


def _in_float64(
    function: Function, args: tuple[Any, ...], derive: Callable[[Function], Function]
) -> tuple[Line, list[Bars]]:
    with enable_x64(True):
        wide = line_of(function, *jax.tree.map(_widened, args))
        return wide, bars_of(wide, derive)


def _widened(leaf: Any) -> Any:
    if not is_inexact(jnp.asarray(leaf)):
        return leaf
    return np.asarray(leaf, np.complex128 if jnp.iscomplexobj(leaf) else np.float64)


def _with_partners(
    line: Line, came: list[Bars], wide: Line, expected: list[Bars]
) -> list[tuple[Node, Bars, Bars]]:
    """The nodes that both programs have; in float64 casts may be missing, or be there besides."""
    keys = [[(node.name, node.line) for node in each.nodes] for each in (line, wide)]
    blocks = SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    return [
        (line.nodes[a + k], expected[b + k], came[a + k]) for a, b, n in blocks for k in range(n)
    ]


def _parting(node: Node, expected: Bars, came: Bars, rtol: float) -> Parting | None:
    """How a node parts, if the same came in."""
    room = _room([*expected.arriving, *expected.leaving], rtol)
    into = zip(expected.arriving, came.arriving, strict=True)
    if any(_apart(right, mine, room) is not None for right, mine in into):
        return None
    for operand, (right, mine) in enumerate(zip(expected.leaving, came.leaving, strict=True)):
        entry = _apart(right, mine, room)
        if entry is not None:
            numbers = (float(np.real(np.asarray(bar)[entry])) for bar in (right, mine))
            return Parting(node.name, node.line, operand, entry, *numbers)
    return None


def _room(bars: list[Any], rtol: float) -> float:
    """How far apart is nothing: a part of the largest number, and some roundings of it."""
    known = [np.asarray(bar) for bar in bars if bar is not None]
    sizes = [np.abs(bar)[np.isfinite(bar)].max(initial=0.0) for bar in known]
    return rtol * float(max(sizes, default=0.0))


def _apart(expected: Any, came: Any, room: float) -> tuple[int, ...] | None:
    """The entry that is furthest off, if it is beyond the room."""
    if expected is None or came is None:
        return None
    a, b = np.asarray(expected), np.asarray(came)
    with np.errstate(all="ignore"):
        error = np.abs(b - a)
    error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, error)
    error = np.where(np.isnan(error), np.inf, error)
    if not error.size or error.max() <= room:
        return None
    return tuple(map(int, np.unravel_index(int(error.argmax()), error.shape)))
