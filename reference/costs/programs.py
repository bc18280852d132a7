"""Losses of real programs: a convolutional net, language models, loops, a density, a solver."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jax import Array, lax
from jax.experimental.ode import odeint
from numpyro.infer.util import log_density

Function = Callable[..., Any]


class Sizes(NamedTuple):
    """How large the programs are: `batch` rows of `length` steps, `width` numbers at each."""

    batch: int
    length: int
    width: int
    layers: int
    image: int
    stages: tuple[int, ...]


LARGE = Sizes(batch=8, length=128, width=256, layers=4, image=64, stages=(3, 4, 6, 3))
SMALL = Sizes(batch=2, length=16, width=32, layers=2, image=32, stages=(1, 1))
FEW = 6
"""Steps of a program whose loops are unrolled to count its flops."""
TOKENS = 512
HEADS = 4


def normal(seed: int, *shape: int) -> Array:
    """Normal numbers in float32."""
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def integers(seed: int, below: int, *shape: int) -> Array:
    """Labels or tokens."""
    return jnp.asarray(np.random.default_rng(seed).integers(below, size=shape), jnp.int32)


# ------------------------------------------------------------------------- a convolutional net


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the way past them (He 2016, "Deep residual learning")."""

    width: int
    stride: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """A block, with the statistics of the batch."""
        norm = partial(nn.BatchNorm, use_running_average=False)
        y = nn.relu(norm()(nn.Conv(self.width, (1, 1), use_bias=False)(x)))
        y = nn.Conv(self.width, (3, 3), (self.stride, self.stride), use_bias=False)(y)
        y = norm(scale_init=nn.initializers.ones)(
            nn.Conv(4 * self.width, (1, 1), use_bias=False)(nn.relu(norm()(y)))
        )
        if y.shape != x.shape:
            strides = (self.stride, self.stride)
            x = norm()(nn.Conv(4 * self.width, (1, 1), strides, use_bias=False)(x))
        return nn.relu(x + y)


