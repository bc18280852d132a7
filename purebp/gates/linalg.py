"""Matrix-product gates. The Jacobian of a product is never built: its pullbacks are products."""

import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Inexact

from purebp.compat import explicit_sharding
from purebp.gate import Gate
from purebp.residuals import Spec


def dot_definition(x: Inexact[Array, "*s d"], y: Inexact[Array, "*s d"]) -> Inexact[Array, "*s"]:
    """z = sum_i x_i y_i, the inner product over the last axis.

    Maths: z = sum_i x_i y_i; x_bar = z_bar y, y_bar = z_bar x.
    Shapes: x, y: (*s, d); z: (*s).
    Residuals: x and y.
    Kinks: none.
    Raises: ShapeError if the shapes differ, DtypeError for integers.
    Source: product rule, summed.

    Example:
        >>> x = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> y = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> z, res = dot.fwd(x, y)
        >>> for bar in dot.bwd(res, z): print(bar)
        [[ 0.925 -2.775  0.555]
         [ 6.02  -4.515 -2.408]]
        [[ 1.85       -0.925       3.7       ]
         [-1.505       4.515      -0.90300006]]
    """
    return jnp.sum(x * y, axis=-1)


def dot_x_bar(z_bar: Array, y: Array) -> Array:
    return z_bar[..., None] * y


def dot_y_bar(z_bar: Array, x: Array) -> Array:
    return z_bar[..., None] * x


dot = Gate(dot_definition, dot_x_bar, dot_y_bar)


def matmul_definition(
    x: Inexact[Array, "*#s n d"], y: Inexact[Array, "*#s d k"]
) -> Inexact[Array, "*s n k"]:
    """z = x y, the matrix product over the last two axes; leading axes broadcast.

    Maths: z = x y; x_bar = z_bar y^T, y_bar = x^T z_bar.
    Shapes: x: (*s, n, d), y: (*s, d, k), z: (*s, n, k); cotangents are summed over broadcast axes.
    Residuals: x and y.
    Kinks: none.
    Raises: ShapeError if the inner axes differ, DtypeError for integers.
    Source: CS231n, lecture 4, vectorised backprop: the only product whose shapes fit.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 3, 2, 4))
        >>> y = jax.random.normal(jax.random.key(1), (3, 4, 5))
        >>> z, res = matmul.fwd(x, y)
        >>> [jnp.shape(bar) for bar in matmul.bwd(res, z)]
        [(2, 3, 2, 4), (3, 4, 5)]
    """
    return jnp.matmul(x, y)


def matmul_x_bar(z_bar: Array, y: Array, x_spec: Spec) -> Array:
    return jnp.matmul(z_bar, jnp.swapaxes(y, -1, -2), out_sharding=_product(z_bar, x_spec))


def matmul_y_bar(z_bar: Array, x: Array, y_spec: Spec) -> Array:
    return jnp.matmul(jnp.swapaxes(x, -1, -2), z_bar, out_sharding=_product(z_bar, y_spec))


def _product(z_bar: Array, spec: Spec) -> NamedSharding | None:
    """The sharding of a cotangent before broadcasting is undone: leading axes are those of z."""
    z_sharding = explicit_sharding(z_bar)
    if z_sharding is None or spec.sharding is None:
        return None
    axes = (*z_sharding.spec[:-2], *spec.sharding.spec[-2:])
    return NamedSharding(spec.sharding.mesh, PartitionSpec(*axes))


matmul = Gate(matmul_definition, matmul_x_bar, matmul_y_bar, primitive="dot_general")

OPS = (dot, matmul)
