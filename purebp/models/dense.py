"""Networks of affine layers: the linear classifier, the 2-layer and the N-layer net."""

from purebp.models.blocks import (
    Activation,
    Init,
    Norm,
    activation_layer,
    affine_layer,
    check_sizes,
    dropout_layer,
    norm_layer,
)
from purebp.models.layer import Layer
from purebp.models.model import Model


def linear_classifier(features: int, classes: int, *, init: Init = "small") -> Model:
    """The linear scores y = x W + b.

    Maths: y = x W + b; W_bar = x^T y_bar, b_bar = sum_n y_bar, x_bar = y_bar W^T.
    Shapes: x (n, features); y (n, classes).
    Residuals: those of affine.
    Kinks: none.
    Raises: ShapeError for an x of other features; ArgumentError for other params.
    Source: CS231n, lectures 2 and 4.

    Example:
        >>> model = linear_classifier(4, 3)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.ones((2, 4)))
        >>> y.shape
        (2, 3)
    """
    check_sizes("linear_classifier", features=features, classes=classes)
    layers = [affine_layer("affine1", features, classes, init)]
    return Model("linear_classifier", layers, (features,), doc=linear_classifier.__doc__)


def two_layer_net(features: int, hidden: int, classes: int, *, init: Init = "he") -> Model:
    """The two-layer net y = max(0, x W1 + b1) W2 + b2.

    Maths: h = max(0, x W1 + b1), y = h W2 + b2; backward, the same two layers and the ReLU in
        reverse.
    Shapes: x (n, features); h (n, hidden); y (n, classes).
    Residuals: those of the layers.
    Kinks: h = 0 has the slope of relu.
    Raises: ShapeError for an x of other features; ArgumentError for other params.
    Source: CS231n, lecture 4.

    Example:
        >>> model = two_layer_net(4, 8, 3)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.ones((2, 4)))
        >>> y.shape
        (2, 3)
    """
    check_sizes("two_layer_net", features=features, hidden=hidden, classes=classes)
    layers = [
        affine_layer("affine1", features, hidden, init),
        activation_layer("two_layer_net", "relu", 1),
        affine_layer("affine2", hidden, classes, init),
    ]
    return Model("two_layer_net", layers, (features,), doc=two_layer_net.__doc__)


def n_layer_net(
    features: int,
    hidden: tuple[int, ...],
    classes: int,
    *,
    norm: Norm | None = None,
    dropout: float = 0.0,
    activation: Activation = "relu",
    init: Init = "he",
) -> Model:
    """N layers: (affine - [norm] - activation - [dropout]) for each hidden size, then affine.

    Maths: h_i = dropout(f(norm(h_{i-1} W_i + b_i))), y = h_{N-1} W_N + b_N; backward, the layers
        in reverse.
    Shapes: x (n, features); h_i (n, hidden[i]); y (n, classes).
    Residuals: those of the layers; the masks of dropout are drawn again.
    Kinks: those of the activation.
    Raises: ShapeError for an x of other features; ArgumentError for other params, for evaluation
        of batch norm without a state, for training of dropout without a key; OptionError.
    Source: CS231n, lectures 4 to 7 and assignment 2.

    Example:
        >>> model = n_layer_net(4, (8, 8), 3, norm="layer")
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.ones((2, 4)))
        >>> y.shape
        (2, 3)
    """
    name = "n_layer_net"
    check_sizes(name, features=features, hidden=tuple(hidden), classes=classes)
    layers, width = list[Layer](), features
    for index, size in enumerate(hidden, start=1):
        layers.append(affine_layer(f"affine{index}", width, size, init))
        if norm is not None:
            layers.append(norm_layer(name, norm, size, index))
        layers.append(activation_layer(name, activation, index))
        if dropout != 0:
            layers.append(dropout_layer(name, dropout, index))
        width = size
    layers.append(affine_layer(f"affine{len(hidden) + 1}", width, classes, init))
    return Model(name, layers, (features,), doc=n_layer_net.__doc__)


OPS = (
    linear_classifier(5, 3),
    two_layer_net(5, 7, 3),
    n_layer_net(5, (7, 6), 3, norm="batch", dropout=0.25),
)
