"""AlexNet: five convolutions and three affine layers.

It is not in the catalogue: to compile it takes too long for every check. tests/models/test_deep.py
holds it against plain JAX.
"""

from purebp.layers import local_response_norm, max_pool
from purebp.models.blocks import (
    Init,
    activation_layer,
    affine_layer,
    check_sizes,
    conv_layer,
    dropout_layer,
    flatten_layer,
)
from purebp.models.images import Shape, check_image
from purebp.models.layer import Layer
from purebp.models.model import Model

# filters, size of the kernels, stride, padding, groups; a norm and a pool behind them or not
ORIGINAL = (
    (96, 11, 4, 0, 1, True, True),
    (256, 5, 1, 2, 2, True, True),
    (384, 3, 1, 1, 1, False, False),
    (384, 3, 1, 1, 2, False, False),
    (256, 3, 1, 1, 2, False, True),
)
SMALL = (
    (32, 3, 1, 1, 1, True, True),
    (64, 3, 1, 1, 2, True, False),
    (64, 3, 1, 1, 1, False, False),
    (64, 3, 1, 1, 2, False, False),
    (64, 3, 1, 1, 2, False, False),
)


def alexnet(
    shape: Shape,
    classes: int,
    *,
    small: bool = False,
    hidden: int = 4096,
    dropout: float = 0.5,
    init: Init = "he",
) -> Model:
    """AlexNet: conv - relu - response norm - pool, twice, three convs, pool, three affine layers.

    For 3 x 227 x 227 images the network of 2012, its two halves as two groups in the second, fourth
    and fifth convolution. `small`: the same layers for small images such as 1 x 8 x 8, with 3 x 3
    kernels of stride 1, a third to a sixth of the filters, and the first of the pools only.

    Maths: as its layers; backward, the layers in reverse.
    Shapes: x (n, c, h, w), at least 67 x 67, small 3 x 3; y (n, classes). The pools are 3 x 3 with
        a stride of 2 and overlap.
    Residuals: those of the layers; the masks of dropout are drawn again.
    Kinks: those of relu and of max pooling.
    Raises: ShapeError for an x of another shape; ArgumentError for other params, for training
        without a key; OptionError.
    Source: Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional
        neural networks", section 3.

    Example:
        >>> model = alexnet((3, 227, 227), 1000)
        >>> [layer.name for layer in model.layers][:4]
        ['conv1', 'relu1', 'response1', 'pool1']
    """
    name = "alexnet"
    c, h, w = check_image(name, shape, 3 if small else 67)
    check_sizes(name, classes=classes, hidden=hidden)
    layers = list[Layer]()
    for index, (k, size, stride, padding, groups, norm, pool) in enumerate(
        SMALL if small else ORIGINAL, start=1
    ):
        conv = conv_layer(f"conv{index}", c, k, size, padding, init, stride=stride, groups=groups)
        layers += [conv, activation_layer(name, "relu", index)]
        c, h, w = k, *((side - size + 2 * padding) // stride + 1 for side in (h, w))
        if norm:
            layers.append(Layer(f"response{index}", local_response_norm))
        if pool:
            layers.append(Layer(f"pool{index}", max_pool.with_options(window=3, stride=2)))
            h, w = (h - 3) // 2 + 1, (w - 3) // 2 + 1
    layers.append(flatten_layer())
    width = c * h * w
    for index in (1, 2):
        if dropout != 0:
            layers.append(dropout_layer(name, dropout, index))
        layers.append(affine_layer(f"affine{index}", width, hidden, init))
        layers.append(activation_layer(name, "relu", index + 5))
        width = hidden
    layers.append(affine_layer("affine3", width, classes, init))
    return Model(name, layers, shape, doc=alexnet.__doc__)
