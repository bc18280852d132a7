"""Norms and dropout, as courses write them."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from purebp.activations import relu
from purebp.layers import batch_norm, batch_norm_eval, group_norm, layer_norm
from purebp.verification.homework.call import Bundle, Call, Key, args_of
from purebp.verification.homework.dense import IMAGES, affine_of_rows
from purebp.verification.homework.images import SAME_PARAM, SANDWICH_SIZES, conv

EPS = Key("eps", (1e-5, 0.1))
MODE = Key("mode", ("train", "test"))
FEATURES = {"n": 5, "d": 4}
NORM_ARGS = args_of("x: n d, gamma: d, beta: d")
PICTURES = {"n": 3, "c": 4, "h": 2, "w": 3}
SPATIAL_ARGS = args_of("x: n c h w, gamma: c, beta: c")


def running(channels: int) -> dict[str, np.ndarray]:
    """Running statistics of batch norm, made anew: they are overwritten."""
    mean = np.linspace(-0.5, 0.5, channels)
    return {"running_mean": mean, "running_var": np.linspace(0.5, 1.5, channels)}


def running_of(x: Any, *arrays: Any) -> dict[str, np.ndarray]:
    """Running statistics for the channels of x."""
    return running(x.shape[1])


def running_of_gamma(x: Any, w: Any, b: Any, gamma: Any, beta: Any) -> dict[str, np.ndarray]:
    """Running statistics for the channels in the middle of a sandwich."""
    return running(gamma.shape[0])


BN_PARAM = Bundle("bn_param", (MODE, EPS), running_of)
BN_IN_SANDWICH = Bundle("bn_param", (Key("mode", ("train",)), EPS), running_of_gamma)
LN_PARAM = Bundle("ln_param", (EPS,))
GN_PARAM = Bundle("gn_param", (EPS,))
GROUPS = Bundle("G", (Key("groups", (2, 4, 1)),), plain=True)


def normalized(x: Any, gamma: Any, beta: Any, *, mode: str = "train", eps: float = 1e-5) -> Any:
    """Batch norm in training, or with the running statistics."""
    if mode == "train":
        return batch_norm.define(x, gamma, beta, eps=eps)[0]
    known = running(x.shape[1])
    mean, var = (jnp.asarray(known[name], x.dtype) for name in ("running_mean", "running_var"))
    return batch_norm_eval.define(x, gamma, beta, mean, var, eps=eps)


def normalized_groups(x: Any, gamma: Any, beta: Any, *, groups: int = 2, eps: float = 1e-5) -> Any:
    """Group norm; gamma and beta may have axes of 1, as in CS231n."""
    return group_norm.define(x, gamma.reshape(-1), beta.reshape(-1), groups=groups, eps=eps)


def affine_bn_relu(x: Any, w: Any, b: Any, gamma: Any, beta: Any, *, mode: str, eps: float) -> Any:
    """An affine layer, batch norm and a ReLU."""
    return relu.define(normalized(affine_of_rows(x, w, b), gamma, beta, mode=mode, eps=eps))


def affine_ln_relu(x: Any, w: Any, b: Any, gamma: Any, beta: Any, *, eps: float) -> Any:
    """An affine layer, layer norm and a ReLU."""
    return relu.define(layer_norm.define(affine_of_rows(x, w, b), gamma, beta, eps=eps))


def conv_bn_relu(
    x: Any,
    w: Any,
    b: Any,
    gamma: Any,
    beta: Any,
    *,
    stride: int,
    pad: int,
    mode: str,
    eps: float,
) -> Any:
    """A convolution, batch norm and a ReLU."""
    y = conv(x, w, b, stride=stride, pad=pad)
    return relu.define(normalized(y, gamma, beta, mode=mode, eps=eps))


def judge_dropout(out: Any, arrays: tuple[Any, ...], options: Any) -> str:
    """Each entry is dropped or scaled up; p is the share that is kept, or that is dropped."""
    x, out, p = np.asarray(arrays[0]), np.asarray(out), options["p"]
    if out.shape != x.shape:
        return f"the output has shape {out.shape}, expected {x.shape}"
    if options["mode"] == "test":
        return "" if np.allclose(out, x) else "in mode 'test' the output is not the input"
    for kept in (p, 1 - p):
        passed = np.isclose(out, x / kept)
        share = float(passed.mean())
        if np.all(passed | (out == 0)) and abs(share - kept) < 0.25:
            return ""
    return f"in mode 'train' entries are neither 0 nor x / {p}, or the shares are not those of p"


def seeded(x: Any) -> dict[str, int]:
    """The seed of the mask."""
    return {"seed": 123}


DROPOUT_PARAM = Bundle("dropout_param", (Key("p", (0.7, 0.4)), MODE), seeded)
SANDWICH_ARGS = args_of("x: n a e, w: d m, b: m, gamma: m, beta: m")

CALLS: dict[tuple[str, ...], tuple[Call, ...]] = {
    ("batchnorm", "batch_norm", "bn", "batchnorm1d", "batch_normalization"): (
        Call("batch_norm", NORM_ARGS, FEATURES, (normalized,), (BN_PARAM,)),
    ),
    ("spatial_batchnorm", "spatial_batch_norm", "batchnorm2d", "batch_norm2d"): (
        Call("batch_norm", SPATIAL_ARGS, PICTURES, (normalized,), (BN_PARAM,)),
    ),
    ("layernorm", "layer_norm", "ln", "layer_normalization"): (
        Call("layer_norm", NORM_ARGS, FEATURES, (layer_norm.define,), (LN_PARAM,)),
    ),
    ("groupnorm", "group_norm", "spatial_groupnorm", "spatial_group_norm", "gn"): (
        Call(
            "group_norm",
            args_of("x: n c h w, gamma: 1 c 1 1, beta: 1 c 1 1"),
            PICTURES,
            (normalized_groups,),
            (GROUPS, GN_PARAM),
        ),
        Call("group_norm", SPATIAL_ARGS, PICTURES, (normalized_groups,), (GROUPS, GN_PARAM)),
    ),
    ("dropout",): (
        Call(
            "dropout",
            args_of("x: n d"),
            {"n": 8, "d": 6},
            bundles=(DROPOUT_PARAM,),
            judge=judge_dropout,
        ),
    ),
    ("affine_bn_relu", "affine_batchnorm_relu", "affine_norm_relu"): (
        Call(
            "affine, batch_norm, relu",
            SANDWICH_ARGS,
            IMAGES,
            (affine_bn_relu,),
            (BN_IN_SANDWICH,),
        ),
    ),
    ("affine_ln_relu", "affine_layernorm_relu"): (
        Call("affine, layer_norm, relu", SANDWICH_ARGS, IMAGES, (affine_ln_relu,), (LN_PARAM,)),
    ),
    ("conv_bn_relu", "conv_batchnorm_relu"): (
        Call(
            "conv2d, batch_norm, relu",
            args_of("x: n c h w, w: k c p q, b: k, gamma: k, beta: k"),
            SANDWICH_SIZES,
            (conv_bn_relu,),
            (SAME_PARAM, BN_IN_SANDWICH),
        ),
    ),
}
