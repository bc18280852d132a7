"""The fully connected layer as the lecture notes derive it: three gradients, each with a name.

For o = f(z), z = y W + b, and a loss L, the notes split the backward pass in

    local gradient        delta = dL/dz = dL/do f'(z)
    activation gradient   dL/dy = delta W^T
    weight gradient       dL/dW = y^T delta      (and dL/db = sum of delta)

With L = 1/2 (o - t)^2, dL/do = o - t. The activation gradient is the dL/do of the layer before.
Rows are examples here; in the notes they are columns, hence the transposes.

>>> import jax.numpy as jnp
>>> y, w, b = jnp.array([[1.0, 2.0]]), jnp.array([[0.5], [-0.25]]), jnp.array([0.0])
>>> o, res = fully_connected.fwd(y, w, b, activation="identity")
>>> target = jnp.array([[1.0]])
>>> y_bar, w_bar, b_bar = fully_connected.bwd(res, o - target)
>>> delta = local_gradient(o - target, y @ w + b, "identity")
>>> bool((activation_gradient(delta, w) == y_bar).all())
True
>>> bool((weight_gradient(y, delta) == w_bar).all())
True
"""

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.activations import relu, sigmoid, tanh
from purebp.compat import explicit_sharding
from purebp.errors import OptionError
from purebp.gates import identity
from purebp.layers.linear import affine
from purebp.op import Op, conditioned
from purebp.residuals import Spec, spec_of

Activation = Literal["sigmoid", "tanh", "relu", "identity"]
ACTIVATIONS = {"sigmoid": sigmoid, "tanh": tanh, "relu": relu, "identity": identity}


def fully_connected_definition(
    x: Float[Array, "*batch d"],
    w: Float[Array, "d k"],
    b: Float[Array, "k"],
    *,
    activation: Activation = "sigmoid",
) -> Float[Array, "*batch k"]:
    """y = f(x w + b), a layer of neurons.

    Maths: z = x w + b, y = f(z); delta = y_bar f'(z) is the local gradient, x_bar = delta w^T
        the activation gradient, w_bar = x^T delta the weight gradient, b_bar = sum of delta.
    Shapes: x (*batch, d), w (d, k), b (k); y (*batch, k).
    Residuals: x, w and z; of b only its dtype. z serves the slope of every activation, also in
        its tails.
    Kinks: that of relu, slope 0 at 0.
    Raises: ShapeError if w or b do not fit x, OptionError for an unknown activation.
    Source: the lecture notes on backpropagation in fully connected networks.

    Example:
        >>> x = jax.random.normal(jax.random.key(0), (3, 2, 2))
        >>> w = jnp.array([[0.5, -1.5, 0.3, -2.0], [1.5, 0.8, -0.2, 0.6]])
        >>> b = jnp.array([-2.0, 1.5, 0.8, -0.2])
        >>> y, res = fully_connected.fwd(x, w, b)
        >>> [jnp.shape(bar) for bar in fully_connected.bwd(res, y)]
        [(3, 2, 2), (2, 4), (4,)]
    """
    return ACTIVATIONS[activation].definition(affine.definition(x, w, b))


class FullyConnectedResiduals(NamedTuple):
    x: Float[Array, "*batch d"]
    w: Float[Array, "d k"]
    z: Float[Array, "*batch k"]
    b: Spec


def fully_connected_fwd(
    x: Array, w: Array, b: Array, *, activation: Activation = "sigmoid"
) -> tuple[Array, FullyConnectedResiduals]:
    z = jnp.matmul(x, w) + b
    return ACTIVATIONS[activation].fwd(z)[0], FullyConnectedResiduals(x, w, z, spec_of(b))


def fully_connected_bwd(
    res: FullyConnectedResiduals, y_bar: Array, *, activation: Activation = "sigmoid"
) -> tuple[Array, Array, Array]:
    delta = local_gradient(y_bar, res.z, activation)
    x, w, _, b = res
    x_bar = activation_gradient(delta, w, explicit_sharding(x)).astype(x.dtype)
    w_bar = weight_gradient(x, delta, explicit_sharding(w)).astype(w.dtype)
    return x_bar, w_bar, jnp.sum(delta, axis=tuple(range(delta.ndim - 1))).astype(b.dtype)


def local_gradient(
    y_bar: Float[Array, "*batch k"], z: Float[Array, "*batch k"], activation: Activation
) -> Float[Array, "*batch k"]:
    """delta = dL/dz = dL/dy f'(z), with y = f(z): how the loss changes with each neuron's sum."""
    f = ACTIVATIONS[activation]
    (delta,) = f.bwd(f.fwd(z)[1], y_bar)
    return delta


def activation_gradient(
    delta: Float[Array, "*batch k"], w: Float[Array, "d k"], out_sharding: Any = None
) -> Float[Array, "*batch d"]:
    """dL/dx = delta w^T: each input collects the local gradients of the neurons it feeds."""
    return jnp.matmul(delta, w.T, out_sharding=out_sharding)


def weight_gradient(
    x: Float[Array, "*batch d"], delta: Float[Array, "*batch k"], out_sharding: Any = None
) -> Float[Array, "d k"]:
    """dL/dw = x^T delta: input times local gradient, summed over the examples."""
    examples = tuple(range(x.ndim - 1))
    return jnp.tensordot(x, delta, axes=(examples, examples), out_sharding=out_sharding)


def check_activation(x: Array, w: Array, b: Array, *, activation: str) -> None:
    """Raise unless the activation is known."""
    if activation not in ACTIVATIONS:
        names = ", ".join(map(repr, ACTIVATIONS))
        raise OptionError(f"fully_connected: activation is {activation!r}, expected one of {names}")


fully_connected = Op(
    fully_connected_fwd,
    fully_connected_bwd,
    definition=fully_connected_definition,
    options={"activation": tuple(ACTIVATIONS)},
    check=check_activation,
    kinks="slope 0 at 0 of relu",
    tolerance=conditioned("the slope f'(z) magnifies the rounding of z"),
)

OPS = (fully_connected,)
