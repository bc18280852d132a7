"""The nodes of a recorded run."""

from dataclasses import dataclass, field
from typing import Any, Literal

import jax.numpy as jnp

from purebp import autodiff
from purebp.autodiff.flow import is_inexact
from purebp.compat import run_equation
from purebp.errors import ArgumentError
from purebp.graph.roles import Role, role_of

Kind = Literal["input", "constant", "gate", "output"]
JACOBIAN_LIMIT = 2**20
"""A local Jacobian of more entries is not built."""


@dataclass(frozen=True, eq=False)
class Box:
    """A call, a function, a step of a loop: what can be drawn closed, as one gate."""

    name: str
    line: str
    number: int


@dataclass(eq=False)
class Operand:
    """What goes into a node: its value, where it comes from, and its part of the gradient.

    `sources`: nodes and which of their outputs; several for what a loop has stacked, none for a
    number that is written in the code. `bar` is the cotangent that goes back along this edge.
    """

    value: Any
    sources: tuple[tuple["Node", int], ...]
    bar: Any = None


@dataclass(eq=False)
class Node:
    """One gate of a recorded run, or an argument, a constant, an output.

    Attributes:
        name: unique in its graph: `x`, `params.w`, `mul_2`.
        operation: the primitive, or the name of a function that has a rule of its own.
        operands: what goes in, in order.
        values: what comes out.
        bars: the cotangents of what comes out, after a backward pass; `None` where there is none.
        line: where the user's code has it: file, line, column, function.
        boxes: the calls and functions that it is in, the outermost first.
        varies: whether it depends on an argument.

    Example:
        >>> import purebp
        >>> g = purebp.trace(lambda x: jnp.sin(x) * 2.0, 0.0).backward()
        >>> [(node.name, node.kind) for node in g.nodes]
        [('sin', 'gate'), ('mul', 'gate')]
    """

    name: str
    kind: Kind
    operation: str
    values: tuple[Any, ...]
    operands: tuple[Operand, ...] = ()
    line: str = ""
    boxes: tuple[Box, ...] = ()
    varies: bool = True
    equation: Any = None
    bars: tuple[Any, ...] | None = None
    uses: int = field(default=0)

    @property
    def value(self) -> Any:
        """What comes out: an array, or a tuple of them."""
        return self.values[0] if len(self.values) == 1 else self.values

    @property
    def cotangent(self) -> Any:
        """The gradient of the output of the graph in `value`; `None` where there is none."""
        if self.bars is None:
            raise ArgumentError(
                f"{self.name}: no gradients yet; call backward() on the graph first"
            )
        return self.bars[0] if len(self.bars) == 1 else self.bars

    @property
    def role(self) -> Role:
        """How it is drawn, what it does with a gradient, its local gradient in words."""
        return role_of(self.operation)

    @property
    def local(self) -> tuple[Any, ...]:
        """The local gradient in each operand: d(value)/d(operand).

        The diagonal where the gate works entry by entry (value and operand have one shape and
        no entry depends on another); else the Jacobian, of shape value.shape + operand.shape.
        `None` for integers and for numbers written in the code.

        Raises:
            ArgumentError: if a Jacobian has more than 2**20 entries, or the node is no gate.
        """
        if self.kind != "gate" or len(self.values) != 1:
            raise ArgumentError(f"{self.name}: a local gradient is that of a gate with one output")
        return tuple(self._local(place) for place in range(len(self.operands)))

    def _local(self, place: int) -> Any:
        operand, (y,) = self.operands[place], self.values
        if not operand.sources or not is_inexact(operand.value):
            return None
        given = [each.value for each in self.operands]

        def of_one(x: Any) -> Any:
            return run_equation(self.equation, [*given[:place], x, *given[place + 1 :]])[0]

        if operand.value.shape == y.shape and self.equation.primitive.name in ENTRYWISE:
            return autodiff.vjp(of_one, operand.value)[1](jnp.ones(y.shape, y.dtype))[0]
        if y.size * operand.value.size > JACOBIAN_LIMIT:
            raise ArgumentError(
                f"{self.name}: its Jacobian has {y.size} x {operand.value.size} entries; it is "
                "never built, and need not be: the cotangent has its product with what came in"
            )
        return autodiff.jacobian(of_one)(operand.value)


ENTRYWISE = frozenset(
    {
        *("abs", "acos", "acosh", "add", "add_any", "asin", "asinh", "atan", "atan2", "atanh"),
        *("bessel_i0e", "bessel_i1e", "cbrt", "clamp", "conj", "copy", "convert_element_type"),
        *("cos", "cosh", "digamma", "div", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1"),
        *("igamma", "igammac", "imag", "integer_pow", "lgamma", "log", "log1p", "logistic"),
        *("max", "min", "mul", "neg", "pow", "real", "rem", "rsqrt", "select_n", "sign", "sin"),
        *("sinh", "sqrt", "square", "sub", "tan", "tanh"),
    }
)
"""Gates that work entry by entry."""
