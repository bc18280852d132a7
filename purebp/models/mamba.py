"""Mamba: a language model without attention, of selective scans."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.activations import softplus, swiglu, swish
from purebp.layers import affine, causal_conv1d, embedding, rms_norm, selective_scan
from purebp.models.blocks import check_sizes, residual
from purebp.models.layer import Layer, Tree, Weight
from purebp.models.model import Model
from purebp.models.transformer import SPREAD, unembed
from purebp.numerics import zeros_of
from purebp.op import Op
from purebp.residuals import Residuals

SHORTEST, LONGEST = 1e-3, 0.1
"""The steps delta that the features begin with, as in Mamba."""


def mixer_definition(
    x: Float[Array, "n t d"],
    w_in: Float[Array, "d twice"],
    w_conv: Float[Array, "e k"],
    b_conv: Float[Array, "e"],
    w_x: Float[Array, "e parts"],
    w_delta: Float[Array, "r e"],
    b_delta: Float[Array, "e"],
    log_a: Float[Array, "e s"],
    direct: Float[Array, "e"],
    w_out: Float[Array, "e d"],
) -> Float[Array, "n t d"]:
    """What a block of Mamba adds: a projection, a convolution, a selective scan, a gate.

    Maths: (u, z) = x W_in; u = swish(conv(u)); (r, b, c) = u W_x; delta = softplus(r W_delta +
        b_delta); y = (scan(u, delta, -e^log_a, b, c, direct) swish(z)) W_out. Backward, the same
        steps in reverse; u has two uses, whose cotangents add, and log_a_bar = a_bar a.
    """
    u, z = jnp.split(affine.define(x, w_in), 2, axis=-1)
    u = swish.define(_turned(causal_conv1d.define(_turned(u), w_conv, b_conv)))
    low, b, c = jnp.split(affine.define(u, w_x), _cuts(w_delta.shape[0], log_a), axis=-1)
    delta = softplus.define(affine.define(low, w_delta, b_delta))
    y, _ = selective_scan.define(u, delta, -jnp.exp(log_a), b, c, direct)
    return affine.define(swiglu.define(z, y), w_out)


class MixerResiduals(NamedTuple):
    enter: Residuals
    conv: Residuals
    swish: Residuals
    parts: Residuals
    project: Residuals
    softplus: Residuals
    scan: Residuals
    gate: Residuals
    leave: Residuals
    log_a: Float[Array, "e s"]


def mixer_fwd(
    x: Array,
    w_in: Array,
    w_conv: Array,
    b_conv: Array,
    w_x: Array,
    w_delta: Array,
    b_delta: Array,
    log_a: Array,
    direct: Array,
    w_out: Array,
) -> tuple[Array, MixerResiduals]:
    both, enter = affine.fwd(x, w_in)
    u, z = jnp.split(both, 2, axis=-1)
    u, conv = causal_conv1d.fwd(_turned(u), w_conv, b_conv)
    u, bent = swish.fwd(_turned(u))
    joined, parts = affine.fwd(u, w_x)
    low, b, c = jnp.split(joined, _cuts(w_delta.shape[0], log_a), axis=-1)
    delta, project = affine.fwd(low, w_delta, b_delta)
    delta, above = softplus.fwd(delta)
    (y, _), scan = selective_scan.fwd(u, delta, -jnp.exp(log_a), b, c, direct)
    y, gate = swiglu.fwd(z, y)
    y, leave = affine.fwd(y, w_out)
    return y, MixerResiduals(enter, conv, bent, parts, project, above, scan, gate, leave, log_a)


def mixer_bwd(res: MixerResiduals, y_bar: Array) -> tuple[Array, ...]:
    y_bar, w_out_bar, _ = affine.bwd(res.leave, y_bar)
    z_bar, y_bar = swiglu.bwd(res.gate, y_bar)
    last = res.scan.output[1][1]
    last_bar = zeros_of(jnp.sum(y_bar, axis=1)[..., None] * res.log_a).astype(last.dtype)
    scanned_bar = selective_scan.bwd(res.scan, (y_bar, last_bar))
    u_bar, delta_bar, a_bar, b_bar, c_bar, direct_bar, _ = scanned_bar
    log_a_bar = (-a_bar * jnp.exp(res.log_a)).astype(res.log_a.dtype)
    (delta_bar,) = softplus.bwd(res.softplus, delta_bar)
    low_bar, w_delta_bar, b_delta_bar = affine.bwd(res.project, delta_bar)
    joined_bar = jnp.concatenate([low_bar, b_bar, c_bar], axis=-1)
    more, w_x_bar, _ = affine.bwd(res.parts, joined_bar)
    (u_bar,) = swish.bwd(res.swish, u_bar + more)
    u_bar, w_conv_bar, b_conv_bar = causal_conv1d.bwd(res.conv, _turned(u_bar))
    both_bar = jnp.concatenate([_turned(u_bar), z_bar], axis=-1)
    x_bar, w_in_bar, _ = affine.bwd(res.enter, both_bar)
    return (
        x_bar,
        w_in_bar,
        w_conv_bar,
        b_conv_bar,
        w_x_bar,
        w_delta_bar,
        b_delta_bar,
        log_a_bar,
        direct_bar,
        w_out_bar,
    )


def _turned(x: Array) -> Array:
    """(n, t, c) as (n, c, t), and back."""
    return jnp.swapaxes(x, 1, 2)


def _cuts(rank: int, log_a: Array) -> list[int]:
    """Where delta's part, b and c meet."""
    return [rank, rank + log_a.shape[1]]


