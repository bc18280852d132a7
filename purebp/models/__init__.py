"""Models: whole networks. Their backward pass is that of their layers, in reverse."""

from purebp.models import dense, experts, images, loss, recurrent, transformer
from purebp.models import mamba as mamba_
from purebp.models import resnet as resnet_
from purebp.models import vae as vae_
from purebp.models import vit as vit_
from purebp.models.alexnet import alexnet
from purebp.models.dense import linear_classifier, n_layer_net, two_layer_net
from purebp.models.experts import moe
from purebp.models.images import conv_net, lenet5
from purebp.models.inspection import dead_relus, gradient_norms, layer_outputs
from purebp.models.layer import Layer, Weight
from purebp.models.loss import LossAux, with_loss
from purebp.models.mamba import MambaModel, mamba
from purebp.models.model import Model
from purebp.models.recurrent import RecurrentModel, char_lstm
from purebp.models.residual import Residual
from purebp.models.resnet import resnet
from purebp.models.transformer import gpt, llama
from purebp.models.vae import Vae, VaeAux, vae
from purebp.models.vit import vit

OPS = (
    *dense.OPS,
    *images.OPS,
    *resnet_.OPS,
    *loss.OPS,
    *recurrent.OPS,
    *transformer.OPS,
    *mamba_.OPS,
    *experts.OPS,
    *vit_.OPS,
    *vae_.OPS,
)

__all__ = [
    "OPS",
    "Layer",
    "LossAux",
    "MambaModel",
    "Model",
    "RecurrentModel",
    "Residual",
    "Vae",
    "VaeAux",
    "Weight",
    "alexnet",
    "char_lstm",
    "conv_net",
    "dead_relus",
    "gpt",
    "gradient_norms",
    "layer_outputs",
    "lenet5",
    "linear_classifier",
    "llama",
    "mamba",
    "moe",
    "n_layer_net",
    "resnet",
    "two_layer_net",
    "vae",
    "vit",
    "with_loss",
]
