"""Recurrent layers: a step of each, and whole sequences with backpropagation through time."""

from purebp.layers.recurrent.bidirectional import (
    bidirectional_gru,
    bidirectional_lstm,
    bidirectional_rnn,
)
from purebp.layers.recurrent.gru import gru
from purebp.layers.recurrent.gru_step import gru_step
from purebp.layers.recurrent.lstm import lstm, lstm_step
from purebp.layers.recurrent.rnn import rnn, rnn_step

OPS = (
    rnn_step,
    rnn,
    lstm_step,
    lstm,
    gru_step,
    gru,
    bidirectional_rnn,
    bidirectional_lstm,
    bidirectional_gru,
)

__all__ = [
    "OPS",
    "bidirectional_gru",
    "bidirectional_lstm",
    "bidirectional_rnn",
    "gru",
    "gru_step",
    "lstm",
    "lstm_step",
    "rnn",
    "rnn_step",
]
