"""Ops on eight devices: jit with shardings (Auto and Explicit meshes), and shard_map.

The batch is sharded, the weights are replicated; the gradients are those of one device.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import purebp.op
from purebp import Op, chain
from purebp.activations import relu
from purebp.catalog import OPS, families
from purebp.compat import enable_x64, explicit_sharding
from purebp.gates import matmul, sum, tanh
from purebp.layers import affine, batch_norm_eval, conv2d, flatten, layer_norm
from purebp.losses import softmax_cross_entropy
from purebp.residuals import spec_of
from purebp.verification.cases import Case, make_args, variants
from purebp.verification.target import make_target

BATCH, CLASSES = 16, 3
MESHES = [AxisType.Auto, AxisType.Explicit]


class Example(NamedTuple):
    """An op, its batch (sharded), its targets (sharded too) and its weights (replicated)."""

    op: Op
    x: Any
    targets: tuple[Any, ...]
    weights: tuple[Any, ...]

    def loss(self, x: Any, targets: Any, weights: Any) -> Any:
        """sum of y^2: the chain takes all its weights and targets as one argument."""
        if self.op.name == "net":
            y = self.op(x, (*weights[0], targets))
        else:
            y = self.op(x, *targets, *weights)
        return jnp.sum(jnp.square(y))


def arrays(seed: int, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    return tuple(rng.uniform(0.2, 1.5, shape) for shape in shapes)


LABELS = np.random.default_rng(9).integers(0, CLASSES, BATCH)
NET = chain(
    conv2d,
    batch_norm_eval,
    relu,
    flatten,
    layer_norm,
    affine,
    softmax_cross_entropy.with_options(reduction="none"),
    name="net",
)
KERNEL = arrays(1, (3, 2, 3, 2), (3,))
CHANNELS = arrays(2, (3,), (3,), (3,), (3,))
EXAMPLES = {
    "affine": Example(affine, *arrays(0, (BATCH, 4)), (), arrays(1, (4, 3), (3,))),
    "conv2d": Example(conv2d, *arrays(0, (BATCH, 2, 6, 5)), (), KERNEL),
    "layer_norm": Example(layer_norm, *arrays(0, (BATCH, 4)), (), arrays(1, (4,), (4,))),
    "batch_norm_eval": Example(batch_norm_eval, *arrays(0, (BATCH, 3, 2)), (), CHANNELS),
    "softmax_cross_entropy": Example(
        softmax_cross_entropy.with_options(reduction="none"),
        *arrays(0, (BATCH, CLASSES)),
        (LABELS,),
        (),
    ),
    "net": Example(
        NET,
        *arrays(0, (BATCH, 2, 6, 5)),
        (LABELS,),
        (
            (
                KERNEL,
                CHANNELS,
                (),
                (),
                arrays(3, (48,), (48,)),
                arrays(4, (48, CLASSES), (CLASSES,)),
            ),
        ),
    ),
}


def make_mesh(kind: AxisType) -> Mesh:
    return jax.make_mesh((8,), ("data",), axis_types=(kind,))


def assert_close(came: Any, expected: Any) -> None:
    for a, b in zip(jax.tree.leaves(came), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def one_device(example: Example) -> Any:
    """The gradients with respect to x and the weights on one device."""
    return jax.jit(jax.grad(example.loss, (0, 2)))(example.x, example.targets, example.weights)


def test_there_are_eight_devices() -> None:
    assert jax.device_count() == 8


@pytest.mark.parametrize("kind", MESHES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_sharded_batch_under_jit(name: str, kind: AxisType) -> None:
    example, mesh = EXAMPLES[name], make_mesh(kind)
    split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    with enable_x64(True), jax.set_mesh(mesh):
        x, targets = jax.device_put((example.x, example.targets), split)
        weights = jax.device_put(example.weights, whole)
        x_bar, weights_bar = jax.jit(jax.grad(example.loss, (0, 2)))(x, targets, weights)
        assert x_bar.sharding.is_equivalent_to(split, x_bar.ndim)
        if kind is AxisType.Explicit:
            assert jax.typeof(x_bar) == jax.typeof(x)
            assert jax.tree.map(jax.typeof, weights_bar) == jax.tree.map(jax.typeof, weights)
    with enable_x64(True):
        assert_close((x_bar, weights_bar), one_device(example))


@pytest.mark.parametrize("outside", [True, False], ids=["grad of shard_map", "shard_map of grad"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_sharded_batch_under_shard_map(name: str, outside: bool) -> None:
    example, mesh = EXAMPLES[name], make_mesh(AxisType.Auto)
    specs = (P("data"), P("data"), P())

    def loss(x: Any, targets: Any, weights: Any) -> Any:
        return jax.lax.psum(example.loss(x, targets, weights), "data")

    with enable_x64(True):
        if outside:
            mapped = jax.shard_map(loss, mesh=mesh, in_specs=specs, out_specs=P())
            gradients = jax.jit(jax.grad(mapped, (0, 2)))
        else:
            inner, out = jax.grad(loss, (0, 2)), (P("data"), P())
            gradients = jax.jit(jax.shard_map(inner, mesh=mesh, in_specs=specs, out_specs=out))
        came = gradients(example.x, example.targets, example.weights)
        assert_close(came, one_device(example))


def test_without_the_cast_a_replicated_weight_is_refused(monkeypatch) -> None:
    example, mesh = EXAMPLES["affine"], make_mesh(AxisType.Auto)
    specs = (P("data"), P("data"), P())

    def loss(x: Any, targets: Any, weights: Any) -> Any:
        return jax.lax.psum(example.loss(x, targets, weights), "data")

    mapped = jax.shard_map(loss, mesh=mesh, in_specs=specs, out_specs=P())
    monkeypatch.setattr(purebp.op, "unify_varying", tuple)
    with pytest.raises(ValueError, match="bwd rule"):
        jax.grad(mapped, (0, 2))(example.x, example.targets, example.weights)


def test_both_passes_by_hand_on_a_sharded_batch() -> None:
    example, mesh = EXAMPLES["affine"], make_mesh(AxisType.Auto)
    y, res = affine.fwd(example.x, *example.weights)
    expected = affine.bwd(res, y)
    x = jax.device_put(example.x, NamedSharding(mesh, P("data")))
    y, res = jax.jit(affine.fwd)(x, *example.weights)
    assert y.sharding.spec == P("data")
    for came, want in zip(jax.jit(affine.bwd)(res, y), expected, strict=True):
        np.testing.assert_allclose(came, want, rtol=1e-5)


@pytest.mark.parametrize("op", [affine, matmul], ids=lambda op: op.name)
def test_sharded_weights_on_an_explicit_mesh(op: Op) -> None:
    mesh = make_mesh(AxisType.Explicit)
    x, w = (jnp.asarray(a) for a in arrays(0, (5, 4), (4, 16)))
    expected = jax.grad(lambda x, w: jnp.sum(tanh(op(x, w))), (0, 1))(x, w)
    with jax.set_mesh(mesh):
        x, w = jax.device_put(x, P()), jax.device_put(w, P(None, "data"))
        came = jax.jit(jax.grad(lambda x, w: jnp.sum(tanh(op(x, w))), (0, 1)))(x, w)
        assert [jax.typeof(bar) for bar in came] == [jax.typeof(x), jax.typeof(w)]
    for a, b in zip(came, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


MODELS = {op.name for op in families()["models"]}
ALL_SPLIT = {
    *("prelu", "clamp", "where", "gaussian_nll", "dice", "kl_divergence", "igamma", "igammac"),
    *("zeta", "betainc"),
}
BATCHED = {
    *("x", "positions", "tokens", "y", "residual", "labels", "logits", "scores", "target"),
    *("h0", "c0", "h", "c", "lengths", "targets", "logit_lengths", "label_lengths"),
    *("q", "k", "v"),
}
WHOLE = (  # their options, their other operands or JAX refuse a sharded axis
    *("broadcast_to", "tile", "unstack", "pad", "gather", "take", "take_along_axis"),
    *("reduce_window_sum", "reduce_window_max", "reduce_window_min"),
    *("dynamic_slice", "dynamic_update_slice", "top_k"),
    *("scatter", "scatter_add", "scatter_sub", "scatter_mul", "scatter_max", "scatter_min"),
)
BATCHED_HERE: dict[str, set[str]] = {
    "selective_scan": {"u", "delta", "b", "c", "h0"},
    "gated_linear_attention": {"q", "k", "v", "g", "state"},
    **{name: set[str]() for name in WHOLE},
}


def cotangent_like(leaf: Any) -> Any:
    inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
    return leaf if inexact else np.zeros(leaf.shape, jax.dtypes.float0)


@pytest.mark.parametrize("name", [name for name in OPS if name not in MODELS])
def test_every_cotangent_is_sharded_like_its_argument(name: str) -> None:
    """On an Explicit mesh the sharding is part of the type, so that tracing is enough."""
    op, split = OPS[name], BATCHED_HERE.get(name, BATCHED)
    mesh = make_mesh(AxisType.Explicit)
    args = make_args(target := make_target(op), Case(variants(target)[0], "normal", "normal", 0))

    def given(arg: Any, batched: bool) -> Any:
        if jnp.issubdtype(arg.dtype, jax.dtypes.prng_key):
            return arg
        batched = batched and arg.ndim > 0
        shape = (8 * arg.shape[0], *arg.shape[1:]) if batched else arg.shape
        spec = NamedSharding(mesh, P("data") if batched else P())
        return jax.ShapeDtypeStruct(shape, arg.dtype, sharding=spec)

    names = [parameter.name for parameter in op.signature.parameters]
    for index in range(len(args)):  # einsum takes any number
        batched = name in ALL_SPLIT or any(own in split for own in names[index : index + 1])
        args = (
            *args[:index],
            jax.tree.map(partial(given, batched=batched), args[index]),
            *args[index + 1 :],
        )

    def check(*args: Any) -> Any:
        y, pull = jax.vjp(op, *args)
        y_bar = jax.tree.map(cotangent_like, y)
        types = [jax.typeof(bar) for bar in jax.tree.leaves(pull(y_bar))]
        wanted = [jax.typeof(arg) for arg in jax.tree.leaves(args)]
        assert len(types) == len(wanted)
        for came, want in zip(types, wanted, strict=True):
            if came.dtype != jax.dtypes.float0:
                assert (came.shape, came.sharding) == (want.shape, want.sharding)
        return y

    with jax.set_mesh(mesh):
        jax.eval_shape(check, *args)


def test_the_sharding_is_part_of_the_type_on_explicit_meshes_only() -> None:
    x = jnp.ones((8, 2))
    for kind in MESHES:
        mesh = make_mesh(kind)
        with jax.set_mesh(mesh):
            sharding = explicit_sharding(jax.device_put(x, P("data")))
            explicit = kind is AxisType.Explicit
            assert (sharding is not None) == explicit
            assert not explicit or sharding.spec == P("data", None)
    assert explicit_sharding(x) is None
    assert spec_of(x).sharding is None
    assert jax.grad(sum)(x).shape == x.shape
