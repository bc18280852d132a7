"""Recipes for the digits: model, epochs, learning rates, augmentation.

They were chosen by cross-validation on the 1,347 training digits alone; the test digits chose
nothing. AlexNet's, ViT's and the VAE's come from one split, ResNet's were not searched for. The
learning rate falls from its first value to 0 along half a cosine over the run. Only the nets of
images move their images: by up to half a pixel, anew in each mini-batch.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import optax

from purebp.errors import OptionError
from purebp.models import (
    Model,
    Vae,
    alexnet,
    conv_net,
    lenet5,
    linear_classifier,
    resnet,
    two_layer_net,
    vae,
    vit,
)
from purebp.training.augment import shift_images
from purebp.training.digits import CLASSES, SHAPE
from purebp.training.loop import Augment

Optimizer = Callable[[optax.Schedule], optax.GradientTransformation]

OPTIMIZERS: Mapping[str, Optimizer] = {
    "sgd": optax.sgd,
    "momentum": partial(optax.sgd, momentum=0.9),
    "adam": optax.adam,
}


class Recipe(NamedTuple):
    """How one model learns the digits."""

    build: Callable[[], Model]
    epochs: int
    learning_rates: Mapping[str, float]
    flat: bool = False
    augment: Augment | None = None
    batch: int = 32


def linear() -> Model:
    """The 64 pixels to 10 scores."""
    return linear_classifier(64, CLASSES)


def mlp() -> Model:
    """64 pixels, 128 hidden units, 10 scores."""
    return two_layer_net(64, 128, CLASSES)


def conv() -> Model:
    """Conv 32, conv 64, each with ReLU and pooling, then affine."""
    return conv_net(SHAPE, CLASSES, filters=(32, 64))


def lenet() -> Model:
    """LeNet-5 on 8 x 8 images."""
    return lenet5(SHAPE, CLASSES)


def small_alexnet() -> Model:
    """AlexNet's layers at the size of the digits, 128 hidden units."""
    return alexnet(SHAPE, CLASSES, small=True, hidden=128)


def small_resnet() -> Model:
    """Three stages of one block, with 16, 32 and 64 filters."""
    return resnet(SHAPE, CLASSES, filters=(16, 32, 64), blocks=1, large=False)


def small_vit() -> Model:
    """16 patches of 2 x 2 pixels, 2 blocks of 4 heads, 64 features."""
    return vit(SHAPE, CLASSES, patch=2, width=64, heads=4, depth=2, expansion=2, spread=0.5)


RECIPES: Mapping[str, Recipe] = {
    "linear": Recipe(linear, 40, {"sgd": 1.0, "momentum": 0.1, "adam": 0.01}, flat=True),
    "mlp": Recipe(mlp, 40, {"sgd": 0.3, "momentum": 0.1, "adam": 0.01}, flat=True),
    "conv": Recipe(conv, 40, {"sgd": 0.3, "momentum": 0.03, "adam": 4e-3}, augment=shift_images),
    "lenet": Recipe(lenet, 40, {"sgd": 0.1, "momentum": 0.03, "adam": 4e-3}, augment=shift_images),
    "alexnet": Recipe(
        small_alexnet, 30, {"sgd": 0.1, "momentum": 0.01, "adam": 3e-3}, augment=shift_images
    ),
    "resnet": Recipe(
        small_resnet, 20, {"sgd": 0.1, "momentum": 0.03, "adam": 4e-3}, augment=shift_images
    ),
    "vit": Recipe(
        small_vit, 30, {"sgd": 0.3, "momentum": 0.03, "adam": 2e-3}, augment=shift_images
    ),
}


def small_vae() -> Vae:
    """64 pixels, 256 hidden units, a code of 8 numbers."""
    return vae(64, 256, 8)


AUTOENCODERS: Mapping[str, Recipe] = {
    "vae": Recipe(small_vae, 300, {"sgd": 0.05, "momentum": 5e-3, "adam": 4e-3}, flat=True),
}


def make_optimizer(name: str, learning_rate: float, updates: int) -> optax.GradientTransformation:
    """An optimizer whose learning rate falls to 0 along half a cosine over that many updates."""
    if name not in OPTIMIZERS:
        raise OptionError(f"optimizer is {name!r}, expected one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](optax.cosine_decay_schedule(learning_rate, updates))
