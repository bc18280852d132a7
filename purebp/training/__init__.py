"""Training: small functional loops on optax, with hand-written gradients only."""

from purebp.training.command import add_train_command
from purebp.training.data import Data, mini_batches
from purebp.training.digits import load_digits
from purebp.training.loop import Epoch, Trained, gradient, train

__all__ = [
    "Data",
    "Epoch",
    "Trained",
    "add_train_command",
    "gradient",
    "load_digits",
    "mini_batches",
    "train",
]
