"""Layers: hand-derived pairs of the building blocks of networks."""

from purebp.layers import conv, linear
from purebp.layers.conv import conv2d
from purebp.layers.linear import affine

OPS = (*linear.OPS, *conv.OPS)

__all__ = ["OPS", "affine", "conv2d"]
