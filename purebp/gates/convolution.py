"""The general convolution: any rank and layout, strides, paddings, dilations and groups.

Along one axis: n entries of x and k of w, with their dilations n' = (n - 1) l + 1 and
k' = (k - 1) d + 1; m entries of y, with the stride's zeros between them m' = (m - 1) s + 1.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.residuals import Spec

Each = int | tuple[int, ...]
Sides = int | tuple[tuple[int, int], ...]


def conv_general_dilated_definition(
    x: Float[Array, "*s"],
    w: Float[Array, "*t"],
    *,
    window_strides: Each = 1,
    padding: Sides = 0,
    lhs_dilation: Each = 1,
    rhs_dilation: Each = 1,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
) -> Float[Array, "..."]:
    """y = x convolved with the kernel w (not turned), as `lax.conv_general_dilated`.

    Maths: x_bar = y_bar convolved with the turned kernel, its filters and channels swapped:
        stride l, dilations s and d, padding (k' - 1 - low, n' + low - m').
        w_bar = x convolved with y_bar, images and channels swapped: stride d, dilations l and s,
        padding (low, m' + k' - n' - 1 - low). Groups of features become groups of images there,
        and the other way round.
    Shapes: x (n, c, ...), w (filters, c / groups, ...), y (n, filters, ...); `dimension_numbers`
        gives other orders. Options are one number for all axes or one for each.
    Residuals: x and w.
    Kinks: none.
    Raises: OptionError unless there is a number for each axis, ShapeError for what
        `lax.conv_general_dilated` refuses, DtypeError for integers.
    Source: transposed correlation; Dumoulin and Visin 2016.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (2, 2, 5))
        >>> w = jnp.array([[[0.5, -1.5], [0.3, -2.0]], [[1.5, 0.8], [-0.2, 0.6]]])
        >>> y, res = conv_general_dilated.fwd(x, w)
        >>> [jnp.shape(bar) for bar in conv_general_dilated.bwd(res, y)]
        [(2, 2, 5), (2, 2, 2)]
    """
    form = _form(
        x.shape, w.shape, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers
    )
    dtype = jnp.promote_types(x.dtype, w.dtype)
    return lax.conv_general_dilated(
        x.astype(dtype),
        w.astype(dtype),
        form.strides,
        form.padding,
        form.spread,
        form.dilation,
        form.layout,
        feature_group_count=feature_group_count,
        batch_group_count=batch_group_count,
    )


class Form(NamedTuple):
    """For each spatial axis stride, (low, high), dilation of x and of w; and the layout."""

    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    spread: tuple[int, ...]
    dilation: tuple[int, ...]
    layout: Any


def _form(
    x: tuple[int, ...],
    w: tuple[int, ...],
    strides: Each,
    padding: Sides,
    spread: Each,
    dilation: Each,
    layout: Any,
) -> Form:
    rank = len(x) - 2
    each = [v if isinstance(v, tuple) else (v,) * rank for v in (strides, spread, dilation)]
    sides = ((padding, padding),) * rank if isinstance(padding, int) else padding
    return Form(each[0], sides, each[1], each[2], lax.conv_dimension_numbers(x, w, layout))


def _plain(
    x: Array,
    w: Array,
    form: Form,
    sizes: tuple[int, ...],
    groups: int = 1,
    out_sharding: Any = None,
) -> Array:
    """x (n, c, ...) convolved with w (k, c / groups, ...), to the first `sizes` entries.

    XLA can abort the process where x is spread out but not padded: there it gets one entry more.
    """
    bare = [
        k > 1 and d > 1 and side == (0, 0)
        for k, d, side in zip(w.shape[2:], form.spread, form.padding, strict=True)
    ]
    padding = [(lo, hi + b) for (lo, hi), b in zip(form.padding, bare, strict=True)]
    y = lax.conv_general_dilated(
        x,
        w,
        form.strides,
        padding,
        form.spread,
        form.dilation,
        feature_group_count=groups,
        out_sharding=out_sharding,
    )
    return y[(..., *(slice(size) for size in sizes))]


def _ordered(v: Array, order: tuple[int, ...]) -> Array:
    return jnp.transpose(v, order)


def _restored(v: Array, order: tuple[int, ...]) -> Array:
    return jnp.transpose(v, tuple(int(i) for i in np.argsort(order)))


def _dilated(sizes: tuple[int, ...], steps: tuple[int, ...]) -> list[int]:
    return [(n - 1) * step + 1 for n, step in zip(sizes, steps, strict=True)]


def conv_x_bar(
    y_bar: Array,
    w: Array,
    x_spec: Spec,
    window_strides: Each,
    padding: Sides,
    lhs_dilation: Each,
    rhs_dilation: Each,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
) -> Array:
    form = _form(
        x_spec.shape, w.shape, window_strides, padding, lhs_dilation, rhs_dilation,
        dimension_numbers,
    )  # fmt: skip
    g, kernel = _ordered(y_bar, form.layout.out_spec), _ordered(w, form.layout.rhs_spec)
    shape = tuple(x_spec.shape[i] for i in form.layout.lhs_spec)
    turned = lax.rev(kernel.astype(g.dtype), tuple(range(2, g.ndim)))
    groups = feature_group_count * batch_group_count
    parts = turned.reshape(groups, -1, *turned.shape[1:]).swapaxes(1, 2)
    swapped = parts.reshape(-1, *parts.shape[2:])
    reach = _dilated(g.shape[2:], form.strides)
    spans = _dilated(kernel.shape[2:], form.dilation)
    wide = _dilated(shape[2:], form.spread)
    sides = tuple(
        (k - 1 - low, n + low - m)
        for n, k, m, (low, _) in zip(wide, spans, reach, form.padding, strict=True)
    )
    back = Form(form.spread, sides, form.strides, form.dilation, None)
    x_bar = _plain(g, swapped, back, shape[2:], groups)
    if batch_group_count > 1:
        apart = x_bar.reshape(x_bar.shape[0], batch_group_count, -1, *shape[2:])
        x_bar = apart.swapaxes(0, 1).reshape(shape)
    return _restored(x_bar, form.layout.lhs_spec)


def conv_w_bar(
    y_bar: Array,
    x: Array,
    w_spec: Spec,
    window_strides: Each,
    padding: Sides,
    lhs_dilation: Each,
    rhs_dilation: Each,
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
) -> Array:
    form = _form(
        x.shape, w_spec.shape, window_strides, padding, lhs_dilation, rhs_dilation,
        dimension_numbers,
    )  # fmt: skip
    g, images = _ordered(y_bar, form.layout.out_spec), _ordered(x, form.layout.lhs_spec)
    shape = tuple(w_spec.shape[i] for i in form.layout.rhs_spec)
    lines, filters = images.astype(g.dtype).swapaxes(0, 1), g.swapaxes(0, 1)
    if feature_group_count > 1:  # the channels of a group are images of a group of features
        apart = lines.reshape(feature_group_count, -1, *lines.shape[1:])
        lines = apart.swapaxes(0, 1).reshape(apart.shape[1], -1, *lines.shape[2:])
    reach = _dilated(g.shape[2:], form.strides)
    spans = _dilated(shape[2:], form.dilation)
    wide = _dilated(images.shape[2:], form.spread)
    sides = tuple(
        (low, m + k - n - 1 - low)
        for n, k, m, (low, _) in zip(wide, spans, reach, form.padding, strict=True)
    )
    back = Form(form.dilation, sides, form.spread, form.strides, None)
    groups = feature_group_count * batch_group_count
    sharding = _swapped_sharding(w_spec.sharding, form.layout.rhs_spec)
    w_bar = _plain(lines, filters, back, shape[2:], groups, sharding)
    return _restored(w_bar.swapaxes(0, 1), form.layout.rhs_spec)


def _swapped_sharding(sharding: Any, order: tuple[int, ...]) -> Any:
    """That of w_bar before its axes are put back; the images are summed over, sharded or not."""
    if sharding is None:
        return None
    filters, channels, *rest = (sharding.spec[i] for i in order)
    return NamedSharding(sharding.mesh, PartitionSpec(channels, filters, *rest))


def check_conv(x: Array, w: Array, **options: Any) -> None:
    """Raise for what JAX refuses."""
    if x.ndim != w.ndim or x.ndim < 2:
        raise ShapeError(
            f"conv_general_dilated: w has shape {w.shape}, expected as many axes as x of shape "
            f"{x.shape}, two or more"
        )
    for name in ("window_strides", "lhs_dilation", "rhs_dilation"):
        value = options[name]
        numbers = value if isinstance(value, tuple) else (value,) * (x.ndim - 2)
        if len(numbers) != x.ndim - 2 or any(n < 1 for n in numbers):
            raise OptionError(
                f"conv_general_dilated: {name} is {value!r}, expected an integer of at least 1, "
                f"or one for each of the {x.ndim - 2} spatial axes"
            )
    like = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (x, w)]
    try:
        jax.eval_shape(partial(conv_general_dilated_definition, **options), *like)
    except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise ShapeError(f"conv_general_dilated: {error}") from error


def example_of_images(rng: np.random.Generator) -> tuple[Any, ...]:
    return rng.normal(size=(2, 2, 5)), rng.normal(size=(2, 2, 2))


conv_general_dilated = Gate(
    conv_general_dilated_definition,
    conv_x_bar,
    conv_w_bar,
    primitive="conv_general_dilated",
    options={"window_strides": (1, 2), "padding": (0, ((2, 1),)), "lhs_dilation": (1, 2)},
    example=example_of_images,
    check=check_conv,
)

OPS = (conv_general_dilated,)