WEIGHTS = (
    *("w_in", "w_conv", "b_conv", "w_x", "w_delta", "b_delta"),
    *("log_a", "direct", "w_out"),
)

mixer = Op(mixer_fwd, mixer_bwd, mixer_definition, composed=True)
scan_block = residual("mamba", (rms_norm, mixer), (("gamma",), WEIGHTS))


class MambaModel(Model):
    """A Mamba. Its first a and steps are not random: see `init`.

    Example:
        >>> model = mamba(32, 8, width=4, depth=1)
        >>> isinstance(model, MambaModel)
        True
    """

    def init(self, key: Array, *, dtype: Any = jnp.float32) -> Tree:
        """The first params; a = -1, ..., -s, and steps from 0.001 to 0.1 over the features."""
        params = super().init(key, dtype=dtype)
        for layer in self.layers:
            if layer.op is scan_block:
                features, states = layer.params["log_a"].shape
                rates = jnp.log(jnp.arange(1, states + 1, dtype=dtype))
                steps = jnp.geomspace(SHORTEST, LONGEST, features, dtype=dtype)
                params[layer.name]["log_a"] = jnp.tile(rates, (features, 1))
                params[layer.name]["b_delta"] = steps + jnp.log(-jnp.expm1(-steps))
        return params


def mamba(
    vocabulary: int = 256,
    context: int = 128,
    *,
    width: int = 128,
    depth: int = 4,
    expansion: int = 2,
    states: int = 16,
    kernel: int = 4,
    rank: int = 8,
) -> MambaModel:
    """Mamba: for every token the logits of the one that comes next, by selective scans.

    Maths: x = table[tokens]; `depth` times x = x + mixer(norm(x)); logits = norm(x) table^T.
        mixer: (u, z) = x W_in; u = swish(causal conv of u); (r, b, c) = u W_x;
        delta = softplus(r W_delta + b_delta); (scan(u, delta, -e^log_a, b, c) swish(z)) W_out.
        Backward, the layers in reverse.
    Shapes: x (n, t), tokens, t up to `context`; logits (n, t, vocabulary). Inside a block there
        are width * expansion features with `states` states each; `kernel` steps of the
        convolution, `rank` features from which delta is made.
    Residuals: those of the layers: linear in t, and of the states only some.
    Kinks: none.
    Raises: DtypeError for tokens that are not integers; ShapeError for more than `context` of
        them; ArgumentError for other params; OptionError for sizes below 1.
    Source: Gu and Dao 2023, "Mamba: linear-time sequence modeling with selective state spaces".

    Example:
        >>> model = mamba(32, 8, width=4, depth=1)
        >>> params = model.init(jax.random.key(0))
        >>> y, state = model(params, jnp.zeros((2, 8), int))
        >>> y.shape
        (2, 8, 32)
    """
    name = "mamba"
    sizes = {"width": width, "depth": depth, "expansion": expansion, "states": states}
    check_sizes(name, vocabulary=vocabulary, context=context, kernel=kernel, rank=rank, **sizes)
    inner, narrow = width * expansion, SPREAD / math.sqrt(depth)
    norm = {"gamma": Weight((width,), centre=1.0)}
    block = {
        **norm,
        "w_in": Weight((width, 2 * inner), SPREAD),
        "w_conv": Weight((inner, kernel), kernel**-0.5),
        "b_conv": Weight((inner,)),
        "w_x": Weight((inner, rank + 2 * states), SPREAD),
        "w_delta": Weight((rank, inner), rank**-0.5),
        "b_delta": Weight((inner,)),
        "log_a": Weight((inner, states)),
        "direct": Weight((inner,), centre=1.0),
        "w_out": Weight((inner, width), narrow),
    }
    layers = [Layer("tokens", embedding, {"table": Weight((vocabulary, width), SPREAD)})]
    layers += [Layer(f"mamba{index}", scan_block, block) for index in range(1, depth + 1)]
    layers.append(Layer("norm", rms_norm, norm))
    layers.append(Layer("head", unembed, shares={"table": ("tokens", "table")}))
    return MambaModel(name, layers, (context,), tokens=True, doc=mamba.__doc__)


OPS = (mamba(5, 4, width=3, depth=1, expansion=1, states=2, kernel=2, rank=1),)
