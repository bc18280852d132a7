"""The convolution layer over images, and what it shares with conv1d and conv3d."""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.layers import convolution
from purebp.layers import groups as in_groups
from purebp.layers.window import Axes, Numbers, Padding, steps_along
from purebp.op import Op
from purebp.residuals import Spec, spec_of


class ConvResiduals(NamedTuple):
    x: Array
    w: Array
    b: Spec | None


Bars = tuple[Array, Array, Array | None]


def convolve_fwd(
    op: str,
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> tuple[Array, ConvResiduals]:
    """y, and x and w, for any number of axes."""
    axes = axes_of(op, x, w, stride, padding, dilation)
    y = in_groups.convolve(x, w, axes, groups)
    return shift(y, b), ConvResiduals(x, w, None if b is None else spec_of(b))


def convolve_bwd(
    op: str,
    res: ConvResiduals,
    y_bar: Array,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Bars:
    """x_bar, w_bar and b_bar, for any number of axes."""
    x, w, b = res
    axes = axes_of(op, x, w, stride, padding, dilation)
    x_bar = in_groups.input_gradient(w, y_bar, axes, groups).astype(x.dtype)
    sharding = explicit_sharding(w)
    w_bar = in_groups.weight_gradient(x, y_bar, axes, groups, sharding).astype(w.dtype)
    if b is None:
        return x_bar, w_bar, None
    return x_bar, w_bar, jnp.sum(y_bar, axis=(0, *range(2, y_bar.ndim))).astype(b.dtype)


def convolve_plainly(
    op: str,
    x: Array,
    w: Array,
    b: Array | None,
    stride: Numbers,
    padding: Padding,
    dilation: Numbers,
    groups: int,
) -> Array:
    """The definition: one convolution of XLA."""
    axes = axes_of(op, x, w, stride, padding, dilation)
    return shift(convolution.convolve(x, w, axes, groups), b)


def shift(y: Array, b: Array | None) -> Array:
    """y + b, one number for each filter; y where b is None."""
    return y if b is None else y + b.reshape(-1, *(1,) * (y.ndim - 2))


def axes_of(
    op: str, x: Array, w: Array, stride: Numbers, padding: Padding, dilation: Numbers
) -> Axes:
    """How the kernel steps over the axes of x behind the first two."""
    return steps_along(op, x.shape[2:], w.shape[2:], stride, padding, dilation)


def check_convolution(
    op: str,
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Numbers,
    padding: Padding,
    dilation: Numbers,
    groups: int,
) -> None:
    """Raise for options that are none, and for a kernel that does not fit x."""
    axes_of(op, x, w, stride, padding, dilation)
    in_groups.check_groups(op, x.shape[1], w.shape, groups)


# The sizes at one place belong together: 2 groups fit those of the third, 3 those of the fourth.
CHANNELS = {"n": (2, 1, 2, 1), "c": (2, 3, 4, 3), "cg": (2, 3, 2, 1), "k": (3, 2, 4, 6)}


def conv2d_definition(
    x: Float[Array, "n c h w"],
    w: Float[Array, "k cg fh fw"],
    b: Float[Array, "k"] | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Float[Array, "n k h2 w2"]:
    """k filters slide over c channels: cross-correlation, the kernel is not turned.

    Maths: y_nkij = b_k + sum_cpq w_kcpq x_nc(i s + p d - lo)(j s + q d - lo), zeros outside of x, c
        over the channels of the group of k. With G = y_bar, s - 1 zeros put between its entries:
        x_bar is the convolution of G with the kernel turned by 180 degrees, its filters and
        channels swapped; w_bar is the convolution of x with G, images and channels swapped;
        b_bar_k = sum_nij G_nkij.
    Shapes: x (n, c, h, w), w (k, c / groups, fh, fw), b (k) or None; y (n, k, h2, w2) with
        h2 = (h - (fh - 1) d - 1 + lo + hi) // s + 1. stride and dilation: an integer or
        (rows, columns); padding: an integer, (rows, columns), ((lo, hi), (lo, hi)), "SAME" or
        "VALID". It costs n k h2 w2 c fh fw / groups products, and the same again for each of the
        two cotangents.
    Residuals: x and w, the local gradients of each other; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if the kernel is larger than the padded image or does not fit the channels in
        their groups, OptionError for a stride or dilation below 1, an unknown padding or groups
        that do not divide, DtypeError for integers.
    Source: the lecture notes' convolution layer (dL/dK = input * upstream, dL/dI = turned kernel *
        upstream); Dumoulin and Visin 2016, "A guide to convolution arithmetic", sections 4 and 5;
        groups: Krizhevsky et al. 2012, figure 2.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 2, 5, 5))
        >>> w = jax.random.normal(jax.random.key(1), (3, 2, 3, 2))
        >>> b = jnp.array([-2.0, 1.5, 0.8])
        >>> y, res = conv2d.fwd(x, w, b)
        >>> [jnp.shape(bar) for bar in conv2d.bwd(res, y)]
        [(2, 2, 5, 5), (3, 2, 3, 2), (3,)]
    """
    return convolve_plainly("conv2d", x, w, b, stride, padding, dilation, groups)


conv2d = Op(
    partial(convolve_fwd, "conv2d"),
    partial(convolve_bwd, "conv2d"),
    definition=conv2d_definition,
    options={
        "stride": (1, 2, (2, 3)),
        "padding": (0, 1, ((1, 0), (0, 2)), "SAME"),
        "dilation": (1, 2, (1, 2)),
        "groups": (1, 2, 3),
    },
    sizes={
        **CHANNELS,
        "h": (5, 4, 6, 5),
        "w": (5, 6, 5, 4),
        "fh": (3, 2, 2, 1),
        "fw": (2, 3, 2, 3),
    },
    check=partial(check_convolution, "conv2d"),
)

OPS = (conv2d,)
