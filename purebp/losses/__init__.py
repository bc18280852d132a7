"""Losses: one number for each example, then the mean, the sum or none of them; and penalties.

The data term compares scores with targets; the regularisation term is a penalty on the weights.
"""

from purebp.losses import (
    binary,
    classification,
    contrast,
    difference,
    divergence,
    fused,
    gaussian,
    overlap,
    penalties,
    regression,
    similarity,
    soft,
)
from purebp.losses.binary import binary_cross_entropy, focal, hinge
from purebp.losses.classification import softmax_cross_entropy, svm
from purebp.losses.contrast import info_nce, triplet
from purebp.losses.ctc import ctc
from purebp.losses.difference import gaussian_nll, huber, l1_loss, log_cosh, mse
from purebp.losses.divergence import js_divergence, kl_divergence
from purebp.losses.fused import fused_linear_cross_entropy
from purebp.losses.gaussian import gaussian_kl
from purebp.losses.overlap import dice
from purebp.losses.penalties import elastic_net, l1, l2, max_norm
from purebp.losses.regression import half_squared_error
from purebp.losses.routing import load_balance
from purebp.losses.similarity import cosine_distance, cosine_similarity
from purebp.losses.soft import soft_cross_entropy

OPS = (
    *classification.OPS,
    *soft.OPS,
    ctc,
    *fused.OPS,
    *regression.OPS,
    *difference.OPS,
    *binary.OPS,
    *overlap.OPS,
    *divergence.OPS,
    *gaussian.OPS,
    *similarity.OPS,
    *contrast.OPS,
    *penalties.OPS,
    load_balance,
)

__all__ = [
    "OPS",
    "binary_cross_entropy",
    "cosine_distance",
    "cosine_similarity",
    "ctc",
    "dice",
    "elastic_net",
    "focal",
    "fused_linear_cross_entropy",
    "gaussian_kl",
    "gaussian_nll",
    "half_squared_error",
    "hinge",
    "huber",
    "info_nce",
    "js_divergence",
    "kl_divergence",
    "l1",
    "l1_loss",
    "l2",
    "load_balance",
    "log_cosh",
    "max_norm",
    "mse",
    "soft_cross_entropy",
    "softmax_cross_entropy",
    "svm",
    "triplet",
]
