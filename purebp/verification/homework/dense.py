"""Affine layers and activations, as courses write them."""

from typing import Any

import jax.numpy as jnp

from purebp.activations import elu, gelu, leaky_relu, relu, softmax
from purebp.layers import affine
from purebp.verification.homework.call import Bundle, Call, Key, args_of

FLAT = {"n": 4, "d": 6, "m": 5}
IMAGES = {"n": 4, "a": 2, "e": 3, "d": 6, "m": 5}
SEQUENCE = {"n": 2, "t": 3, "d": 4, "m": 5}
WEIGHTS = args_of("x: n d, w: d m, b: m")


def flattened(x: Any) -> Any:
    """Each example as one row."""
    return x.reshape(x.shape[0], -1)


def affine_of_rows(x: Any, w: Any, b: Any) -> Any:
    """CS231n's affine layer flattens what comes in."""
    return affine.define(flattened(x), w, b)


def affine_relu(x: Any, w: Any, b: Any) -> Any:
    """An affine layer and a ReLU."""
    return relu.define(affine_of_rows(x, w, b))


def affine_without_bias(x: Any, w: Any) -> Any:
    """Scores."""
    return affine.define(x, w, jnp.zeros(w.shape[1], x.dtype))


def affine_transposed(x: Any, w: Any, b: Any) -> Any:
    """With a row of weights for each unit, as in PyTorch."""
    return affine.define(x, w.T, b)


def temporal_affine(x: Any, w: Any, b: Any) -> Any:
    """The same affine layer at every time."""
    return affine.define(x, w, b)


def gelu_exact(x: Any) -> Any:
    """GELU by the error function."""
    return gelu.define(x, approximate=False)


def softmax_of_columns(x: Any) -> Any:
    """Softmax over the first axis."""
    return softmax.define(x, axis=0)


def leaky(x: Any, *, alpha: float) -> Any:
    """Leaky ReLU with a given slope."""
    return leaky_relu.define(x, slope=alpha)


def elu_of(x: Any, *, alpha: float) -> Any:
    """ELU with a given alpha."""
    return elu.define(x, alpha=alpha)


IMAGE_WEIGHTS = args_of("x: n a e, w: d m, b: m")
AFFINE_3D = Call("affine", IMAGE_WEIGHTS, IMAGES, (affine_of_rows,))
AFFINE_2D = Call("affine", WEIGHTS, FLAT, (temporal_affine,))
AFFINE_T = Call("affine", args_of("x: n d, w: m d, b: m"), FLAT, (affine_transposed,))
AFFINE_NO_BIAS = Call("affine", args_of("x: n d, w: d m"), FLAT, (affine_without_bias,))

ELEMENTWISE = args_of("x: n m")
ELEMENTWISE_SIZES = {"n": 3, "m": 4}
SLOPE = Bundle("alpha", (Key("alpha", (0.1, 0.3)),), plain=True)

CALLS: dict[tuple[str, ...], tuple[Call, ...]] = {
    ("affine",): (AFFINE_3D, AFFINE_2D, AFFINE_T, AFFINE_NO_BIAS),
    ("linear", "dense", "fc", "fully_connected", "inner_product"): (
        AFFINE_2D,
        AFFINE_T,
        AFFINE_3D,
        AFFINE_NO_BIAS,
    ),
    ("affine_relu", "linear_relu", "fc_relu"): (
        Call("affine, relu", IMAGE_WEIGHTS, IMAGES, (affine_relu,)),
        Call("affine, relu", WEIGHTS, FLAT, (affine_relu,)),
    ),
    ("temporal_affine", "temporal_fc", "time_distributed"): (
        Call("affine", args_of("x: n t d, w: d m, b: m"), SEQUENCE, (temporal_affine,)),
    ),
    ("gelu",): (Call("gelu", ELEMENTWISE, ELEMENTWISE_SIZES, (gelu.define, gelu_exact)),),
    ("softmax",): (
        Call("softmax", ELEMENTWISE, ELEMENTWISE_SIZES, (softmax.define, softmax_of_columns)),
    ),
    ("leaky_relu", "lrelu", "leakyrelu"): (
        Call("leaky_relu", ELEMENTWISE, ELEMENTWISE_SIZES, (leaky,), (SLOPE,)),
    ),
    ("elu",): (Call("elu", ELEMENTWISE, ELEMENTWISE_SIZES, (elu_of,), (SLOPE,)),),
}
