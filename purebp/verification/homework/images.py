"""Convolution and pooling, as courses write them: images (n, c, h, w), options in dictionaries."""

from typing import Any

from purebp.activations import relu
from purebp.layers import avg_pool, conv2d, max_pool
from purebp.verification.homework.call import Bundle, Call, Key, args_of

CONV_PARAM = Bundle("conv_param", (Key("stride", (1, 2)), Key("pad", (0, 1))))
SAME_PARAM = Bundle("conv_param", (Key("stride", (1,)), Key("pad", (1,))))
POOL_KEYS = (Key("pool_height", (2, 4)), Key("pool_width", (2, 4)), Key("stride", (2, 1)))
POOL_PARAM = Bundle("pool_param", POOL_KEYS)
SECOND_POOL = Bundle("pool_param", (*POOL_KEYS[:2], Key("stride", (2, 1), option="pool_stride")))
"""Sizes that divide: some layers refuse all others."""

CONV_SIZES = {"n": 2, "c": 2, "h": 4, "w": 7, "k": 3, "p": 2, "q": 3}
CONV_ARGS = args_of("x: n c h w, w: k c p q, b: k")
SANDWICH_SIZES = {"n": 2, "c": 2, "h": 4, "w": 6, "k": 3, "p": 3, "q": 3}
POOL_SIZES = {"n": 2, "c": 2, "h": 6, "w": 6}
POOL_ARGS = args_of("x: n c h w")


def conv(x: Any, w: Any, b: Any, *, stride: int = 1, pad: int = 0) -> Any:
    """conv2d under the names of CS231n."""
    return conv2d.define(x, w, b, stride=stride, padding=pad)


def conv_without_bias(x: Any, w: Any, *, stride: int = 1, pad: int = 0) -> Any:
    """conv2d without a bias."""
    return conv2d.define(x, w, stride=stride, padding=pad)


def pool(x: Any, *, pool_height: int, pool_width: int, stride: int) -> Any:
    """max_pool under the names of CS231n."""
    return max_pool.define(x, window=(pool_height, pool_width), stride=stride)


def mean_pool(x: Any, *, pool_height: int, pool_width: int, stride: int) -> Any:
    """avg_pool under the names of CS231n."""
    return avg_pool.define(x, window=(pool_height, pool_width), stride=stride)


def conv_relu(x: Any, w: Any, b: Any, *, stride: int, pad: int) -> Any:
    """A convolution and a ReLU."""
    return relu.define(conv(x, w, b, stride=stride, pad=pad))


def conv_relu_pool(
    x: Any,
    w: Any,
    b: Any,
    *,
    stride: int,
    pad: int,
    pool_height: int,
    pool_width: int,
    pool_stride: int,
) -> Any:
    """A convolution, a ReLU and a max pool."""
    y = conv_relu(x, w, b, stride=stride, pad=pad)
    return pool(y, pool_height=pool_height, pool_width=pool_width, stride=pool_stride)


CALLS: dict[tuple[str, ...], tuple[Call, ...]] = {
    ("conv", "conv2d", "convolution"): (
        Call("conv2d", CONV_ARGS, CONV_SIZES, (conv,), (CONV_PARAM,)),
        Call("conv2d", CONV_ARGS[:2], CONV_SIZES, (conv_without_bias,), (CONV_PARAM,)),
    ),
    ("max_pool", "maxpool", "max_pool2d", "maxpool2d", "max_pooling"): (
        Call("max_pool", POOL_ARGS, POOL_SIZES, (pool,), (POOL_PARAM,)),
    ),
    ("avg_pool", "avgpool", "average_pool", "mean_pool", "avg_pool2d", "avgpool2d"): (
        Call("avg_pool", POOL_ARGS, POOL_SIZES, (mean_pool,), (POOL_PARAM,)),
    ),
    ("conv_relu",): (Call("conv2d, relu", CONV_ARGS, SANDWICH_SIZES, (conv_relu,), (SAME_PARAM,)),),
    ("conv_relu_pool",): (
        Call(
            "conv2d, relu, max_pool",
            CONV_ARGS,
            SANDWICH_SIZES,
            (conv_relu_pool,),
            (SAME_PARAM, SECOND_POOL),
        ),
    ),
}
