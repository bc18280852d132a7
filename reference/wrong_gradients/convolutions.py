"""Convolutions along one axis or two."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer

Array = Any


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def signals_and_filters(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two signals of three channels, four filters of three taps."""
    return _normal(rng, 2, 3, 8), _normal(rng, 4, 3, 3)


def images_and_filters(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two images of three channels, four filters and their biases, in float64."""
    shapes = ((2, 3, 5, 6), (4, 3, 3, 3), (4,))
    return tuple(rng.standard_normal(shape) for shape in shapes)


def tokens_and_taps(rng: np.random.Generator) -> tuple[Any, ...]:
    """Six tokens of three features, four taps for each feature."""
    return _normal(rng, 6, 3), _normal(rng, 4, 3)


# -------------------------------------------------- 16 bits in, 32 bits out


def _check_signals(x: Array, w: Array, padding: int = 0) -> None:
    if x.ndim != 3 or w.ndim != 3 or x.shape[1] != w.shape[1]:
        raise ValueError(f"expected (n, c, size) and (k, c, taps), got {x.shape} and {w.shape}")
    if not 1 <= w.shape[2] <= x.shape[2] + 2 * padding:
        raise ValueError(f"{w.shape[2]} taps do not fit a signal of {x.shape[2]}")


def _under(size: int, taps: int) -> np.ndarray:
    """The entries under each place of the kernel: (outputs, taps)."""
    return np.arange(size - taps + 1)[:, None] + np.arange(taps)


def wide_conv_fwd(x: Array, w: Array) -> tuple[Array, Any]:
    """y[n, k, t] = sum over c, f of w[k, c, f] x[n, c, t + f], in float32 or wider."""
    _check_signals(x, w)
    wide = jnp.promote_types(jnp.promote_types(x.dtype, w.dtype), jnp.float32)
    patches = x[:, :, _under(x.shape[2], w.shape[2])]
    return jnp.einsum("nctf,kcf->nkt", patches, w, preferred_element_type=wide), (x, w)


def wide_conv_wrong_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """The cotangents in the dtype of y_bar."""
    x, w = residuals
    places = _under(x.shape[2], w.shape[2])
    patches_bar = jnp.einsum("nkt,kcf->nctf", y_bar, w)
    w_bar = jnp.einsum("nctf,nkt->kcf", x[:, :, places], y_bar)
    return jnp.zeros(x.shape, patches_bar.dtype).at[:, :, places].add(patches_bar), w_bar


def wide_conv_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """Computed in the dtype of y_bar, returned in those of x and w."""
    x, w = residuals
    x_bar, w_bar = wide_conv_wrong_bwd(residuals, y_bar)
    return x_bar.astype(x.dtype), w_bar.astype(w.dtype)


# -------------------------------------------------- stride and padding


def conv1d_fwd(x: Array, w: Array, *, stride: int = 1, padding: int = 0) -> tuple[Array, Any]:
    """y[n, k, t] = sum over c, f of w[k, c, f] x[n, c, t stride + f - padding]."""
    if stride < 1 or padding < 0:
        raise ValueError(f"expected stride >= 1 and padding >= 0, got {stride} and {padding}")
    _check_signals(x, w, padding)
    return lax.conv_general_dilated(x, w, (stride,), [(padding, padding)]), (x, w)


def _x_bar(w: Array, y_bar: Array, size: int, stride: int, padding: int) -> Array:
    """y_bar with holes between its entries, against the turned filters: `size` entries."""
    low = w.shape[2] - 1 - padding
    high = size + padding - ((y_bar.shape[2] - 1) * stride + 1)
    turned = jnp.flip(w, 2).swapaxes(0, 1)
    return lax.conv_general_dilated(y_bar, turned, (1,), [(low, high)], lhs_dilation=(stride,))


def _w_bar(x: Array, y_bar: Array, stride: int, low: int, high: int) -> Array:
    """x against y_bar with holes between its entries."""
    images, filters = x.swapaxes(0, 1), y_bar.swapaxes(0, 1)
    w_bar = lax.conv_general_dilated(images, filters, (1,), [(low, high)], rhs_dilation=(stride,))
    return w_bar.swapaxes(0, 1)


def _high(x: Array, w: Array, y_bar: Array, stride: int, padding: int) -> int:
    """The padding after x that leaves one entry for each tap."""
    return (y_bar.shape[2] - 1) * stride + w.shape[2] - x.shape[2] - padding


def conv1d_bwd(
    residuals: Any, y_bar: Array, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Array]:
    """Two convolutions; the last entries of x that no window reached get 0."""
    x, w = residuals
    high = _high(x, w, y_bar, stride, padding)
    x_bar = _x_bar(w, y_bar, x.shape[2], stride, padding)
    return x_bar, _w_bar(x, y_bar, stride, padding, high)


def conv1d_padding_bwd(
    residuals: Any, y_bar: Array, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Array]:
    """The padding of the forward pass on both sides for w_bar too."""
    x, w = residuals
    x_bar = _x_bar(w, y_bar, x.shape[2], stride, padding)
    return x_bar, _w_bar(x, y_bar, stride, padding, padding)


def conv1d_output_padding_bwd(
    residuals: Any, y_bar: Array, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Array]:
    """One entry more for x_bar where the windows do not fill x."""
    x, w = residuals
    covered = (y_bar.shape[2] - 1) * stride + w.shape[2] - 2 * padding
    extra = min((x.shape[2] + 2 * padding - w.shape[2]) % stride, 1)
    high = _high(x, w, y_bar, stride, padding)
    x_bar = _x_bar(w, y_bar, covered + extra, stride, padding)
    return x_bar, _w_bar(x, y_bar, stride, padding, high)


# -------------------------------------------------- images, in NumPy


def conv_forward(
    x: np.ndarray, w: np.ndarray, b: np.ndarray, *, stride: int = 1, pad: int = 0
) -> tuple[np.ndarray, Any]:
    """out[n, k, i, j] = b[k] + the sum over the patch at (i, j) of w[k] x[n]."""
    if stride < 1 or pad < 0 or x.shape[1] != w.shape[1]:
        raise ValueError(f"bad stride {stride}, pad {pad} or channels {x.shape}, {w.shape}")
    fh, fw = w.shape[2:]
    rows, cols = ((x.shape[a] + 2 * pad - w.shape[a]) // stride + 1 for a in (2, 3))
    if rows < 1 or cols < 1:
        raise ValueError(f"filters {w.shape} are larger than images {x.shape}")
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((x.shape[0], w.shape[0], rows, cols), x.dtype)
    for i, j in np.ndindex(rows, cols):
        patch = padded[:, :, i * stride : i * stride + fh, j * stride : j * stride + fw]
        out[:, :, i, j] = np.tensordot(patch, w, ((1, 2, 3), (1, 2, 3))) + b
    return out, (padded, w, stride, pad)


def conv_backward(dout: np.ndarray, cache: Any) -> tuple[np.ndarray, ...]:
    """Each entry of dout adds w times it to the patch, and the patch times it to dw."""
    padded, w, stride, pad = cache
    fh, fw = w.shape[2:]
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(*dout.shape[2:]):
        window = np.s_[:, :, i * stride : i * stride + fh, j * stride : j * stride + fw]
        dpadded[window] += np.tensordot(dout[:, :, i, j], w, 1)
        dw += np.tensordot(dout[:, :, i, j], padded[window], ((0,), (0,)))
    height, width = padded.shape[2:]
    dx = dpadded[:, :, pad : height - pad, pad : width - pad]
    return dx, dw, dout.sum((0, 2, 3))


def conv_mean_backward(dout: np.ndarray, cache: Any) -> tuple[np.ndarray, ...]:
    """dw as a mean over images and places."""
    dx, dw, db = conv_backward(dout, cache)
    return dx, dw / (dout.shape[0] * dout.shape[2] * dout.shape[3]), db


# -------------------------------------------------- chunks of a sequence


def _tokens_under(tokens: int, taps: int) -> np.ndarray:
    """Where token t's taps lie among `taps` zeros and the tokens: (tokens, taps)."""
    return np.arange(tokens)[:, None] + np.arange(1, taps + 1)


def causal_conv_fwd(x: Array, w: Array) -> tuple[tuple[Array, Array], Any]:
    """y[t] = sum over k of w[k] x[t - taps + 1 + k]; and the last `taps` tokens, 0 before x."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1] or not w.shape[0]:
        raise ValueError(f"expected (tokens, d) and (taps, d), got {x.shape} and {w.shape}")
    padded = jnp.concatenate([jnp.zeros(w.shape, x.dtype), x])
    y = jnp.einsum("tkd,kd->td", padded[_tokens_under(len(x), len(w))], w)
    return (y, padded[len(x) :]), (padded, w)


def _causal_conv_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    padded, w = residuals
    places = _tokens_under(len(y_bar), len(w))
    w_bar = jnp.einsum("tkd,td->kd", padded[places], y_bar)
    padded_bar = jnp.zeros(padded.shape, y_bar.dtype).at[places].add(w * y_bar[:, None])
    return padded_bar[len(w) :], w_bar.astype(w.dtype)


def causal_conv_clamped_bwd(residuals: Any, y_bar: tuple[Array, Array]) -> tuple[Array, Array]:
    """Token t sits in the slot t - start, where start is the first token kept."""
    padded, w = residuals
    y_bar, state_bar = y_bar
    x_bar, w_bar = _causal_conv_bwd(residuals, y_bar)
    start = max(len(y_bar) - len(w), 0)
    slots = np.arange(start, len(y_bar)) - start
    return x_bar.at[start:].add(state_bar[slots]).astype(padded.dtype), w_bar


def causal_conv_bwd(residuals: Any, y_bar: tuple[Array, Array]) -> tuple[Array, Array]:
    """Token t sits in the slot t - (tokens - taps), also where there are fewer than taps."""
    padded, w = residuals
    y_bar, state_bar = y_bar
    x_bar, w_bar = _causal_conv_bwd(residuals, y_bar)
    start = max(len(y_bar) - len(w), 0)
    slots = np.arange(start, len(y_bar)) - (len(y_bar) - len(w))
    return x_bar.at[start:].add(state_bar[slots]).astype(padded.dtype), w_bar


LAYERS = (
    Layer(
        name="conv_wide_output",
        bug="B040",
        wrong=(wide_conv_fwd, wide_conv_wrong_bwd),
        right=(wide_conv_fwd, wide_conv_bwd),
        example=signals_and_filters,
        diagnosis="dtype",
        why="bfloat16 in, float32 out; wrong only with 16-bit arguments",
    ),
    Layer(
        name="conv_weights_padding",
        bug="B080",
        wrong=(conv1d_fwd, conv1d_padding_bwd),
        right=(conv1d_fwd, conv1d_bwd),
        example=signals_and_filters,
        diagnosis="shape",
        why="where (size + 2 padding - taps) is not a multiple of the stride",
    ),
    Layer(
        name="conv_output_padding",
        bug="B099",
        wrong=(conv1d_fwd, conv1d_output_padding_bwd),
        right=(conv1d_fwd, conv1d_bwd),
        example=signals_and_filters,
        diagnosis="shape",
        why="where two or more entries at the end of x are in no window",
    ),
    Layer(
        name="conv_weights_mean",
        bug="B137",
        wrong=(conv_forward, conv_mean_backward),
        right=(conv_forward, conv_backward),
        example=images_and_filters,
        diagnosis="factor",
    ),
    Layer(
        name="causal_conv_state",
        bug="B159",
        wrong=(causal_conv_fwd, causal_conv_clamped_bwd),
        right=(causal_conv_fwd, causal_conv_bwd),
        example=tokens_and_taps,
        diagnosis="size",
        why="a chunk of fewer tokens than taps",
    ),
)
