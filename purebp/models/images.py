"""Networks of images: conv-relu-pool blocks, and LeNet-5."""

from purebp.errors import OptionError
from purebp.models.blocks import (
    Activation,
    Init,
    Pool,
    activation_layer,
    affine_layer,
    check_sizes,
    conv_layer,
    flatten_layer,
    pool_layer,
)
from purebp.models.layer import Layer
from purebp.models.model import Model

Shape = tuple[int, int, int]


def conv_net(
    shape: Shape,
    classes: int,
    *,
    filters: tuple[int, ...] = (16, 32),
    size: int = 3,
    init: Init = "he",
) -> Model:
    """The conv net: (conv - relu - max pool) for each number of filters, then affine.

    Maths: h_i = pool(max(0, h_{i-1} * K_i + b_i)), y = vec(h) W + b; backward, the layers in
        reverse.
    Shapes: x (n, c, h, w); each convolution keeps height and width (odd `size`, stride 1, padding
        (size - 1)/2), each 2 x 2 pool halves them, rounding down; y (n, classes).
    Residuals: those of the layers.
    Kinks: those of relu and of max pooling.
    Raises: ShapeError for an x of another shape; ArgumentError for other params; OptionError if
        the image is too small for that many pools.
    Source: the notes' conv-relu-pool net; CS231n, lecture 5.

    Example:
        >>> model = conv_net((1, 8, 8), 10, filters=(4,))
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.ones((2, 1, 8, 8)))
        >>> y.shape
        (2, 10)
    """
    name = "conv_net"
    filters = tuple(filters)
    c, h, w = check_image(name, shape, 2 ** len(filters))
    check_sizes(name, classes=classes, filters=filters, size=size)
    if size % 2 == 0:
        raise OptionError(f"{name}: size is {size}, expected an odd size of the kernels")
    layers = list[Layer]()
    for index, k in enumerate(filters, start=1):
        layers += [
            conv_layer(f"conv{index}", c, k, size, (size - 1) // 2, init),
            activation_layer(name, "relu", index),
            pool_layer(name, "max", index),
        ]
        c, h, w = k, h // 2, w // 2
    layers += [flatten_layer(), affine_layer("affine1", c * h * w, classes, init)]
    return Model(name, layers, shape, doc=conv_net.__doc__)


def lenet5(
    shape: Shape,
    classes: int,
    *,
    pool: Pool = "max",
    activation: Activation = "relu",
    init: Init = "he",
) -> Model:
    """LeNet-5, adapted: conv 6, pool, conv 16, pool, affine 120, affine 84, affine classes.

    What differs from 1998: max pooling (`pool="avg"` for averages; neither has the original's
    learned scale and bias); ReLU (`activation="tanh"` for the original's kind); every kernel of
    the second convolution sees all 6 maps; plain scores instead of radial basis units. The 5 x 5
    convolutions have no padding where the maps are as large as the original's (32 x 32 at first,
    14 x 14 then) and keep the size of smaller ones with a padding of 2.

    Maths: as its layers; backward, the layers in reverse.
    Shapes: x (n, c, h, w) from 4 x 4 on, for example 1 x 8 x 8, 1 x 28 x 28, 1 x 32 x 32;
        y (n, classes).
    Residuals: those of the layers.
    Kinks: those of the activation and of max pooling.
    Raises: ShapeError for an x of another shape; ArgumentError for other params; OptionError.
    Source: LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
        recognition", section II.B.

    Example:
        >>> model = lenet5((1, 32, 32), 10)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.ones((2, 1, 32, 32)))
        >>> y.shape
        (2, 10)
    """
    name = "lenet5"
    c, h, w = check_image(name, shape, 4)
    check_sizes(name, classes=classes)
    layers = list[Layer]()
    for index, (k, full) in enumerate([(6, 32), (16, 14)], start=1):
        padding = 0 if min(h, w) >= full else 2
        layers += [
            conv_layer(f"conv{index}", c, k, 5, padding, init),
            activation_layer(name, activation, index),
            pool_layer(name, pool, index),
        ]
        c, h, w = k, (h - 4 + 2 * padding) // 2, (w - 4 + 2 * padding) // 2
    layers += [
        flatten_layer(),
        affine_layer("affine1", c * h * w, 120, init),
        activation_layer(name, activation, 3),
        affine_layer("affine2", 120, 84, init),
        activation_layer(name, activation, 4),
        affine_layer("affine3", 84, classes, init),
    ]
    return Model(name, layers, shape, doc=lenet5.__doc__)


def check_image(model: str, shape: Shape, least: int) -> Shape:
    """The shape, or an error if it is none or too small for the pools."""
    if len(shape) != 3:
        raise OptionError(f"{model}: shape is {shape!r}, expected (channels, height, width)")
    check_sizes(model, shape=tuple(shape))
    if min(shape[1:]) < least:
        raise OptionError(
            f"{model}: the image is {shape[1]} x {shape[2]}, expected at least {least} x {least} "
            "for the pools"
        )
    return shape


OPS = (conv_net((1, 8, 8), 3, filters=(2, 3)), lenet5((1, 8, 8), 3))
