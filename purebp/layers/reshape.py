"""Layers that only change the shape."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gate import Gate
from purebp.layers.window import Pair, pair
from purebp.residuals import Spec


def flatten_definition(x: Float[Array, "n *rest"]) -> Float[Array, "n d"]:
    """y = x with all axes but the first made one, as between a pool and an affine layer.

    Maths: y_nd = x_n...; x_bar = y_bar in the shape of x.
    Shapes: x (n, ...), y (n, d) with d the product of the other axes.
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: ShapeError for an array without axes, DtypeError for integers.
    Source: CS231n, assignment 1.

    Example:
        >>> y, res = flatten.fwd(jnp.array([[1.0, -0.5], [2.0, 0.5]]))
        >>> print(*flatten.bwd(res, y))
        [[ 1.  -0.5]
         [ 2.   0.5]]
    """
    return jnp.reshape(x, (x.shape[0], -1 if x.size else _width(x.shape)))


def flatten_x_bar(y_bar: Array, x_spec: Spec) -> Array:
    return y_bar.reshape(x_spec.shape)


def _width(shape: tuple[int, ...]) -> int:
    width = 1
    for size in shape[1:]:
        width *= size
    return width


flatten = Gate(flatten_definition, flatten_x_bar)


def patches_definition(x: Float[Array, "n c h w"], *, size: Pair = 4) -> Float[Array, "n t d"]:
    """Each image as a row of its patches, each patch as one vector: the tokens of an image.

    Maths: y_n(i w/q + j)(k p q + a q + b) = x_nk(i p + a)(j q + b) for patches of p x q pixels;
        x_bar is y_bar, sent back. patches and affine are a convolution whose windows do not
        overlap.
    Shapes: x (n, c, h, w); y (n, h/p * w/q, c p q). size: p = q, or (p, q).
    Residuals: none; the shape of x is static.
    Kinks: none.
    Raises: OptionError unless the patches fill the image.
    Source: Dosovitskiy et al. 2020, "An image is worth 16x16 words", section 3.1.

    Example:
        >>> y, res = patches.fwd(jax.random.normal(jax.random.key(0), (2, 2, 4, 4)))
        >>> [jnp.shape(bar) for bar in patches.bwd(res, y)]
        [(2, 2, 4, 4)]
    """
    n, c, h, w = x.shape
    p, q = pair("patches", "size", size, least=1)
    cut = x.reshape(n, c, h // p, p, w // q, q).transpose(0, 2, 4, 1, 3, 5)
    return cut.reshape(n, (h // p) * (w // q), c * p * q)


def patches_x_bar(y_bar: Array, x_spec: Spec, size: Pair) -> Array:
    n, c, h, w = x_spec.shape
    p, q = pair("patches", "size", size, least=1)
    cut_bar = y_bar.reshape(n, h // p, w // q, c, p, q)
    return cut_bar.transpose(0, 3, 1, 4, 2, 5).reshape(x_spec.shape)


def check_patches(x: Array, *, size: Pair) -> None:
    """Raise unless the image is a whole number of patches high and wide."""
    p, q = pair("patches", "size", size, least=1)
    if x.shape[2] % p or x.shape[3] % q:
        raise OptionError(
            f"patches: size is {size!r}, expected one that divides the {x.shape[2]} rows and "
            f"{x.shape[3]} columns of x"
        )


patches = Gate(
    patches_definition,
    patches_x_bar,
    options={"size": (4, 2, (1, 3))},
    sizes={"n": (2, 1), "c": (2, 1), "h": (4, 8, 2), "w": (4, 4, 6)},
    check=check_patches,
)

OPS = (flatten, patches)
