"""Losses: one number for each example, then the mean, the sum or none of them; and penalties.

The data term compares scores with targets; the regularisation term is a penalty on the weights.
"""

from purebp.losses import classification, penalties, regression, soft
from purebp.losses.classification import softmax_cross_entropy, svm
from purebp.losses.penalties import l1, l2
from purebp.losses.regression import half_squared_error
from purebp.losses.soft import soft_cross_entropy

OPS = (*classification.OPS, *soft.OPS, *regression.OPS, *penalties.OPS)

__all__ = [
    "OPS",
    "half_squared_error",
    "l1",
    "l2",
    "soft_cross_entropy",
    "softmax_cross_entropy",
    "svm",
]
