"""The layers that the networks are written with, and the sizes of their first weights."""

import inspect
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
from jaxtyping import Array

from purebp.activations import elu, gelu, leaky_relu, relu, sigmoid, swish, tanh
from purebp.combine import skip
from purebp.errors import OptionError
from purebp.gates import identity
from purebp.layers import (
    affine,
    avg_pool,
    batch_norm,
    batch_norm_eval,
    conv2d,
    dropout,
    flatten,
    layer_norm,
    max_pool,
)
from purebp.models.layer import Layer, Weight
from purebp.op import Op

Init = Literal["he", "xavier", "small"]
Norm = Literal["batch", "layer"]
Pool = Literal["max", "avg"]
Activation = Literal["relu", "leaky_relu", "elu", "swish", "gelu", "sigmoid", "tanh"]

SMALL = 0.01

ACTIVATIONS: dict[str, Op] = {
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "swish": swish,
    "gelu": gelu,
    "sigmoid": sigmoid,
    "tanh": tanh,
}


def spread(init: Init, fan_in: int, fan_out: int) -> float:
    """The standard deviation of the first weights.

    "small" is the notes' 0.01; "xavier" is sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010);
    "he" is sqrt(2 / fan_in) (He et al. 2015).
    """
    if init == "small":
        return SMALL
    if init == "xavier":
        return math.sqrt(2 / (fan_in + fan_out))
    if init == "he":
        return math.sqrt(2 / fan_in)
    raise OptionError(f"init is {init!r}, expected 'he', 'xavier' or 'small'")


def affine_layer(name: str, fan_in: int, fan_out: int, init: Init) -> Layer:
    """x w + b."""
    w = Weight((fan_in, fan_out), spread(init, fan_in, fan_out))
    return Layer(name, affine, {"w": w, "b": Weight((fan_out,))})


def conv_layer(
    name: str,
    c: int,
    filters: int,
    size: int,
    padding: int,
    init: Init,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = True,
) -> Layer:
    """`filters` kernels of size x size over c channels."""
    area = size * size // groups
    w = Weight((filters, c // groups, size, size), spread(init, c * area, filters * area))
    op = conv2d.with_options(padding=padding, stride=stride, groups=groups)
    return Layer(name, op, {"w": w, "b": Weight((filters,))} if bias else {"w": w})


def activation_layer(name: str, activation: Activation, index: int | str) -> Layer:
    """One of the activations by its name; the layer is called for example relu1."""
    if activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise OptionError(f"{name}: activation is {activation!r}, expected one of {known}")
    return Layer(f"{activation}{index}", ACTIVATIONS[activation])


def norm_layer(model: str, norm: Norm, features: int, index: int | str) -> Layer:
    """Batch norm with its running statistics, or layer norm."""
    params = {"gamma": Weight((features,), centre=1.0), "beta": Weight((features,))}
    if norm == "layer":
        return Layer(f"norm{index}", layer_norm, params)
    if norm == "batch":
        state = {"mean": Weight((features,)), "var": Weight((features,), centre=1.0)}
        return Layer(f"norm{index}", batch_norm, params, state, batch_norm_eval)
    raise OptionError(f"{model}: norm is {norm!r}, expected None, 'batch' or 'layer'")


def dropout_layer(model: str, rate: float, index: int) -> Layer:
    """Dropout in training, nothing in evaluation."""
    if not 0 <= rate < 1:
        raise OptionError(f"{model}: dropout is {rate}, expected a rate from 0 to below 1")
    return Layer(f"dropout{index}", dropout.with_options(rate=rate), evaluation=identity)


def pool_layer(model: str, pool: Pool, index: int) -> Layer:
    """2 x 2 max or average pooling."""
    if pool not in ("max", "avg"):
        raise OptionError(f"{model}: pool is {pool!r}, expected 'max' or 'avg'")
    return Layer(f"pool{index}", max_pool if pool == "max" else avg_pool)


def residual(name: str, ops: Sequence[Op], arguments: Any) -> Op:
    """x + chain(*ops)(x, params) as an op of (x, *params): `skip`, with each param by its name.

    `arguments` names the params, in the nested tuples in which `skip` takes them. The block is one
    layer of a model, its params in one dict. `Residual` is a part of several layers, each with
    params, statistics and a form for evaluation of its own.
    """
    inner = skip(*ops, name=name)
    names, tree = jax.tree.flatten(arguments)

    def definition(x: Any, *params: Any) -> Any:
        return inner.define(x, tree.unflatten(params))

    def forward(x: Any, *params: Any) -> Any:
        return inner.fwd(x, tree.unflatten(params))

    def backward(res: Any, y_bar: Array) -> tuple[Any, ...]:
        x_bar, params_bar = inner.bwd(res, y_bar)
        return x_bar, *tree.flatten_up_to(params_bar)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(each, kind) for each in ("x", *names)]
    vars(definition)["__signature__"] = inspect.Signature(parameters)
    return Op(forward, backward, definition, name=name, composed=True)


def flatten_layer() -> Layer:
    """Each image as one vector."""
    return Layer("flatten", flatten)


def check_sizes(model: str, **sizes: int | tuple[int, ...]) -> None:
    """Raise unless every size is a positive integer."""
    for name, size in sizes.items():
        for each in size if isinstance(size, tuple) else (size,):
            if isinstance(each, bool) or not isinstance(each, int) or each < 1:
                raise OptionError(f"{model}: {name} is {size!r}, expected positive integers")
