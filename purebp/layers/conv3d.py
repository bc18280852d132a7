"""The convolution layer over volumes: conv2d with three axes."""

from functools import partial

from jaxtyping import Array, Float

from purebp.layers.conv import (
    CHANNELS,
    check_convolution,
    convolve_bwd,
    convolve_fwd,
    convolve_plainly,
)
from purebp.layers.window import Numbers, Padding
from purebp.op import Op


def conv3d_definition(
    x: Float[Array, "n c d h w"],
    w: Float[Array, "k cg fd fh fw"],
    b: Float[Array, "k"] | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Float[Array, "n k d2 h2 w2"]:
    """k filters slide over c channels of a volume: cross-correlation.

    Maths: that of conv2d, with three axes.
    Shapes: x (n, c, d, h, w), w (k, c / groups, fd, fh, fw), b (k) or None; y (n, k, d2, h2, w2).
        stride and dilation: an integer or one for each axis; padding: likewise, or (lo, hi) for
        each axis, "SAME" or "VALID".
    Residuals: x and w, the local gradients of each other; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if the kernel is larger than the padded volume or does not fit the channels
        in their groups, OptionError for a stride or dilation below 1, an unknown padding or groups
        that do not divide, DtypeError for integers.
    Source: that of conv2d.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 2, 4, 3, 3))
        >>> w = jax.random.normal(jax.random.key(1), (3, 2, 2, 2, 1))
        >>> b = jnp.array([-2.0, 1.5, 0.8])
        >>> y, res = conv3d.fwd(x, w, b)
        >>> [jnp.shape(bar) for bar in conv3d.bwd(res, y)]
        [(2, 2, 4, 3, 3), (3, 2, 2, 2, 1), (3,)]
    """
    return convolve_plainly("conv3d", x, w, b, stride, padding, dilation, groups)


conv3d = Op(
    partial(convolve_fwd, "conv3d"),
    partial(convolve_bwd, "conv3d"),
    definition=conv3d_definition,
    options={
        "stride": (1, (2, 1, 3)),
        "padding": (0, ((1, 0), (0, 2), (1, 1)), "SAME"),
        "dilation": (1, (2, 1, 1)),
        "groups": (1, 3),
    },
    sizes={
        **CHANNELS,
        "d": (4, 3, 3, 3),
        "h": (3, 4, 3, 4),
        "w": (3, 4, 4, 3),
        "fd": (2, 1, 2, 1),
        "fh": (2, 3, 1, 2),
        "fw": (1, 2, 2, 2),
    },
    check=partial(check_convolution, "conv3d"),
)

OPS = (conv3d,)
