"""Recurrent layers: a step of each, and whole sequences with backpropagation through time."""

from purebp.layers.recurrent.bidirectional import bidirectional_lstm
from purebp.layers.recurrent.gru import gru
from purebp.layers.recurrent.gru_step import gru_step
from purebp.layers.recurrent.lstm import lstm, lstm_step
from purebp.layers.recurrent.rnn import rnn, rnn_step

OPS = (rnn_step, rnn, lstm_step, lstm, gru_step, gru, bidirectional_lstm)

__all__ = ["OPS", "bidirectional_lstm", "gru", "gru_step", "lstm", "lstm_step", "rnn", "rnn_step"]
