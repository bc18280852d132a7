"""Losses: one number for each example, then the mean, the sum or none of them; and penalties.

The data term compares scores with targets; the regularisation term is a penalty on the weights.
"""

from purebp.losses import classification, penalties, regression
from purebp.losses.classification import softmax_cross_entropy, svm
from purebp.losses.penalties import l1, l2
from purebp.losses.regression import half_squared_error

OPS = (*classification.OPS, *regression.OPS, *penalties.OPS)

__all__ = ["OPS", "half_squared_error", "l1", "l2", "softmax_cross_entropy", "svm"]
