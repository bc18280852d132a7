"""The router gates: the upstream gradient goes to the operand that was chosen."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Inexact

from purebp.gate import Gate
from purebp.op import MASK


def max_definition(x: Float[Array, "*#s"], y: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = max(x, y), the router: the larger operand receives the upstream gradient.

    Maths: z = max(x, y); x_bar = z_bar [x > y], y_bar = z_bar [y > x].
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x and y.
    Kinks: at a tie each operand receives half, as in JAX.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: CS231n, lecture 4, patterns in backward flow.

    Example:
        >>> z, res = max.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*max.bwd(res, z))
        [ 1.  -0.5  2. ] [ 0. -0.  0.]
    """
    return jnp.maximum(x, y)


def max_x_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(x > y, x == y, z_bar.dtype)


def max_y_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(y > x, x == y, z_bar.dtype)


max = Gate(max_definition, max_x_bar, max_y_bar, primitive="max", kinks="ties share equally")


def min_definition(x: Float[Array, "*#s"], y: Float[Array, "*#s"]) -> Float[Array, "*s"]:
    """z = min(x, y), a router: the smaller operand receives the upstream gradient.

    Maths: z = min(x, y); x_bar = z_bar [x < y], y_bar = z_bar [y < x].
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x and y.
    Kinks: at a tie each operand receives half, as in JAX.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: CS231n, lecture 4, patterns in backward flow.

    Example:
        >>> z, res = min.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*min.bwd(res, z))
        [ 0. -0.  0.] [ 0.5 -1.5  0.3]
    """
    return jnp.minimum(x, y)


def min_x_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(x < y, x == y, z_bar.dtype)


def min_y_bar(z_bar: Array, x: Array, y: Array) -> Array:
    return z_bar * _share(y < x, x == y, z_bar.dtype)


min = Gate(min_definition, min_x_bar, min_y_bar, primitive="min", kinks="ties share equally")


def _share(wins: Array, ties: Array, dtype: Any) -> Array:
    return jnp.where(ties, 0.5, wins).astype(dtype)


def abs_definition(x: Inexact[Array, "*s"]) -> Float[Array, "*s"]:
    """y = |x|, the modulus of a complex x.

    Maths: x_bar = y_bar sign(x); for complex x = r e^(it), x_bar = y_bar e^(-it), which is the
        conjugate of x / |x|: |x| grows by Re(e^(-it) dx).
    Shapes: y and x_bar are shaped like x; y is real.
    Residuals: x.
    Kinks: the slope at 0 is 0, as in JAX; for complex x too.
    Raises: DtypeError for integers.
    Source: the two straight pieces x and -x; JAX's autodiff cookbook for complex numbers. (x / |x|
        is not taken from lax.sign: that turns with x, and jax.grad gives it a slope of 0.)

    Example:
        >>> y, res = abs.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*abs.bwd(res, y))
        [ 1.  -0.5  2. ]
    """
    if jnp.iscomplexobj(x):
        return jnp.abs(x)
    return x * jnp.sign(x)


def abs_forward(x: Array) -> Array:
    return jnp.abs(x)


def abs_x_bar(y_bar: Array, x: Array) -> Array:
    if not jnp.iscomplexobj(x):
        return y_bar * jnp.sign(x)
    return y_bar * jnp.conj(jnp.where(x == 0, 0, x / jnp.where(x == 0, 1, jnp.abs(x))))


abs = Gate(abs_definition, abs_x_bar, forward=abs_forward, primitive="abs", kinks="slope 0 at 0")


def clamp_definition(
    low: Float[Array, "*#s"], x: Float[Array, "*#s"], high: Float[Array, "*#s"]
) -> Float[Array, "*s"]:
    """y = min(max(x, low), high), a router with three inputs; high counts where low > high.

    Maths: x_bar = y_bar [low < x < high]; low_bar = y_bar [x <= low < high];
        high_bar = y_bar [max(x, low) >= high].
    Shapes: low, x, high broadcast to y; each cotangent is summed over its broadcast axes.
    Residuals: low, x and high.
    Kinks: a bound that is met exactly receives all.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: max and min, one after the other.

    Example:
        >>> y, res = clamp.fwd(jnp.float32(0.0), jnp.array([-1.0, 0.5, 2.0]), jnp.float32(1.0))
        >>> for bar in clamp.bwd(res, jnp.ones(3)): print(bar)
        1.0
        [0. 1. 0.]
        1.0
    """
    raised = jnp.where(x <= low, low, x)
    return jnp.where(raised >= high, high, raised)


def clamp_low_bar(y_bar: Array, low: Array, x: Array, high: Array) -> Array:
    return jnp.where((x <= low) & (low < high), y_bar, jnp.zeros_like(y_bar))


def clamp_x_bar(y_bar: Array, low: Array, x: Array, high: Array) -> Array:
    return jnp.where((x <= low) | (x >= high), jnp.zeros_like(y_bar), y_bar)


def clamp_high_bar(y_bar: Array, low: Array, x: Array, high: Array) -> Array:
    return jnp.where(jnp.maximum(x, low) >= high, y_bar, jnp.zeros_like(y_bar))


clamp = Gate(
    clamp_definition,
    clamp_low_bar,
    clamp_x_bar,
    clamp_high_bar,
    primitive="clamp",
    kinks="a bound that is met exactly receives all",
)


def where_definition(
    which: Bool[Array, "*#s"], x: Inexact[Array, "*#s"], y: Inexact[Array, "*#s"]
) -> Inexact[Array, "*s"]:
    """z = x where `which` is true, else y: a switch. What is not chosen has no influence.

    Maths: x_bar = z_bar [which], y_bar = z_bar [not which]; `which` has no cotangent.
    Shapes: which, x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: which, a byte an entry.
    Kinks: none.
    Raises: ShapeError if the shapes do not broadcast, DtypeError unless `which` is boolean.
    Source: a router that is set from outside.

    Example:
        >>> which = jnp.array([False, True, True])
        >>> x = jnp.array([0.5, -1.5, 0.3])
        >>> y = jnp.array([-2.0, 1.5, 0.8])
        >>> z, res = where.fwd(which, x, y)
        >>> print(*where.bwd(res, z))
        None [ 0.  -1.5  0.3] [-2.  0.  0.]
    """
    return jnp.where(which, x, y)


def where_which_bar(z_bar: Array) -> None:
    return None


def where_x_bar(z_bar: Array, which: Array) -> Array:
    return jnp.where(which, z_bar, jnp.zeros_like(z_bar))


def where_y_bar(z_bar: Array, which: Array) -> Array:
    return jnp.where(which, jnp.zeros_like(z_bar), z_bar)


where = Gate(
    where_definition,
    where_which_bar,
    where_x_bar,
    where_y_bar,
    primitive="select_n",
    domains={"which": MASK},
)

OPS = (max, min, abs, clamp, where)
