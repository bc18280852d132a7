"""Training: small functional loops on optax, with hand-written gradients only."""

from purebp.training.autoencoder import Elbo, TrainedVae, train_vae
from purebp.training.command import add_train_command
from purebp.training.data import Data, mini_batches
from purebp.training.digits import load_digits
from purebp.training.language import Pass, TrainedText, text_loss, train_text
from purebp.training.loop import Epoch, Trained, gradient, train
from purebp.training.text import Text, load_text, sample

__all__ = [
    "Data",
    "Elbo",
    "Epoch",
    "Pass",
    "Text",
    "Trained",
    "TrainedText",
    "TrainedVae",
    "add_train_command",
    "gradient",
    "load_digits",
    "load_text",
    "mini_batches",
    "sample",
    "text_loss",
    "train",
    "train_text",
    "train_vae",
]
