"""ViT: an image is a row of patches, and what reads them is an encoder of attention."""

import math
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.errors import OptionError
from purebp.gates import mean
from purebp.layers import affine, layer_norm, multi_head_attention, patches
from purebp.models.blocks import check_sizes, residual
from purebp.models.images import Shape, check_image
from purebp.models.layer import Layer, Weight
from purebp.models.model import Model
from purebp.models.transformer import (
    PROJECTIONS,
    SPREAD,
    add_positions,
    biased_attention,
    mlp_weights,
    norm_weights,
    think,
)
from purebp.op import Op
from purebp.residuals import Spec, spec_of

Summary = Literal["token", "mean"]

attend_all = residual(
    "attention", (layer_norm, multi_head_attention), (("gamma", "beta"), PROJECTIONS)
)


def put_first_definition(
    x: Float[Array, "*batch t d"], token: Float[Array, "d"]
) -> Float[Array, "*batch t1 d"]:
    """y = [token, x_1, ..., x_t]: a learned token in front of the others.

    Maths: x_bar_t = y_bar_(t+1), token_bar = the sum of y_bar_0 over the examples.
    """
    first = jnp.broadcast_to(token, (*x.shape[:-2], 1, x.shape[-1]))
    return jnp.concatenate([first, x], axis=-2)


def put_first_fwd(x: Array, token: Array) -> tuple[Array, tuple[Spec, Spec]]:
    return put_first_definition(x, token), (spec_of(x), spec_of(token))


def put_first_bwd(res: tuple[Spec, Spec], y_bar: Array) -> tuple[Array, Array]:
    x, token = res
    token_bar = jnp.sum(y_bar[..., 0, :], axis=tuple(range(y_bar.ndim - 2)))
    return y_bar[..., 1:, :].astype(x.dtype), token_bar.astype(token.dtype)


def take_first_definition(x: Float[Array, "*batch t d"]) -> Float[Array, "*batch d"]:
    """y = x_0: the first token alone.

    Maths: x_bar_0 = y_bar, 0 for the others.
    """
    return x[..., 0, :]


def take_first_fwd(x: Array) -> tuple[Array, Spec]:
    return x[..., 0, :], spec_of(x)


def take_first_bwd(res: Spec, y_bar: Array) -> tuple[Array]:
    zeros = [(0, 0)] * (y_bar.ndim - 1)
    return (jnp.pad(y_bar[..., None, :], [*zeros, (0, res.shape[-2] - 1), (0, 0)]),)


put_first = Op(put_first_fwd, put_first_bwd, put_first_definition)
take_first = Op(take_first_fwd, take_first_bwd, take_first_definition)


def vit(
    shape: Shape,
    classes: int,
    *,
    patch: int = 16,
    width: int = 192,
    heads: int = 3,
    depth: int = 12,
    expansion: int = 4,
    summary: Summary = "token",
    spread: float = SPREAD,
) -> Model:
    """ViT: patches as tokens, blocks of attention, an affine layer; as it stands, ViT-Tiny/16.

    Maths: x = [class, patches W + b] + positions; `depth` times x = x + attention(norm(x)), every
        token sees all, and x = x + gelu(norm(x) W_up + b_up) W_down + b_down; the first token of
        norm(x), affine. `summary="mean"`: no class token, the mean over the tokens in its place.
        Backward, the layers in reverse.
    Shapes: x (n, c, h, w); h w / patch^2 tokens, and the class; y (n, classes). Attention has
        `heads` heads of width/heads features, the hidden layer width * expansion. `spread` is
        that of the first positions: with 0.5 a small net tells its tokens apart from the start.
    Residuals: those of the layers: linear in the number of tokens.
    Kinks: none.
    Raises: ShapeError for an x of another shape; ArgumentError for other params; OptionError
        unless patch divides the image and heads the width, for an unknown summary.
    Source: Dosovitskiy et al. 2020, "An image is worth 16x16 words", section 3.1; the mean: Beyer,
        Zhai and Kolesnikov 2022, "Better plain ViT baselines".

    Example:
        >>> model = vit((1, 8, 8), 10, patch=4, width=8, heads=2, depth=1)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.ones((2, 1, 8, 8)))
        >>> y.shape
        (2, 10)
    """
    name = "vit"
    c, h, w = check_image(name, shape, 1)
    sizes = {"width": width, "heads": heads, "depth": depth, "expansion": expansion}
    check_sizes(name, classes=classes, patch=patch, **sizes)
    if h % patch or w % patch:
        raise OptionError(f"{name}: patch is {patch}, expected one that divides {h} x {w} pixels")
    if width % heads:
        raise OptionError(f"{name}: width is {width}, expected a multiple of the {heads} heads")
    if summary not in ("token", "mean"):
        raise OptionError(f"{name}: summary is {summary!r}, expected 'token' or 'mean'")
    pixels, tokens = c * patch * patch, (h // patch) * (w // patch)
    with_token = summary == "token"
    first = width**-0.5
    narrow = first / math.sqrt(2 * depth)
    norm = norm_weights(width)
    attention = norm | biased_attention(width, heads, narrow, first)
    mlp = norm | mlp_weights(width, width * expansion, narrow, first)
    embed = {"w": Weight((pixels, width), pixels**-0.5), "b": Weight((width,))}
    layers = [
        Layer("patches", patches.with_options(size=patch)),
        Layer("embed", affine, embed),
    ]
    if with_token:
        layers.append(Layer("class", put_first, {"token": Weight((width,), SPREAD)}))
    table = Weight((tokens + with_token, width), spread)
    layers.append(Layer("positions", add_positions, {"table": table}))
    for index in range(1, depth + 1):
        layers.append(Layer(f"attention{index}", attend_all, attention))
        layers.append(Layer(f"mlp{index}", think, mlp))
    layers.append(Layer("norm", layer_norm, norm))
    layers.append(Layer("summary", take_first if with_token else mean.with_options(axis=1)))
    head = {"w": Weight((width, classes), first), "b": Weight((classes,))}
    layers.append(Layer("affine1", affine, head))
    return Model(name, layers, shape, doc=vit.__doc__)


OPS = (vit((1, 4, 4), 3, patch=2, width=4, heads=2, depth=1, expansion=2),)
