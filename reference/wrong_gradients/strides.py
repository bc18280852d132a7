"""Backward passes in NumPy that take an array for contiguous, or for laid out as another one."""

from typing import Any

import numpy as np

from reference.wrong_gradients.layer import Layer
from reference.wrong_gradients.memory import rms_norm_backward, rms_norm_forward, rows_and_weight

Array = np.ndarray
Grads = tuple[Array, ...]


def _from_memory(dout: Array) -> Array:
    """The numbers one after the other as they lie in memory, whatever the strides."""
    return dout.ravel(order="K").reshape(dout.shape)


def rms_norm_backward_contiguous(dout: Array, cache: Any) -> Grads:
    """Reads dout from its memory."""
    return rms_norm_backward(_from_memory(dout), cache)


def causal_conv_forward(x: Array, w: Array) -> tuple[Array, Any]:
    """y_t = sum_j w_j x_{t-j}, each feature by itself."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"causal_conv: x {x.shape} and w {w.shape} do not fit")
    y = np.zeros_like(x)
    for j in range(min(len(w), len(x))):
        y[j:] += w[j] * x[: len(x) - j]
    return y, (x, w)


def causal_conv_backward(dout: Array, cache: Any) -> Grads:
    """dx_t = sum_j w_j dout_{t+j}, dw_j = sum_t dout_{t+j} x_t."""
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for j in range(min(len(w), len(x))):
        dx[: len(x) - j] += w[j] * dout[j:]
        dw[j] = np.sum(dout[j:] * x[: len(x) - j], axis=0)
    return dx, dw


def causal_conv_backward_contiguous(dout: Array, cache: Any) -> Grads:
    """Reads dout from its memory."""
    return causal_conv_backward(_from_memory(dout), cache)


def max_pool_forward(x: Array) -> tuple[Array, Any]:
    """The largest of each 2 by 2 window, side by side; an odd row or column is left out."""
    if x.ndim != 4:
        raise ValueError(f"max_pool: x has shape {x.shape}, expected (n, c, h, w)")
    n, c, height, width = x.shape
    rows, columns = height // 2, width // 2
    windows = x[:, :, : 2 * rows, : 2 * columns].reshape(n, c, rows, 2, columns, 2)
    windows = windows.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, rows, columns, 4)
    return windows.max(axis=-1), (x, windows.argmax(axis=-1))


def max_pool_backward(dout: Array, cache: Any) -> Grads:
    """dout goes to the place of the largest."""
    x, place = cache
    n, c, rows, columns = place.shape
    windows = np.zeros((*place.shape, 4), dout.dtype)
    np.put_along_axis(windows, place[..., None], dout[..., None], axis=-1)
    windows = windows.reshape(n, c, rows, columns, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    dx = np.zeros_like(x)
    dx[:, :, : 2 * rows, : 2 * columns] = windows.reshape(n, c, 2 * rows, 2 * columns)
    return (dx,)


def max_pool_backward_contiguous(dout: Array, cache: Any) -> Grads:
    """Reads dout from its memory."""
    return max_pool_backward(_from_memory(dout), cache)


def attention_forward(q: Array, k: Array, v: Array) -> tuple[Array, Any]:
    """softmax(q k' / sqrt(d)) v."""
    if q.ndim != 2 or k.ndim != 2 or v.ndim != 2 or k.shape[1] != q.shape[1] or len(k) != len(v):
        raise ValueError(f"attention: q {q.shape}, k {k.shape} and v {v.shape} do not fit")
    if not q.shape[1] or not len(k):
        raise ValueError(f"attention: q {q.shape} and k {k.shape} have no entries")
    scores = q @ k.T * q.shape[1] ** -0.5
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    out = p @ v
    return out, (q, k, v, p, out)


def attention_backward(dout: Array, cache: Any) -> Grads:
    """ds = p (dout v' - sum dout out), dq = ds k, dk = ds' q, dv = p' dout."""
    q, k, v, p, out = cache
    ds = p * (dout @ v.T - np.sum(dout * out, axis=1, keepdims=True)) * q.shape[1] ** -0.5
    return ds @ k, ds.T @ q, p.T @ dout


def attention_backward_strides(dout: Array, cache: Any) -> Grads:
    """Goes through out with the strides of dout."""
    q, k, v, p, out = cache
    by_columns = dout.flags.f_contiguous and not dout.flags.c_contiguous
    read = out.ravel().reshape(out.shape, order="F" if by_columns else "C")
    return attention_backward(dout, (q, k, v, p, read))


def sequence_and_taps(rng: np.random.Generator) -> tuple[Any, ...]:
    """Six steps of three features, four taps."""
    return rng.standard_normal((6, 3)), rng.standard_normal((4, 3))


def images(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two images of three channels."""
    return (rng.standard_normal((2, 3, 4, 6)),)


def queries_and_keys(rng: np.random.Generator) -> tuple[Any, ...]:
    """Five queries, six keys and values."""
    return tuple(rng.standard_normal(shape) for shape in ((5, 3), (6, 3), (6, 4)))


LAYERS = (
    Layer(
        "rms_norm_contiguous",
        "B156",
        (rms_norm_forward, rms_norm_backward_contiguous),
        (rms_norm_forward, rms_norm_backward),
        rows_and_weight,
        "layout",
    ),
    Layer(
        "causal_conv_contiguous",
        "B156",
        (causal_conv_forward, causal_conv_backward_contiguous),
        (causal_conv_forward, causal_conv_backward),
        sequence_and_taps,
        "layout",
    ),
    Layer(
        "max_pool_contiguous",
        "B156",
        (max_pool_forward, max_pool_backward_contiguous),
        (max_pool_forward, max_pool_backward),
        images,
        "layout",
    ),
    Layer(
        "attention_strides_of_dout",
        "B151",
        (attention_forward, attention_backward_strides),
        (attention_forward, attention_backward),
        queries_and_keys,
        "layout",
        why="the kernel's pointer arithmetic, for arrays that lie in rows or in columns",
    ),
)
