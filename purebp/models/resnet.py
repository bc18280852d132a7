"""ResNet: blocks of two convolutions with a shortcut around them."""

from typing import cast

from purebp.layers import global_avg_pool, max_pool
from purebp.models.blocks import (
    Init,
    activation_layer,
    affine_layer,
    check_sizes,
    conv_layer,
    norm_layer,
)
from purebp.models.images import Shape, check_image
from purebp.models.layer import Layer
from purebp.models.model import Model
from purebp.models.residual import Part, Residual


def resnet(
    shape: Shape,
    classes: int,
    *,
    filters: tuple[int, ...] = (64, 128, 256, 512),
    blocks: int = 2,
    large: bool = True,
    init: Init = "he",
) -> Model:
    """ResNet of basic blocks with batch norm; as it stands, ResNet-18.

    A stage for each number of filters, with `blocks` blocks: conv 3x3 - norm - relu - conv 3x3 -
    norm, plus x, relu. The first block of each stage but the first halves the image by a stride of
    2; where the shape changes, the shortcut is a 1x1 convolution and a norm. In front: `large`,
    for images such as 3 x 224 x 224, conv 7x7 stride 2 - norm - relu - max pool 3x3 stride 2; else
    conv 3x3 - norm - relu. At the end: the mean of each channel, affine.

    Maths: h' = relu(h + g(h)) or relu(P h + g(h)); h_bar = the backward pass of g, plus y_bar or
        that of P. The gradient goes around g unchanged.
    Shapes: x (n, c, h, w); y (n, classes).
    Residuals: those of the layers; around a block only the value itself.
    Kinks: those of relu and of max pooling.
    Raises: ShapeError for an x of another shape; ArgumentError for other params, for evaluation
        without a state; OptionError.
    Source: He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition", section
        3.3 and table 1 (option B).

    Example:
        >>> model = resnet((3, 16, 16), 10, filters=(4, 8), blocks=1, large=False)
        >>> params, state = model.init(jax.random.key(0)), model.init_state()
        >>> y, state = model(params, jnp.ones((2, 3, 16, 16)), state)
        >>> y.shape
        (2, 10)
    """
    name = "resnet"
    filters = tuple(filters)
    c, *_ = check_image(name, shape, 4 if large else 1)
    check_sizes(name, classes=classes, filters=filters, blocks=blocks)
    size, stride = (7, 2) if large else (3, 1)
    parts = list[Part](_conv_norm(0, c, filters[0], size, stride, init))
    parts.append(activation_layer(name, "relu", "0"))
    if large:
        parts.append(Layer("pool0", max_pool.with_options(window=3, stride=2, padding=1)))
    width = filters[0]
    for stage, k in enumerate(filters, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            place = f"{stage}_{block}"
            parts.append(_block(place, width, k, stride, init))
            parts.append(activation_layer(name, "relu", place))
            width = k
    parts += [Layer("mean", global_avg_pool), affine_layer("affine1", width, classes, init)]
    return Model(name, parts, shape, doc=resnet.__doc__)


def _block(place: str, c: int, k: int, stride: int, init: Init) -> Residual:
    main = (
        *_conv_norm(f"{place}a", c, k, 3, stride, init),
        activation_layer("resnet", "relu", f"{place}a"),
        *_conv_norm(f"{place}b", k, k, 3, 1, init),
    )
    changes = stride > 1 or c != k
    shortcut = _conv_norm(f"{place}s", c, k, 1, stride, init) if changes else ()
    return Residual(f"block{place}", main, cast(tuple[Part, ...], shortcut))


def _conv_norm(
    place: str | int, c: int, k: int, size: int, stride: int, init: Init
) -> tuple[Layer, Layer]:
    """A convolution without a bias, which the norm would take away again; and the norm."""
    conv = conv_layer(f"conv{place}", c, k, size, size // 2, init, stride=stride, bias=False)
    return conv, norm_layer("resnet", "batch", k, place)


OPS = (resnet((1, 3, 3), 3, filters=(2,), blocks=1, large=False),)
