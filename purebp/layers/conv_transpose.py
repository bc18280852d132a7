"""The transposed convolution: the forward pass is the backward pass of a convolution.

And its backward pass is the forward pass of that convolution; the gradient of the weights is the
same, x and y_bar in each other's place.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.errors import OptionError, ShapeError
from purebp.layers import convolution
from purebp.layers import groups as in_groups
from purebp.layers.conv import Bars, ConvResiduals, shift
from purebp.layers.window import Axes, Numbers, Padding, Steps, numbers, sides_of
from purebp.op import Op
from purebp.residuals import spec_of


def conv_transpose2d_definition(
    x: Float[Array, "n c h w"],
    w: Float[Array, "c kg fh fw"],
    b: Float[Array, "k"] | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Float[Array, "n k h2 w2"]:
    """Each entry of x puts its multiple of a kernel into y, a stride apart: "deconvolution".

    Maths: y_nk(i s + p d - lo)(j s + q d - lo) adds w_ckpq x_ncij, and b_k, c over the channels of
        the group of k. x_bar is conv2d of y_bar with w; w_bar is that of conv2d, x and y_bar in
        each other's place; b_bar_k = sum_nij y_bar_nkij.
    Shapes: x (n, c, h, w), w (c, k / groups, fh, fw), b (k) or None; y (n, k, h2, w2) with
        h2 = (h - 1) s + (fh - 1) d + 1 - lo - hi + output_padding: the size of the input of which
        conv2d with the same options makes h. Of the sizes that it makes h of, output_padding
        (below the stride) chooses one. Options as in conv2d; no "SAME" or "VALID".
    Residuals: x and w, the local gradients of each other; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if w or b do not fit x or nothing is left of y, OptionError for options that
        conv2d does not take, DtypeError for integers.
    Source: Dumoulin and Visin 2016, "A guide to convolution arithmetic", section 4; derived from
        conv2d, whose x_bar is linear in y_bar.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 2, 3, 3))
        >>> w = jax.random.normal(jax.random.key(1), (2, 3, 3, 2))
        >>> y, res = conv_transpose2d.fwd(x, w)
        >>> [bar if bar is None else bar.shape for bar in conv_transpose2d.bwd(res, y)]
        [(2, 2, 3, 3), (2, 3, 3, 2), None]
    """
    axes = _axes(x, w, stride, padding, output_padding, dilation)
    dtype = jnp.promote_types(x.dtype, w.dtype)
    return shift(convolution.input_gradient(w, x.astype(dtype), axes, groups), b)


def conv_transpose2d_fwd(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> tuple[Array, ConvResiduals]:
    axes = _axes(x, w, stride, padding, output_padding, dilation)
    dtype = jnp.promote_types(x.dtype, w.dtype)
    y = in_groups.input_gradient(w, x.astype(dtype), axes, groups)
    return shift(y, b), ConvResiduals(x, w, None if b is None else spec_of(b))


def conv_transpose2d_bwd(
    res: ConvResiduals,
    y_bar: Array,
    *,
    stride: Numbers = 1,
    padding: Padding = 0,
    output_padding: Numbers = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Bars:
    x, w, b = res
    axes = _axes(x, w, stride, padding, output_padding, dilation)
    x_bar = in_groups.convolve(y_bar, w, axes, groups).astype(x.dtype)
    wide, sharding = x.astype(y_bar.dtype), explicit_sharding(w)
    w_bar = in_groups.weight_gradient(y_bar, wide, axes, groups, sharding).astype(w.dtype)
    if b is None:
        return x_bar, w_bar, None
    return x_bar, w_bar, jnp.sum(y_bar, axis=(0, 2, 3)).astype(b.dtype)


def _axes(
    x: Array,
    w: Array,
    stride: Numbers,
    padding: Padding,
    output_padding: Numbers,
    dilation: Numbers,
) -> Axes:
    """How the convolution that this one transposes steps over y."""
    op = "conv_transpose2d"
    strides = numbers(op, "stride", stride, 2, least=1)
    dilations = numbers(op, "dilation", dilation, 2, least=1)
    extra = numbers(op, "output_padding", output_padding, 2, least=0)
    sides = sides_of(op, padding, 2)
    axes = list[Steps]()
    for axis, (low, high) in enumerate(sides):
        size, window, step = x.shape[axis + 2], w.shape[axis + 2], strides[axis]
        span = (window - 1) * dilations[axis] + 1
        whole = (size - 1) * step + span - low - high + extra[axis]
        axes.append(Steps(whole, window, step, low, high, dilations[axis]))
    sizes = tuple(axis.size for axis in axes)
    if min(sizes) < 1:
        raise ShapeError(
            f"{op}: y would have the size {sizes}, expected at least (1, 1); lower padding (now "
            f"{padding!r})"
        )
    if any(more >= step for more, step in zip(extra, strides, strict=True)):
        raise OptionError(
            f"{op}: output_padding is {output_padding!r}, expected less than the stride "
            f"({stride!r})"
        )
    return tuple(axes)


def check_conv_transpose2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Numbers,
    padding: Padding,
    output_padding: Numbers,
    dilation: Numbers,
    groups: int,
) -> None:
    """Raise for options that are none, and for w or b that do not fit."""
    _axes(x, w, stride, padding, output_padding, dilation)
    if not isinstance(groups, int) or groups < 1 or x.shape[1] % groups:
        raise OptionError(
            f"conv_transpose2d: groups is {groups!r}, expected a divisor of the {x.shape[1]} "
            "channels of x"
        )
    filters = w.shape[1] * groups
    if b is not None and b.shape != (filters,):
        raise ShapeError(
            f"conv_transpose2d: b has shape {b.shape}, expected {(filters,)} from axis 1 of w"
            + (f" in {groups} groups" if groups > 1 else "")
        )


conv_transpose2d = Op(
    conv_transpose2d_fwd,
    conv_transpose2d_bwd,
    definition=conv_transpose2d_definition,
    options={
        "stride": (1, (2, 3)),
        "padding": (0, ((1, 0), (0, 2))),
        "output_padding": (0, (0, 1)),
        "dilation": (1, (2, 1)),
        "groups": (1, 2),
    },
    sizes={
        "n": (2, 1, 2),
        "c": (2, 3, 4),
        "kg": (3, 2, 1),
        "k": (3, 2, 2),
        "h": (3, 2, 4),
        "w": (3, 4, 2),
        "fh": (3, 2, 3),
        "fw": (2, 3, 3),
    },
    check=check_conv_transpose2d,
)

OPS = (conv_transpose2d,)
