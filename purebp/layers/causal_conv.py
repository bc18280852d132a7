"""The causal depthwise convolution over sequences, as in Mamba."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import ShapeError
from purebp.layers import convolution, depthwise
from purebp.layers.conv import Bars, ConvResiduals, shift
from purebp.layers.window import Axes, Steps
from purebp.op import Op
from purebp.residuals import spec_of


def causal_conv1d_definition(
    x: Float[Array, "n c t"],
    w: Float[Array, "c k"],
    b: Float[Array, "c"] | None = None,
) -> Float[Array, "n c t"]:
    """Each channel of a sequence with a kernel of its own; no entry sees a later one.

    Maths: y_nct = b_c + sum_p w_cp x_nc(t + p - k + 1), zeros before the start, so that w_c(k-1)
        meets the present. x_bar_nct = sum_p w_cp y_bar_nc(t - p + k - 1),
        w_bar_cp = sum_nt y_bar_nct x_nc(t + p - k + 1), b_bar_c = sum_nt y_bar_nct.
    Shapes: x, y (n, c, t), w (c, k), b (c) or None.
    Residuals: x and w, the local gradients of each other; of b only its dtype.
    Kinks: none.
    Raises: ShapeError if w or b do not fit x or an axis is empty, DtypeError for integers.
    Source: Gu and Dao 2023, "Mamba", section 3.4; derived by hand as conv1d with groups.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 3, 5))
        >>> w = jax.random.normal(jax.random.key(1), (3, 3))
        >>> b = jnp.array([-2.0, 1.5, 0.8])
        >>> y, res = causal_conv1d.fwd(x, w, b)
        >>> [jnp.shape(bar) for bar in causal_conv1d.bwd(res, y)]
        [(2, 3, 5), (3, 3), (3,)]
    """
    y = convolution.convolve(x, w[:, None], _axes(x, w), groups=x.shape[1])
    return shift(y, b)


def causal_conv1d_fwd(x: Array, w: Array, b: Array | None = None) -> tuple[Array, ConvResiduals]:
    y = depthwise.convolve(x, w[:, None], _axes(x, w))
    return shift(y, b), ConvResiduals(x, w, None if b is None else spec_of(b))


def causal_conv1d_bwd(res: ConvResiduals, y_bar: Array) -> Bars:
    x, w, b = res
    axes = _axes(x, w)
    x_bar = depthwise.input_gradient(w[:, None], y_bar, axes, x.shape[1]).astype(x.dtype)
    w_bar = depthwise.weight_gradient(x, y_bar, axes)[:, 0].astype(w.dtype)
    if b is None:
        return x_bar, w_bar, None
    return x_bar, w_bar, jnp.sum(y_bar, axis=(0, 2)).astype(b.dtype)


def _axes(x: Array, w: Array) -> Axes:
    length, window = x.shape[2], w.shape[1]
    return (Steps(length, window, 1, window - 1, 0),)


def check_causal_conv1d(x: Array, w: Array, b: Array | None = None) -> None:
    """Raise for an empty sequence, no channels or an empty kernel."""
    if 0 in (*x.shape[1:], *w.shape):
        raise ShapeError(
            f"causal_conv1d: x has shape {x.shape} and w {w.shape}, expected entries in each "
            "sequence and kernel"
        )


causal_conv1d = Op(
    causal_conv1d_fwd,
    causal_conv1d_bwd,
    definition=causal_conv1d_definition,
    sizes={"n": (2, 1), "c": (3, 2, 1), "t": (5, 4, 2), "k": (3, 4, 4)},
    check=check_causal_conv1d,
)

OPS = (causal_conv1d,)
