"""Arithmetic gates: add is a distributor, mul a switcher. Operands broadcast as in NumPy.

Each pullback is the chain rule at one node: the upstream gradient times the local one.
"""

from typing import cast

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from purebp.gate import Gate, unbroadcast
from purebp.op import NONZERO, POSITIVE
from purebp.residuals import spec_of


def add_definition(x: Inexact[Array, "*#s"], y: Inexact[Array, "*#s"]) -> Inexact[Array, "*s"]:
    """z = x + y, the distributor: it hands the upstream gradient to both operands unchanged.

    Maths: z = x + y; x_bar = z_bar, y_bar = z_bar.
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: none.
    Kinks: none.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: CS231n, lecture 4, patterns in backward flow.

    Example:
        >>> z, res = add.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*add.bwd(res, z))
        [ 1.5 -2.   2.3] [ 1.5 -2.   2.3]
    """
    return jnp.add(x, y)


def add_x_bar(z_bar: Array) -> Array:
    return z_bar


def add_y_bar(z_bar: Array) -> Array:
    return z_bar


add = Gate(add_definition, add_x_bar, add_y_bar, primitive="add")


def sub_definition(x: Inexact[Array, "*#s"], y: Inexact[Array, "*#s"]) -> Inexact[Array, "*s"]:
    """z = x - y.

    Maths: z = x - y; x_bar = z_bar, y_bar = -z_bar.
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: none.
    Kinks: none.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: CS231n, lecture 4.

    Example:
        >>> z, res = sub.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*sub.bwd(res, z))
        [0.5 1.  1.7] [-0.5 -1.  -1.7]
    """
    return jnp.subtract(x, y)


def sub_x_bar(z_bar: Array) -> Array:
    return z_bar


def sub_y_bar(z_bar: Array) -> Array:
    return -z_bar


sub = Gate(sub_definition, sub_x_bar, sub_y_bar, primitive="sub")


def mul_definition(x: Inexact[Array, "*#s"], y: Inexact[Array, "*#s"]) -> Inexact[Array, "*s"]:
    """z = x * y, the switcher: each operand receives the upstream gradient times the other one.

    Maths: z = x y; x_bar = z_bar y, y_bar = z_bar x.
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes.
    Residuals: x and y, the local gradients of each other.
    Kinks: none.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: CS231n, lecture 4, patterns in backward flow.

    Example:
        >>> z, res = mul.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*mul.bwd(res, z))
        [ 0.25  -1.125  0.18 ] [ 0.5   -0.375  1.2  ]
    """
    return jnp.multiply(x, y)


def mul_x_bar(z_bar: Array, y: Array) -> Array:
    return z_bar * y


def mul_y_bar(z_bar: Array, x: Array) -> Array:
    return z_bar * x


mul = Gate(mul_definition, mul_x_bar, mul_y_bar, primitive="mul")


def div_definition(x: Inexact[Array, "*#s"], y: Inexact[Array, "*#s"]) -> Inexact[Array, "*s"]:
    """z = x / y.

    Maths: z = x / y; x_bar = z_bar / y, y_bar = -(z_bar / y) (x / y).
    Shapes: x, y broadcast to z; each cotangent is summed over its broadcast axes. Where y is
        smaller than z, z_bar x is summed first and divided after: a pass over z less. (Not in
        float16, which has no room for z_bar x.)
    Residuals: x and y. x / y is computed again: x and y are usually alive anyway, z is not.
    Kinks: the pole at y = 0 gives inf or nan, as in JAX.
    Raises: ShapeError if the shapes do not broadcast, DtypeError for integers.
    Source: quotient rule.

    Example:
        >>> z, res = div.fwd(jnp.array([1.0, -0.5, 2.0]), jnp.array([0.5, -1.5, 0.3]))
        >>> print(*div.bwd(res, z))
        [ 4.         -0.22222222 22.222221  ] [-8.0000000e+00  7.4074075e-02 -1.4814813e+02]
    """
    return jnp.divide(x, y)


def div_x_bar(z_bar: Array, y: Array) -> Array:
    return z_bar / y


def div_y_bar(z_bar: Array, x: Array, y: Array) -> Array:
    if y.size < z_bar.size and z_bar.dtype != jnp.float16:
        return -cast(Array, unbroadcast(z_bar * x, spec_of(y))) / y / y
    return -(z_bar / y) * (x / y)


div = Gate(div_definition, div_x_bar, div_y_bar, primitive="div", domains={"y": NONZERO})


def neg_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = -x.

    Maths: y = -x; x_bar = -y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: none.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 4, the "*-1" gate of the sigmoid neuron.

    Example:
        >>> y, res = neg.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*neg.bwd(res, y))
        [ 1.  -0.5  2. ]
    """
    return jnp.negative(x)


def neg_x_bar(y_bar: Array) -> Array:
    return -y_bar


neg = Gate(neg_definition, neg_x_bar, primitive="neg")


def reciprocal_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = 1 / x.

    Maths: y = 1 / x; x_bar = -y_bar / x^2 = -y_bar y^2.
    Shapes: y and x_bar are shaped like x.
    Residuals: y. It replaces a division by a product.
    Kinks: the pole at x = 0 gives inf, as in JAX.
    Raises: DtypeError for integers.
    Source: CS231n, lecture 4, the "1/x" gate of the sigmoid neuron.

    Example:
        >>> y, res = reciprocal.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*reciprocal.bwd(res, y))
        [-1.     8.    -0.125]
    """
    return 1 / x


def reciprocal_x_bar(y_bar: Array, y: Array) -> Array:
    return -y_bar * y * y


reciprocal = Gate(reciprocal_definition, reciprocal_x_bar, domains={"x": NONZERO})


def square_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = x^2.

    Maths: y = x^2; x_bar = 2 x y_bar.
    Shapes: y and x_bar are shaped like x.
    Residuals: x.
    Kinks: none.
    Raises: DtypeError for integers.
    Source: power rule.

    Example:
        >>> y, res = square.fwd(jnp.array([1.0, -0.5, 2.0]))
        >>> print(*square.bwd(res, y))
        [ 2.   -0.25 16.  ]
    """
    return jnp.square(x)


def square_x_bar(y_bar: Array, x: Array) -> Array:
    return 2 * x * y_bar


square = Gate(square_definition, square_x_bar, primitive="square")


def sqrt_definition(x: Inexact[Array, "*s"]) -> Inexact[Array, "*s"]:
    """y = sqrt(x).

    Maths: y = sqrt(x); x_bar = y_bar / (2 y).
    Shapes: y and x_bar are shaped like x.
    Residuals: y.
    Kinks: x = 0 has the slope inf, as in JAX.
    Raises: DtypeError for integers.
    Source: power rule.

    Example:
        >>> y, res = sqrt.fwd(jnp.array([0.5, 1.0, 2.0]))
        >>> print(*sqrt.bwd(res, y))
        [0.5 0.5 0.5]
    """
    return jnp.sqrt(x)


def sqrt_x_bar(y_bar: Array, y: Array) -> Array:
    return y_bar / (2 * y)


sqrt = Gate(sqrt_definition, sqrt_x_bar, primitive="sqrt", domains={"x": POSITIVE})

OPS = (add, sub, mul, div, neg, reciprocal, square, sqrt)
