"""The convolution layer. Its backward pass is two more convolutions."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from purebp.compat import explicit_sharding
from purebp.layers.window import Padding, Pair, Steps, steps_over
from purebp.op import Op
from purebp.residuals import Spec, spec_of

IMAGES = ("NCHW", "OIHW", "NCHW")
# y_bar (n, k, ...) with w (k, c, ...) gives (n, c, ...): the filters are what is summed over.
FILTERS_AND_CHANNELS_SWAPPED = ("NCHW", "IOHW", "NCHW")
# x (n, c, ...) with y_bar (n, k, ...) gives (k, c, ...): the images are what is summed over.
IMAGES_AND_CHANNELS_SWAPPED = ("CNHW", "IOHW", "CNHW")


def conv2d_definition(
    x: Float[Array, "n c h w"],
    w: Float[Array, "k c fh fw"],
    b: Float[Array, "k"] | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
) -> Float[Array, "n k h2 w2"]:
    """k filters slide over c channels: cross-correlation, the kernel is not turned.

    Maths: y_nkij = b_k + sum_cpq w_kcpq x_nc(i s + p - lo)(j s + q - lo), zeros outside of x.
        With G = y_bar, s - 1 zeros put between its entries:
        x_bar is the convolution of G with the kernel turned by 180 degrees, its filters and
        channels swapped; w_bar is the convolution of x with G, images and channels swapped;
        b_bar_k = sum_nij G_nkij.
    Shapes: x (n, c, h, w), w (k, c, fh, fw), b (k) or None; y (n, k, h2, w2) with
        h2 = (h - fh + lo + hi) // s + 1. stride: an integer or (rows, columns); padding: an
        integer, (rows, columns), ((lo, hi), (lo, hi)), "SAME" or "VALID". It costs
        n k h2 w2 c fh fw products, and the same again for each of the two cotangents.
    Residuals: x and w, the local gradients of each other; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if the kernel is larger than the padded image or does not fit its channels,
        OptionError for a stride below 1 or an unknown padding, DtypeError for integers.
    Source: the lecture notes' convolution layer (dL/dK = input * upstream, dL/dI = turned kernel *
        upstream); Dumoulin and Visin 2016, "A guide to convolution arithmetic", section 4.
    """
    rows, columns = _steps(x, w, stride, padding)
    y = _convolve(x, w, rows, columns)
    return y if b is None else y + b[:, None, None]


class ConvResiduals(NamedTuple):
    x: Array
    w: Array
    b: Spec | None


def conv2d_fwd(
    x: Array, w: Array, b: Array | None = None, *, stride: Pair = 1, padding: Padding = 0
) -> tuple[Array, ConvResiduals]:
    rows, columns = _steps(x, w, stride, padding)
    y = _convolve(x, w, rows, columns)
    if b is None:
        return y, ConvResiduals(x, w, None)
    return y + b[:, None, None], ConvResiduals(x, w, spec_of(b))


def conv2d_bwd(
    res: ConvResiduals, y_bar: Array, *, stride: Pair = 1, padding: Padding = 0
) -> tuple[Array, Array, Array | None]:
    x, w, b = res
    rows, columns = _steps(x, w, stride, padding)
    x_bar = input_gradient(w, y_bar, rows, columns).astype(x.dtype)
    w_bar = weight_gradient(x, y_bar, rows, columns, explicit_sharding(w)).astype(w.dtype)
    if b is None:
        return x_bar, w_bar, None
    return x_bar, w_bar, jnp.sum(y_bar, axis=(0, 2, 3)).astype(b.dtype)


def input_gradient(w: Array, y_bar: Array, rows: Steps, columns: Steps) -> Array:
    """x_bar: y_bar spread out by the stride, convolved with the turned kernel."""
    x_bar = lax.conv_general_dilated(
        y_bar,
        lax.rev(w.astype(y_bar.dtype), (2, 3)),
        window_strides=(1, 1),
        padding=(_input_padding(rows), _input_padding(columns)),
        lhs_dilation=(rows.stride, columns.stride),
        dimension_numbers=FILTERS_AND_CHANNELS_SWAPPED,
    )
    return x_bar[:, :, : rows.size, : columns.size]


def weight_gradient(
    x: Array, y_bar: Array, rows: Steps, columns: Steps, out_sharding: Any = None
) -> Array:
    """w_bar: x convolved with y_bar spread out by the stride, summed over the images."""
    return lax.conv_general_dilated(
        x.astype(y_bar.dtype),
        y_bar,
        window_strides=(1, 1),
        padding=(_weight_padding(rows), _weight_padding(columns)),
        rhs_dilation=(rows.stride, columns.stride),
        dimension_numbers=IMAGES_AND_CHANNELS_SWAPPED,
        out_sharding=out_sharding,
    )


def _input_padding(axis: Steps) -> tuple[int, int]:
    """Entry i of the spread y_bar met the inputs from i - low to i - low + window - 1.

    So x_bar_a sums over the entries a + low - window + 1 ... a + low. What the stride leaves over
    at the end makes the high side larger: inputs that no window covers receive 0.
    """
    low, high = axis.window - 1 - axis.low, axis.size + axis.low - axis.reach
    return (low, 1) if _is_bare(axis) else (low, high)


def _is_bare(axis: Steps) -> bool:
    """Whether the axis of y_bar is spread but not padded, for x_bar.

    XLA can abort the process on such a convolution, and on the one that JAX derives from the
    forward pass. So x_bar is made with one entry too many, and x gets its last zero beforehand.
    """
    unpadded = axis.low == axis.window - 1 and axis.reach == axis.size + axis.low
    return unpadded and axis.window > 1 and axis.stride > 1


def _weight_padding(axis: Steps) -> tuple[int, int]:
    """Weight p met the inputs from p - low to p - low + reach - 1, for p = 0 ... window - 1."""
    return axis.low, axis.reach + axis.window - axis.size - 1 - axis.low


def _convolve(x: Array, w: Array, rows: Steps, columns: Steps) -> Array:
    dtype = jnp.promote_types(x.dtype, w.dtype)
    bare = int(_is_bare(rows)), int(_is_bare(columns))
    if any(bare):
        x = jnp.pad(x, ((0, 0), (0, 0), (0, bare[0]), (0, bare[1])))
    return lax.conv_general_dilated(
        x.astype(dtype),
        w.astype(dtype),
        window_strides=(rows.stride, columns.stride),
        padding=((rows.low, rows.high - bare[0]), (columns.low, columns.high - bare[1])),
        dimension_numbers=IMAGES,
    )


def check_conv2d(
    x: Array, w: Array, b: Array | None = None, *, stride: Pair = 1, padding: Padding = 0
) -> None:
    """Raise for a stride or padding that is not one, and for a kernel larger than the image."""
    _steps(x, w, stride, padding)


def _steps(x: Array, w: Array, stride: Pair, padding: Padding) -> tuple[Steps, Steps]:
    sizes, window = (x.shape[2], x.shape[3]), (w.shape[2], w.shape[3])
    return steps_over("conv2d", sizes, window, stride, padding)


conv2d = Op(
    conv2d_fwd,
    conv2d_bwd,
    definition=conv2d_definition,
    options={
        "stride": (1, 2, (2, 3)),
        "padding": (0, 1, (2, 1), ((1, 0), (0, 2)), "SAME"),
    },
    sizes={
        "n": (2, 1),
        "c": (2, 3),
        "k": (3, 2),
        "h": (5, 4, 6, 3),
        "w": (4, 6, 5, 3),
        "fh": (3, 2, 1, 3),
        "fw": (2, 3, 1, 3),
    },
    check=check_conv2d,
)

OPS = (conv2d,)