class ResNet(nn.Module):
    """With 3, 4, 6, 3 blocks it is ResNet-50."""

    stages: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Scores of 10 classes."""
        x = nn.Conv(64, (7, 7), (2, 2), use_bias=False)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=False)(x))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for stage, count in enumerate(self.stages):
            for block in range(count):
                x = Bottleneck(64 * 2**stage, 2 if stage and not block else 1)(x)
        return nn.Dense(10)(x.mean(axis=(1, 2)))


def resnet(sizes: Sizes) -> tuple[Function, tuple[Any, ...]]:
    """The loss of a step of training."""
    model = ResNet(sizes.stages)
    x = normal(0, sizes.batch, sizes.image, sizes.image, 3)
    variables = jax.jit(model.init)(jax.random.key(0), x)

    def loss(params: Any, x: Array, labels: Array) -> Array:
        stats = {"batch_stats": variables["batch_stats"]}
        scores, _ = model.apply({"params": params, **stats}, x, mutable=["batch_stats"])
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    return loss, (variables["params"], x, integers(1, 10, sizes.batch))


# ----------------------------------------------------------------------------- language models


def transformer(sizes: Sizes, how: str) -> tuple[Function, tuple[Any, ...]]:
    """Blocks of attention and two affine layers: one after the other, or scanned."""
    d = sizes.width
    shapes = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    blocks = {
        name: normal(k, sizes.layers, *shape) / np.sqrt(shape[0])
        for k, (name, shape) in enumerate(shapes.items())
    }
    blocks |= {name: jnp.ones((sizes.layers, d)) for name in ("norm1", "norm2")}
    params = {"table": 0.1 * normal(9, TOKENS, d), "blocks": blocks}

    def loss(params: Any, tokens: Array) -> Array:
        x = params["table"][tokens[:, :-1]]
        if how == "unrolled":
            for k in range(sizes.layers):
                x = _block(x, jax.tree.map(lambda leaf, k=k: leaf[k], params["blocks"]))
        else:
            body = jax.checkpoint(_block) if how == "remat" else _block
            x, _ = lax.scan(lambda x, block: (body(x, block), None), x, params["blocks"])
        scores = _norm(x) @ params["table"].T
        return optax.softmax_cross_entropy_with_integer_labels(scores, tokens[:, 1:]).mean()

    return loss, (params, integers(10, TOKENS, sizes.batch, sizes.length + 1))


def _norm(x: Array) -> Array:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(jnp.var(x, -1, keepdims=True) + 1e-5)


def _block(x: Array, block: Any) -> Array:
    rows, length, width = x.shape
    q, k, v = jnp.split(block["norm1"] * _norm(x) @ block["qkv"], 3, axis=-1)
    q, k, v = (part.reshape(rows, length, HEADS, width // HEADS) for part in (q, k, v))
    scores = jnp.einsum("bqhe,bkhe->bhqk", q, k) / np.sqrt(width // HEADS)
    past = jnp.tril(jnp.ones((length, length), bool))
    weights = jax.nn.softmax(jnp.where(past, scores, -1e30), axis=-1)
    mixed = jnp.einsum("bhqk,bkhe->bqhe", weights, v).reshape(x.shape)
    x = x + mixed @ block["out"]
    return x + jax.nn.gelu(block["norm2"] * _norm(x) @ block["up"]) @ block["down"]


# ------------------------------------------------------------------------------ recurrent nets


def recurrent(cell: Any, sizes: Sizes) -> tuple[Function, tuple[Any, ...]]:
    """A cell of flax over time, and the squares of what it says."""
    model = nn.RNN(cell(sizes.width))
    x = normal(0, sizes.batch, sizes.length, sizes.width)
    params = jax.jit(model.init)(jax.random.key(0), x)

    def loss(params: Any, x: Array) -> Array:
        y: Any = model.apply(params, x)
        return jnp.mean(y**2)

    return loss, (params, x)


# -------------------------------------------------------------------- a density and a solver


def hierarchical(sizes: Sizes) -> tuple[Function, tuple[Any, ...]]:
    """A regression whose slopes differ by group and come from one distribution."""
    groups, rows = sizes.width, 16 * sizes.width
    x, y, group = normal(0, rows), normal(1, rows), integers(2, groups, rows)

    def model(x: Array, y: Array) -> None:
        mean = numpyro.sample("mean", dist.Normal(0.0, 1.0))
        spread = numpyro.sample("spread", dist.HalfCauchy(1.0))
        noise = numpyro.sample("noise", dist.Gamma(2.0, 1.0))
        with numpyro.plate("groups", groups):
            slope: Any = numpyro.sample("slope", dist.StudentT(4.0, mean, spread))
        with numpyro.plate("rows", rows):
            numpyro.sample("y", dist.Normal(slope[group] * x, noise), obs=y)

    def loss(params: Any, x: Array, y: Array) -> Array:
        density: Any = log_density(model, (x, y), {}, params)[0]
        return -density

    first = {"mean": jnp.float32(0.1), "spread": jnp.float32(1.1), "noise": jnp.float32(0.9)}
    return loss, ({**first, "slope": normal(3, groups)}, x, y)


def solver(sizes: Sizes) -> tuple[Function, tuple[Any, ...]]:
    """A differential equation with a small net for its slope."""

    def slope(y: Array, time: Array, w: Array, v: Array) -> Array:
        return jnp.tanh(y @ w + time) @ v - y

    def loss(params: Any, y: Array, times: Array) -> Array:
        path: Any = odeint(slope, y, times, *params)
        return jnp.mean(path[-1] ** 2)

    d = sizes.width
    params = (normal(0, d, d) / np.sqrt(d), normal(1, d, d) / np.sqrt(d))
    return loss, (params, normal(2, sizes.batch, d), jnp.linspace(0.0, 1.0, 5))


def ctc(sizes: Sizes) -> tuple[Function, tuple[Any, ...]]:
    """Connectionist temporal classification of an affine layer's scores."""
    labels, classes = sizes.length // 4, 32
    x = normal(0, sizes.batch, sizes.length, sizes.width)
    zeros = jnp.zeros((sizes.batch, sizes.length)), jnp.zeros((sizes.batch, labels))

    def loss(w: Array, x: Array, target: Array) -> Array:
        return optax.ctc_loss(x @ w, zeros[0], target, zeros[1]).mean()

    w = normal(1, sizes.width, classes) / np.sqrt(sizes.width)
    return loss, (w, x, 1 + integers(2, classes - 1, sizes.batch, labels))


