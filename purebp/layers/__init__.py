"""Layers: hand-derived pairs of the building blocks of networks."""

from purebp.layers import recurrent
from purebp.layers.adaptive_pool import adaptive_avg_pool, global_avg_pool
from purebp.layers.add_norm import add_layer_norm, add_rms_norm
from purebp.layers.attention import dot_product_attention
from purebp.layers.attention_terms import alibi_slopes
from purebp.layers.batch_norm import batch_norm, batch_norm_eval
from purebp.layers.causal_conv import causal_conv1d
from purebp.layers.conv import conv2d
from purebp.layers.conv1d import conv1d
from purebp.layers.conv3d import conv3d
from purebp.layers.conv_transpose import conv_transpose2d
from purebp.layers.dropout import drop_path, dropout
from purebp.layers.embedding import embedding
from purebp.layers.fully_connected import fully_connected
from purebp.layers.gated_attention import gated_linear_attention
from purebp.layers.group_norm import group_norm, instance_norm
from purebp.layers.linear import affine
from purebp.layers.low_rank import lora_affine
from purebp.layers.mixture import mixture_of_experts
from purebp.layers.multi_head import multi_head_attention
from purebp.layers.norm import layer_norm
from purebp.layers.pool import avg_pool, max_pool
from purebp.layers.position import rope
from purebp.layers.recurrent import (
    bidirectional_gru,
    bidirectional_lstm,
    bidirectional_rnn,
    gru,
    gru_step,
    lstm,
    lstm_step,
    rnn,
    rnn_step,
)
from purebp.layers.reshape import flatten, patches
from purebp.layers.resize import pixel_shuffle, upsample
from purebp.layers.response_norm import local_response_norm
from purebp.layers.rms_norm import l2_normalize, rms_norm
from purebp.layers.sampling import gaussian_sample
from purebp.layers.selective_scan import selective_scan
from purebp.layers.sinusoidal import sinusoidal
from purebp.layers.weight_norm import power_iteration, spectral_norm, weight_norm

OPS = (
    affine,
    fully_connected,
    conv2d,
    conv1d,
    conv3d,
    conv_transpose2d,
    causal_conv1d,
    max_pool,
    avg_pool,
    global_avg_pool,
    adaptive_avg_pool,
    upsample,
    pixel_shuffle,
    local_response_norm,
    batch_norm,
    batch_norm_eval,
    layer_norm,
    rms_norm,
    l2_normalize,
    group_norm,
    instance_norm,
    add_layer_norm,
    add_rms_norm,
    dropout,
    drop_path,
    gaussian_sample,
    weight_norm,
    spectral_norm,
    flatten,
    patches,
    embedding,
    rope,
    sinusoidal,
    *recurrent.OPS,
    dot_product_attention,
    multi_head_attention,
    selective_scan,
    gated_linear_attention,
    lora_affine,
    mixture_of_experts,
)

__all__ = [
    "OPS",
    "adaptive_avg_pool",
    "add_layer_norm",
    "add_rms_norm",
    "affine",
    "alibi_slopes",
    "avg_pool",
    "batch_norm",
    "batch_norm_eval",
    "bidirectional_gru",
    "bidirectional_lstm",
    "bidirectional_rnn",
    "causal_conv1d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose2d",
    "dot_product_attention",
    "drop_path",
    "dropout",
    "embedding",
    "flatten",
    "fully_connected",
    "gated_linear_attention",
    "gaussian_sample",
    "global_avg_pool",
    "group_norm",
    "gru",
    "gru_step",
    "instance_norm",
    "l2_normalize",
    "layer_norm",
    "local_response_norm",
    "lora_affine",
    "lstm",
    "lstm_step",
    "max_pool",
    "mixture_of_experts",
    "multi_head_attention",
    "patches",
    "pixel_shuffle",
    "power_iteration",
    "rms_norm",
    "rnn",
    "rnn_step",
    "rope",
    "selective_scan",
    "sinusoidal",
    "spectral_norm",
    "upsample",
    "weight_norm",
]
