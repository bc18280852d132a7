"""Backward passes in NumPy that write into what is still needed: by them, or by the next call."""

from typing import Any

import numpy as np

from reference.wrong_gradients.layer import Layer

Array = np.ndarray
Grads = tuple[Array, ...]


def rms_norm_forward(x: Array, w: Array) -> tuple[Array, Any]:
    """w x / sqrt(<x^2> + 1e-6), < > the mean over the features."""
    if x.ndim != 2 or w.shape != x.shape[1:] or not w.size:
        raise ValueError(f"rms_norm: x {x.shape} and w {w.shape} do not fit")
    r = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-6)
    x_hat = x * r
    return w * x_hat, (x_hat, r, w)


def rms_norm_backward(dout: Array, cache: Any) -> Grads:
    """dx = r (g - x_hat <g x_hat>), g = w dout; dw = sum dout x_hat."""
    x_hat, r, w = cache
    dw = np.sum(dout * x_hat, axis=0)
    g = dout * w
    return r * (g - x_hat * np.mean(g * x_hat, axis=1, keepdims=True)), dw


def rms_norm_backward_in_place(dout: Array, cache: Any) -> Grads:
    """The same, with dx in the memory of dout."""
    x_hat, r, w = cache
    dw = np.sum(dout * x_hat, axis=0)
    dout *= w
    dout -= x_hat * np.mean(dout * x_hat, axis=1, keepdims=True)
    dout *= r
    return dout, dw


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def gated_mlp_forward(x: Array, w_gate: Array, w_up: Array, w_down: Array) -> tuple[Array, Any]:
    """(silu(x w_gate) * (x w_up)) w_down."""
    if x.ndim != 2 or w_gate.shape != w_up.shape or x.shape[1] != w_gate.shape[0]:
        raise ValueError(f"gated_mlp: x {x.shape}, {w_gate.shape} and {w_up.shape} do not fit")
    if w_down.ndim != 2 or w_down.shape[0] != w_gate.shape[1]:
        raise ValueError(f"gated_mlp: {w_gate.shape} and {w_down.shape} do not fit")
    gate, up = x @ w_gate, x @ w_up
    return (gate * _sigmoid(gate) * up) @ w_down, (x, w_gate, w_up, w_down, gate, up)


def gated_mlp_backward(dout: Array, cache: Any) -> Grads:
    """dup = dh silu(gate), dgate = dh up silu'(gate), dh = dout w_down'."""
    x, w_gate, w_up, w_down, gate, up = cache
    opened = _sigmoid(gate)
    dh = dout @ w_down.T
    dw_down = (gate * opened * up).T @ dout
    dup = dh * gate * opened
    dgate = dh * up * opened * (1 + gate * _sigmoid(-gate))
    return dgate @ w_gate.T + dup @ w_up.T, x.T @ dgate, x.T @ dup, dw_down


def gated_mlp_backward_in_place(dout: Array, cache: Any) -> Grads:
    """The same, with dgate and dup in the memory of gate and up."""
    x, w_gate, w_up, w_down, gate, up = cache
    opened = _sigmoid(gate)
    dh = dout @ w_down.T
    dw_down = (gate * opened * up).T @ dout
    dup = dh * gate * opened
    gate[...] = dh * up * opened * (1 + gate * _sigmoid(-gate))
    up[...] = dup
    return gate @ w_gate.T + up @ w_up.T, x.T @ gate, x.T @ up, dw_down


def layer_norm_forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, Any]:
    """gamma x_hat + beta, x_hat the rows of x with mean 0 and variance 1."""
    if x.ndim != 2 or not x.shape[1] or not gamma.shape == beta.shape == x.shape[1:]:
        raise ValueError(f"layer_norm: x {x.shape}, gamma {gamma.shape}, beta {beta.shape}")
    centred = x - np.mean(x, axis=1, keepdims=True)
    r = 1 / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5)
    x_hat = centred * r
    return gamma * x_hat + beta, (x_hat, r, gamma)


def _layer_norm_rows(dout: Array, cache: Any) -> tuple[Array, Array]:
    """dx = r (g - <g> - x_hat <g x_hat>), g = gamma dout; and dgamma."""
    x_hat, r, gamma = cache
    g = dout * gamma
    along = np.mean(g * x_hat, axis=1, keepdims=True)
    dx = r * (g - np.mean(g, axis=1, keepdims=True) - x_hat * along)
    return dx, np.sum(dout * x_hat, axis=0)


def layer_norm_backward(dout: Array, cache: Any) -> Grads:
    """dbeta = sum dout."""
    return *_layer_norm_rows(dout, cache), np.sum(dout, axis=0)


_WORKSPACES: dict[tuple[int, str], Array] = {}


def layer_norm_backward_workspace(dout: Array, cache: Any) -> Grads:
    """dbeta is summed in a workspace that is made once for each number of features."""
    key = (dout.shape[1], dout.dtype.str)
    sums = _WORKSPACES.setdefault(key, np.zeros(dout.shape[1], dout.dtype))
    for row in dout:
        sums += row
    return *_layer_norm_rows(dout, cache), sums.copy()