PROGRAMS: dict[str, Callable[[Sizes], tuple[Function, tuple[Any, ...]]]] = {
    "ResNet-50 (flax)": resnet,
    "transformer, unrolled": partial(transformer, how="unrolled"),
    "transformer, scanned": partial(transformer, how="scanned"),
    "transformer, scanned with remat": partial(transformer, how="remat"),
    "LSTM (flax)": partial(recurrent, nn.OptimizedLSTMCell),
    "GRU (flax)": partial(recurrent, nn.GRUCell),
    "hierarchical model (numpyro)": hierarchical,
    "odeint": solver,
    "CTC (optax)": ctc,
}
"""Each makes a loss and its arguments; it is differentiated in the first of these."""


def transformer_of_calls(sizes: Sizes) -> tuple[Function, tuple[Any, ...]]:
    """Blocks whose softmax, gelu and layer norm are calls in the program."""
    d, heads = sizes.width, HEADS
    softmax, gelu = jax.jit(jax.nn.softmax), jax.jit(jax.nn.gelu)
    shapes = {"qkv": (d, 3 * d), "out": (d, d), "up": (d, 4 * d), "down": (4 * d, d)}
    blocks = [
        {
            name: normal(k, *shape) / np.sqrt(shape[0])
            for k, (name, shape) in enumerate(shapes.items())
        }
        for _ in range(sizes.layers)
    ]

    def block(x: Array, w: Any) -> Array:
        q, k, v = jnp.split(jax.nn.standardize(x) @ w["qkv"], 3, axis=-1)
        q, k, v = (each.reshape(*x.shape[:2], heads, d // heads) for each in (q, k, v))
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(d // heads)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", softmax(scores), v).reshape(x.shape)
        x = x + mixed @ w["out"]
        return x + gelu(jax.nn.standardize(x) @ w["up"]) @ w["down"]

    def loss(blocks: Any, x: Array) -> Array:
        for w in blocks:
            x = block(x, w)
        return -jnp.mean(jax.nn.log_softmax(x)[..., 0])

    return loss, (blocks, normal(10, sizes.batch, sizes.length, d))


def densities_of_calls(sizes: Sizes) -> tuple[Function, tuple[Any, ...]]:
    """A net of softplus that gives the scale of a normal density, after standardising by std."""
    d = sizes.width
    weights = [normal(k, d, d) / np.sqrt(d) for k in range(sizes.layers)]

    def loss(weights: Any, x: Array) -> Array:
        h = x
        for w in weights:
            h = jax.nn.softplus(h @ w)
            h = h / (jnp.std(h, axis=-1, keepdims=True) + 1)
        scale = jax.nn.softplus(h) + 0.1
        return jnp.mean(jnp.log(scale) + (x / scale) ** 2)

    return loss, (weights, normal(10, sizes.batch * sizes.length, d))


OF_CALLS: dict[str, Callable[[Sizes], tuple[Function, tuple[Any, ...]]]] = {
    "transformer of calls": transformer_of_calls,
    "densities of calls": densities_of_calls,
}
"""Programs for `purebp.autodiff.fused`."""
