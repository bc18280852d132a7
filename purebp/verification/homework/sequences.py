"""Recurrent layers, embeddings and attention, as courses write them."""

from typing import Any

from purebp.layers import (
    dot_product_attention,
    embedding,
    gru_step,
    lstm,
    lstm_step,
    multi_head_attention,
    rnn,
    rnn_step,
)
from purebp.verification.homework.call import Arg, Bundle, Call, Key, args_of

SIZES = {"n": 2, "t": 3, "d": 3, "h": 2, "k": 8, "r": 6, "v": 5}
STEP_ARGS = args_of("x: n d, prev_h: n h, Wx: d h, Wh: h h, b: h")
RNN_ARGS = args_of("x: n t d, h0: n h, Wx: d h, Wh: h h, b: h")
LSTM_STEP_ARGS = args_of("x: n d, prev_h: n h, prev_c: n h, Wx: d k, Wh: h k, b: k")
LSTM_ARGS = args_of("x: n t d, h0: n h, Wx: d k, Wh: h k, b: k")
GRU_ARGS = args_of("x: n d, prev_h: n h, Wx: d r, Wh: h r, b: r")
WORDS = (Arg("x", "n t", "labels", "v"), Arg("W", "v d"))
QKV = args_of("q: n t d, k: n s d, v: n s d")
ATTENTION_SIZES = {"n": 2, "t": 3, "s": 4, "d": 3}
HEADS = Bundle("num_heads", (Key("num_heads", (2, 1)),), plain=True)
MULTI_HEAD_ARGS = args_of("x: n t d, Wq: d d, Wk: d d, Wv: d d, Wo: d d")


def states_of_rnn(x: Any, h0: Any, wx: Any, wh: Any, b: Any) -> Any:
    """The hidden states at all times."""
    return rnn.define(x, h0, wx, wh, b)[0]


def states_of_lstm(x: Any, h0: Any, wx: Any, wh: Any, b: Any) -> Any:
    """The hidden states at all times; the cell begins at 0."""
    return lstm.define(x, h0, 0 * h0, wx, wh, b)[0]


def gru_before(x: Any, h: Any, wx: Any, wh: Any, b: Any) -> Any:
    """The reset gate acts on h, before the product with the weights."""
    return gru_step.define(x, h, wx, wh, b, reset="before")


def embedded(x: Any, w: Any) -> Any:
    """Rows of a table."""
    return embedding.define(x, w)


def attention(q: Any, k: Any, v: Any) -> Any:
    """Scaled dot-product attention with one head."""
    q, k, v = (array[:, :, None, :] for array in (q, k, v))
    return dot_product_attention.define(q, k, v)[:, :, 0, :]


def unscaled_attention(q: Any, k: Any, v: Any) -> Any:
    """Attention whose scores are not divided by the root of the size of the keys."""
    return attention(q * q.shape[-1] ** 0.5, k, v)


def heads_in_columns(x: Any, wq: Any, wk: Any, wv: Any, wo: Any, *, num_heads: int) -> Any:
    """Multi-head attention whose heads are blocks of columns of square weights."""
    size = x.shape[-1]
    into = (size, num_heads, size // num_heads)
    weights = (w.reshape(into) for w in (wq, wk, wv))
    return multi_head_attention.define(x, *weights, wo.reshape(*into[1:], size))


CALLS: dict[tuple[str, ...], tuple[Call, ...]] = {
    ("rnn_step", "rnn_cell"): (Call("rnn_step", STEP_ARGS, SIZES, (rnn_step.define,)),),
    ("rnn",): (Call("rnn", RNN_ARGS, SIZES, (states_of_rnn,)),),
    ("lstm_step", "lstm_cell"): (Call("lstm_step", LSTM_STEP_ARGS, SIZES, (lstm_step.define,)),),
    ("lstm",): (Call("lstm", LSTM_ARGS, SIZES, (states_of_lstm,)),),
    ("gru_step", "gru_cell"): (Call("gru_step", GRU_ARGS, SIZES, (gru_step.define, gru_before)),),
    ("word_embedding", "embedding", "embed"): (Call("embedding", WORDS, SIZES, (embedded,)),),
    ("attention", "scaled_dot_product_attention", "dot_product_attention", "self_attention"): (
        Call("dot_product_attention", QKV, ATTENTION_SIZES, (attention, unscaled_attention)),
    ),
    ("multi_head_attention", "multihead_attention", "mha"): (
        Call(
            "multi_head_attention",
            MULTI_HEAD_ARGS,
            {"n": 2, "t": 3, "d": 4},
            (heads_in_columns,),
            (HEADS,),
        ),
    ),
}