def bidirectional_forward(
    x: Array, w_on: Array, u_on: Array, w_back: Array, u_back: Array
) -> tuple[Array, Any]:
    """Layers of two tanh networks, one from each end of the sequence, side by side.

    x is (steps, 2 units); w are (layers, 2 units, units), u (layers, units, units).
    """
    units = u_on.shape[-1]
    shapes = (w_on.shape, u_on.shape, w_back.shape, u_back.shape)
    w_shape, u_shape = (len(w_on), 2 * units, units), (len(w_on), units, units)
    if x.ndim != 2 or x.shape[1] != 2 * units or shapes != (w_shape, u_shape) * 2:
        raise ValueError(f"bidirectional: x {x.shape} and the weights {shapes} do not fit")
    inputs, states, y = [], [], x
    for layer in range(len(w_on)):
        inputs.append(y)
        runs = _run(y, w_on[layer], u_on[layer]), _run(y[::-1], w_back[layer], u_back[layer])
        states.append(runs)
        y = np.concatenate([np.tanh(runs[0]), np.tanh(runs[1])[::-1]], axis=1)
    return y, (w_on, u_on, w_back, u_back, inputs, states)


def _run(x: Array, w: Array, u: Array) -> Array:
    """z_t = x_t w + tanh(z_{t-1}) u."""
    h, z = np.zeros(len(u), x.dtype), np.zeros((len(x), len(u)), x.dtype)
    for t, x_t in enumerate(x):
        z[t] = x_t @ w + h @ u
        h = np.tanh(z[t])
    return z


def _run_back(dh: Array, x: Array, z: Array, w: Array, u: Array) -> Grads:
    """dz_t = (dh_t + dz_{t+1} u') tanh'(z_t); returns dx, dw, du."""
    dz, slopes = np.zeros_like(z), 4 * _sigmoid(2 * z) * _sigmoid(-2 * z)
    later = np.zeros_like(z, shape=len(u))
    for t in reversed(range(len(x))):
        dz[t] = (dh[t] + later @ u.T) * slopes[t]
        later = dz[t]
    return dz @ w.T, x.T @ dz, np.tanh(z[:-1]).T @ dz[1:]


def _bidirectional_backward(dout: Array, cache: Any, buffers: int) -> Grads:
    """From the last layer to the first; the gradients between them lie in buffers, in turn."""
    w_on, u_on, w_back, u_back, inputs, states = cache
    between = [np.empty_like(inputs[0]) for _ in range(buffers)] if inputs else []
    grads = [np.zeros_like(w) for w in (w_on, u_on, w_back, u_back)]
    units, dx, dy = u_on.shape[-1], dout.copy(), dout
    for layer in reversed(range(len(inputs))):
        x, dx = inputs[layer], between[layer % buffers] if layer else np.empty_like(dout)
        weights = w_on[layer], u_on[layer]
        dx[...], grads[0][layer], grads[1][layer] = _run_back(
            dy[:, :units], x, states[layer][0], *weights
        )
        weights = w_back[layer], u_back[layer]
        back, grads[2][layer], grads[3][layer] = _run_back(
            dy[::-1, units:], x[::-1], states[layer][1], *weights
        )
        dx += back[::-1]
        dy = dx
    return dx, *grads


def bidirectional_backward(dout: Array, cache: Any) -> Grads:
    """What a layer reads and what it writes are two buffers."""
    return _bidirectional_backward(dout, cache, 2)


def bidirectional_backward_one_buffer(dout: Array, cache: Any) -> Grads:
    """One buffer for everything between the layers."""
    return _bidirectional_backward(dout, cache, 1)


def rows_and_weight(rng: np.random.Generator) -> tuple[Any, ...]:
    """x and a weight."""
    return rng.standard_normal((4, 3)), rng.standard_normal(3)


def mlp_arrays(rng: np.random.Generator) -> tuple[Any, ...]:
    """x and three matrices."""
    shapes = ((4, 3), (3, 5), (3, 5), (5, 2))
    return tuple(rng.standard_normal(shape) for shape in shapes)


def norm_arrays(rng: np.random.Generator) -> tuple[Any, ...]:
    """x, gamma and beta."""
    return rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal(3)


def two_layers(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four steps, two layers with three units in each direction."""
    shapes = ((4, 6), (2, 6, 3), (2, 3, 3), (2, 6, 3), (2, 3, 3))
    return tuple(0.5 * rng.standard_normal(shape) for shape in shapes)


LAYERS = (
    Layer(
        "layer_norm_workspace",
        "B086",
        (layer_norm_forward, layer_norm_backward_workspace),
        (layer_norm_forward, layer_norm_backward),
        norm_arrays,
        "not repeatable",
        why="the race made certain: the workspace holds the sums of the calls before",
    ),
    Layer(
        "rms_norm_in_place",
        "B162",
        (rms_norm_forward, rms_norm_backward_in_place),
        (rms_norm_forward, rms_norm_backward),
        rows_and_weight,
        "not repeatable",
    ),
    Layer(
        "gated_mlp_in_place",
        "B162",
        (gated_mlp_forward, gated_mlp_backward_in_place),
        (gated_mlp_forward, gated_mlp_backward),
        mlp_arrays,
        "not repeatable",
        why="wrong when the same cache is used again",
    ),
    Layer(
        "bidirectional_one_buffer",
        "B179",
        (bidirectional_forward, bidirectional_backward_one_buffer),
        (bidirectional_forward, bidirectional_backward),
        two_layers,
        "size",
        why="wrong from three layers on",
    ),
)
