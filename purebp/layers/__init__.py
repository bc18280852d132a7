"""Layers: hand-derived pairs of the building blocks of networks."""

from purebp.layers.conv import conv2d
from purebp.layers.dropout import dropout
from purebp.layers.fully_connected import fully_connected
from purebp.layers.linear import affine
from purebp.layers.norm import batch_norm, batch_norm_eval, layer_norm
from purebp.layers.pool import avg_pool, max_pool
from purebp.layers.reshape import flatten

OPS = (
    affine,
    fully_connected,
    conv2d,
    max_pool,
    avg_pool,
    batch_norm,
    batch_norm_eval,
    layer_norm,
    dropout,
    flatten,
)

__all__ = [
    "OPS",
    "affine",
    "avg_pool",
    "batch_norm",
    "batch_norm_eval",
    "conv2d",
    "dropout",
    "flatten",
    "fully_connected",
    "layer_norm",
    "max_pool",
]
