"""Activations: the slopes that gradients pass through. sigmoid and tanh are the gates of that name.

Those of one operand and one formula are gates: one pullback says all.
"""

from purebp.activations.piecewise import leaky_relu, maxout, prelu, relu
from purebp.activations.smooth import elu, gelu, softmax, swish
from purebp.gates import sigmoid, tanh

OPS = (relu, leaky_relu, prelu, elu, swish, gelu, maxout, softmax)

__all__ = [
    "OPS",
    "elu",
    "gelu",
    "leaky_relu",
    "maxout",
    "prelu",
    "relu",
    "sigmoid",
    "softmax",
    "swish",
    "tanh",
]
