"""Activations: the slopes that gradients pass through. sigmoid and tanh are the gates of that name.

Those of one operand and one formula are gates: one pullback says all.
"""

from purebp.activations import algebraic, axis, exponential, gated, hard, logistic, sampled
from purebp.activations.algebraic import softsign, squareplus
from purebp.activations.axis import log_softmax, sparsemax, standardize
from purebp.activations.exponential import celu, selu
from purebp.activations.gated import geglu, glu, swiglu
from purebp.activations.hard import hard_sigmoid, hard_swish, hard_tanh, relu6, relu_squared
from purebp.activations.logistic import log_sigmoid, mish, softplus
from purebp.activations.piecewise import leaky_relu, maxout, prelu, relu
from purebp.activations.sampled import gumbel_softmax
from purebp.activations.smooth import elu, gelu, softmax, swish
from purebp.gates import sigmoid, tanh

OPS = (
    relu,
    leaky_relu,
    prelu,
    elu,
    swish,
    gelu,
    maxout,
    softmax,
    *hard.OPS,
    *logistic.OPS,
    *algebraic.OPS,
    *exponential.OPS,
    *axis.OPS,
    *gated.OPS,
    *sampled.OPS,
)

__all__ = [
    "OPS",
    "celu",
    "elu",
    "geglu",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "maxout",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "relu_squared",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "sparsemax",
    "squareplus",
    "standardize",
    "swiglu",
    "swish",
    "tanh",
]
