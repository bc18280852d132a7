"""The convolution layer over sequences: conv2d with one axis."""

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


def conv1d_definition(
    x: Float[Array, "n c length"],
    w: Float[Array, "k cg f"],
    b: Float[Array, "k"] | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Float[Array, "n k length2"]:
    """k filters slide over c channels of a sequence: cross-correlation.

    Maths: that of conv2d, with one axis: y_nki = b_k + sum_cp w_kcp x_nc(i s + p d - lo).
    Shapes: x (n, c, length), w (k, c / groups, f), b (k) or None; y (n, k, length2). stride and
        dilation: an integer; padding: an integer, ((lo, hi),), "SAME" or "VALID".
    Residuals: x and w, the local gradients of each other; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if the kernel is larger than the padded sequence or does not fit the channels
        in their groups, OptionError for a stride or dilation below 1, an unknown padding or groups
        that do not divide, DtypeError for integers.
    Source: that of conv2d.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 2, 7))
        >>> w = jax.random.normal(jax.random.key(1), (3, 2, 3))
        >>> b = jnp.array([-2.0, 1.5, 0.8])
        >>> y, res = conv1d.fwd(x, w, b)
        >>> [jnp.shape(bar) for bar in conv1d.bwd(res, y)]
        [(2, 2, 7), (3, 2, 3), (3,)]
    """
    return convolve_plainly("conv1d", x, w, b, stride, padding, dilation, groups)


conv1d = Op(
    partial(convolve_fwd, "conv1d"),
    partial(convolve_bwd, "conv1d"),
    definition=conv1d_definition,
    options={
        "stride": (1, 2, 3),
        "padding": (0, ((2, 1),), "SAME"),
        "dilation": (1, 2),
        "groups": (1, 2, 3),
    },
    sizes={
        **CHANNELS,
        "length": (7, 6, 5, 6),
        "f": (3, 2, 3, 2),
    },
    check=partial(check_convolution, "conv1d"),
)

OPS = (conv1d,)
