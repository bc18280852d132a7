"""The 1,797 handwritten digits that ship inside scikit-learn, 8 x 8 pixels each. No download."""

from typing import Any

import numpy as np

from purebp.packages import load
from purebp.training.data import Data

SHAPE = (1, 8, 8)
CLASSES = 10
BRIGHTEST = 16


def load_digits(*, flat: bool = False) -> Data:
    """A stratified 75/25 split with seed 0: 1,347 digits to train on, 450 to test on.

    Pixels are scaled from 0..16 to 0..1. Images have the shape (1, 8, 8); `flat`: (64,).

    Raises:
        MissingPackageError: scikit-learn is not installed.

    Example:
        >>> load_digits(flat=True).x_train.shape
        (1347, 64)
    """
    datasets = load("sklearn.datasets", needed_by="training on digits", extra="examples")
    selection = load("sklearn.model_selection", needed_by="training on digits", extra="examples")
    digits: Any = datasets.load_digits()
    images = np.asarray(digits.images / BRIGHTEST, np.float32)
    x = images.reshape(-1, 64) if flat else images.reshape(-1, *SHAPE)
    y = np.asarray(digits.target, np.int32)
    x_train, x_test, y_train, y_test = selection.train_test_split(
        x, y, test_size=0.25, stratify=y, random_state=0
    )
    return Data(x_train, y_train, x_test, y_test)
