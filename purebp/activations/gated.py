"""Gated units: one half of the features says how much of the other half passes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from purebp.activations.smooth import gelu, gelu_forward, gelu_x_bar, swish_forward, swish_x_bar
from purebp.errors import OptionError, ShapeError
from purebp.gate import Gate
from purebp.gates import sigmoid
from purebp.numerics import widen
from purebp.op import conditioned


def glu_definition(x: Float[Array, "*s"], *, axis: int = -1) -> Float[Array, "*s2"]:
    """y = a s(b), a and b the halves of x along an axis, s the sigmoid; as jax.nn.glu.

    Maths: a_bar = y_bar s(b), b_bar = y_bar a s(b) s(-b); x_bar is both, one after the other.
    Shapes: x with an even axis; y has half of it.
    Residuals: x.
    Kinks: none.
    Raises: OptionError if x has no such axis, ShapeError if it is odd, DtypeError for integers.
    Source: Dauphin et al. 2016, "Language modeling with gated convolutional networks", equation 1.

    Example:
        >>> y, res = glu.fwd(jnp.array([1.0, -0.5]))
        >>> print(*glu.bwd(res, y))
        [0.14253697 0.08872347]
    """
    a, b = jnp.split(x, 2, axis=axis)
    return a * sigmoid.definition(b)


def glu_forward(x: Array, *, axis: int) -> Array:
    a, b = jnp.split(widen(x), 2, axis=axis)
    return (a * jax.nn.sigmoid(b)).astype(x.dtype)


def glu_x_bar(y_bar: Array, x: Array, axis: int) -> Array:
    a, b = jnp.split(widen(x), 2, axis=axis)
    a_bar = y_bar * jax.nn.sigmoid(b)
    return jnp.concatenate([a_bar, a_bar * a * jax.nn.sigmoid(-b)], axis=axis)


def check_glu(x: Array, *, axis: int) -> None:
    """Raise unless x has such an axis, and it has two halves."""
    if not -x.ndim <= axis < x.ndim:
        raise OptionError(f"glu: axis is {axis}, expected an axis of x of shape {x.shape}")
    if x.shape[axis] % 2:
        raise ShapeError(f"glu: x has shape {x.shape}, expected an even axis {axis}: two halves")


glu = Gate(
    glu_definition,
    glu_x_bar,
    forward=glu_forward,
    options={"axis": (-1, 0)},
    sizes={"s": ((2, 4), (4, 3, 2), (2,), (6, 2))},
    check=check_glu,
)


def swiglu_definition(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """y = a s(a) b, s the sigmoid: b through a gate that is the SiLU of a.

    Maths: a_bar = y_bar b (s + a s(a) s(-a)), b_bar = y_bar a s(a).
    Shapes: a and b alike, as the two products x w_gate and x w_up give them; y like them.
    Residuals: a and b, not the gate, which is cheap to compute again.
    Kinks: none.
    Raises: ShapeError if a and b differ, DtypeError for integers.
    Source: Shazeer 2020, "GLU variants improve transformer", equation 5.

    Example:
        >>> a = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> b = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> y, res = swiglu.fwd(a, b)
        >>> for bar in swiglu.bwd(res, y): print(bar)
        [[ 0.16954538 -0.11044712  0.17293672]
         [ 0.9211916   0.02542424  0.07144558]]
        [[ 0.26722333 -0.05345136  0.9309642 ]
         [-0.19372782  0.11231688  0.02375887]]
    """
    return a * sigmoid.definition(a) * b


def swiglu_forward(a: Array, b: Array) -> Array:
    return (swish_forward(widen(a), beta=1.0) * b).astype(jnp.result_type(a, b))


def swiglu_a_bar(y_bar: Array, a: Array, b: Array) -> Array:
    return swish_x_bar(widen(y_bar) * b, a, 1.0)


def swiglu_b_bar(y_bar: Array, a: Array) -> Array:
    return y_bar * swish_forward(widen(a), beta=1.0)


swiglu = Gate(
    swiglu_definition,
    swiglu_a_bar,
    swiglu_b_bar,
    forward=swiglu_forward,
    tolerance=conditioned("the slope has a zero near a = -1.28, where it cancels"),
)


def geglu_definition(
    a: Float[Array, "*s"], b: Float[Array, "*s"], *, approximate: bool = True
) -> Float[Array, "*s"]:
    """y = gelu(a) b: b through a gate that is the GELU of a; by default in the tanh form.

    Maths: a_bar = y_bar b gelu'(a), b_bar = y_bar gelu(a), with the slope of `gelu`.
    Shapes: a and b alike; y like them.
    Residuals: a and b, not the gate.
    Kinks: none.
    Raises: ShapeError if a and b differ, DtypeError for integers.
    Source: Shazeer 2020, "GLU variants improve transformer", equation 5.

    Example:
        >>> a = jnp.array([[1.0, -0.5, 2.0], [0.5, -1.5, 0.3]])
        >>> b = jnp.array([[0.5, -1.5, 0.3], [-2.0, 1.5, 0.8]])
        >>> y, res = geglu.fwd(a, b)
        >>> for bar in geglu.bwd(res, y): print(bar)
        [[ 0.22774518 -0.04604167  0.19105986]
         [ 1.1994476   0.02885803  0.08687764]]
        [[ 0.353802   -0.03570625  1.1461358 ]
         [-0.23903634  0.0151288   0.02748991]]
    """
    return gelu.definition(a, approximate=approximate) * b


def geglu_forward(a: Array, b: Array, *, approximate: bool) -> Array:
    gate = gelu_forward(widen(a), approximate=approximate)
    return (gate * b).astype(jnp.result_type(a, b))


def geglu_a_bar(y_bar: Array, a: Array, b: Array, approximate: bool) -> Array:
    return gelu_x_bar(widen(y_bar) * b, a, approximate)


def geglu_b_bar(y_bar: Array, a: Array, approximate: bool) -> Array:
    return y_bar * gelu_forward(widen(a), approximate=approximate)


geglu = Gate(
    geglu_definition,
    geglu_a_bar,
    geglu_b_bar,
    forward=geglu_forward,
    options={"approximate": (True, False)},
    tolerance=conditioned("the slope has a zero near a = -0.75, where it cancels"),
)

OPS = (glu, swiglu, geglu)
