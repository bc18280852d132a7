"""Norms over the batch, over features and of vectors: a scale, an eps or an axis gone wrong."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from reference.wrong_gradients.layer import Layer

Residuals = Any
Two = tuple[Array, Array]
Three = tuple[Array, Array, Array]
TILE_ROWS = 4
EPS = 1e-5


def check_shapes(name: str, x: Array, *features: Array) -> None:
    if x.ndim != 2 or any(each.shape != x.shape[1:] for each in features):
        shapes = ", ".join(str(each.shape) for each in features)
        raise ValueError(f"{name}: expected x (n, d) and (d,), got {x.shape} and {shapes}")


def check_eps(name: str, eps: float) -> None:
    if not eps > 0:
        raise ValueError(f"{name}: eps is {eps}, expected a number above 0")


def standard(x: Array, axis: int, eps: float) -> Three:
    """x_hat = (x - mean) r, r = 1 / sqrt(var + eps), and var."""
    centred = x - jnp.mean(x, axis=axis, keepdims=True)
    var = jnp.mean(centred * centred, axis=axis, keepdims=True)
    r = lax.rsqrt(var + eps)
    return centred * r, r, var


def centred_part(g: Array, x_hat: Array, axis: int) -> Array:
    """What a norm passes on of g: g - <g> - x_hat <g x_hat>."""
    mean = jnp.mean(g, axis=axis, keepdims=True)
    return g - mean - x_hat * jnp.mean(g * x_hat, axis=axis, keepdims=True)


def batch_norm_fwd(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, Residuals]:
    """gamma x_hat + beta, x_hat the columns of x with mean 0 and variance 1."""
    check_shapes("batch_norm", x, gamma, beta)
    check_eps("batch_norm", eps)
    x_hat, r, _ = standard(x, 0, eps)
    return gamma * x_hat + beta, (x_hat, r, gamma, beta)


def batch_norm_bwd(residuals: Residuals, y_bar: Array) -> Three:
    """x_bar = r (g - <g> - x_hat <g x_hat>) with g = gamma y_bar."""
    x_hat, r, gamma, beta = residuals
    x_bar = r * centred_part(gamma * y_bar, x_hat, 0)
    gamma_bar, beta_bar = jnp.sum(y_bar * x_hat, axis=0), jnp.sum(y_bar, axis=0)
    return x_bar.astype(x_hat.dtype), gamma_bar.astype(gamma.dtype), beta_bar.astype(beta.dtype)


def batch_norm_bwd_plain(residuals: Residuals, y_bar: Array) -> Three:
    """The same with g = y_bar."""
    x_hat, r, gamma, beta = residuals
    x_bar = r * centred_part(y_bar, x_hat, 0)
    gamma_bar, beta_bar = jnp.sum(y_bar * x_hat, axis=0), jnp.sum(y_bar, axis=0)
    return x_bar.astype(x_hat.dtype), gamma_bar.astype(gamma.dtype), beta_bar.astype(beta.dtype)


def layer_norm_fwd(
    x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, Residuals]:
    """gamma x_hat + beta, x_hat the rows of x with mean 0 and variance 1."""
    check_shapes("layer_norm", x, gamma, beta)
    check_eps("layer_norm", eps)
    x_hat, r, _ = standard(x, 1, eps)
    return gamma * x_hat + beta, (x_hat, r, gamma, beta)


def _row_sums(g: Array) -> Array:
    return jnp.sum(g, axis=1, keepdims=True)


def _tile_sums(g: Array) -> Array:
    """The sums of tiles of `TILE_ROWS` rows, for each of their rows."""
    sums = jnp.pad(jnp.sum(g, axis=1), (0, -len(g) % TILE_ROWS)).reshape(-1, TILE_ROWS)
    return jnp.repeat(jnp.sum(sums, axis=1), TILE_ROWS)[: len(g), None]


def _layer_norm_bars(residuals: Residuals, y_bar: Array, sums: Any) -> Three:
    x_hat, r, gamma, beta = residuals
    g, features = gamma * y_bar, max(len(gamma), 1)
    x_bar = r * (g - sums(g) / features - x_hat * sums(g * x_hat) / features)
    gamma_bar, beta_bar = jnp.sum(y_bar * x_hat, axis=0), jnp.sum(y_bar, axis=0)
    return x_bar.astype(x_hat.dtype), gamma_bar.astype(gamma.dtype), beta_bar.astype(beta.dtype)


def layer_norm_bwd(residuals: Residuals, y_bar: Array) -> Three:
    """x_bar = r (g - <g> - x_hat <g x_hat>) with g = gamma y_bar."""
    return _layer_norm_bars(residuals, y_bar, _row_sums)


def layer_norm_bwd_tiles(residuals: Residuals, y_bar: Array) -> Three:
    """The sums run over the rows of a tile too."""
    return _layer_norm_bars(residuals, y_bar, _tile_sums)


def plain_layer_norm(x: Array) -> Array:
    """The rows of x with mean 0 and variance 1."""
    check_shapes("plain_layer_norm", x)
    return standard(x, 1, EPS)[0]


def _plain_layer_norm_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Two:
    """y_dot = r (x_dot - <x_dot> - y <x_dot y>)."""
    y, r, _ = standard(primals[0], 1, EPS)
    return y, r * centred_part(tangents[0], y, 1)


def _saved_layer_norm_jvp(primals: tuple[Array], tangents: tuple[Array]) -> Two:
    """The same with the saved mean and r, which are constants to the next derivative."""
    x = primals[0]
    mean, r = map(lax.stop_gradient, (jnp.mean(x, axis=1, keepdims=True), standard(x, 1, EPS)[1]))
    y = (x - mean) * r
    return y, r * centred_part(tangents[0], y, 1)


twice_layer_norm = jax.custom_jvp(plain_layer_norm)
twice_layer_norm.defjvp(_plain_layer_norm_jvp)
saved_layer_norm = jax.custom_jvp(plain_layer_norm)
saved_layer_norm.defjvp(_saved_layer_norm_jvp)


def rows_and_ones(rng: np.random.Generator) -> tuple[Any, ...]:
    """x, and gamma and beta as they are initialised."""
    return rng.standard_normal((4, 3), np.float32), np.ones(3, np.float32), np.zeros(3, np.float32)


def one_array(rng: np.random.Generator) -> tuple[Any, ...]:
    """x alone."""
    return (rng.standard_normal((4, 3), np.float32),)


LAYERS = (
    Layer(
        "batch_norm_no_gamma",
        "B076",
        (batch_norm_fwd, batch_norm_bwd_plain),
        (batch_norm_fwd, batch_norm_bwd),
        rows_and_ones,
        "scale missing",
    ),
    Layer(
        "layer_norm_tile_sums",
        "B168",
        (layer_norm_fwd, layer_norm_bwd_tiles),
        (layer_norm_fwd, layer_norm_bwd),
        rows_and_ones,
        "transposed",
        why="the sums run over the rows of a tile too: right for a single row",
    ),
    Layer(
        "layer_norm_saved_constants",
        "B196",
        saved_layer_norm,
        twice_layer_norm,
        one_array,
        "second order",
        why="the original's second reverse derivative has a formula of its own; nested jvp has not",
    ),
)

HARNESS = "the test was at fault, not a layer: "

LEFT_OUT: dict[str, str] = {
    "B139": HARNESS + "norms were tested with y_bar = 1, where their gradient is 0 (see B076)",
    "B202": HARNESS + "x.grad was compared with itself",
    "B203": HARNESS + "the loss of the reference was set to the one under test",
    "B205": HARNESS + "the gradients of the reference were read in another order",
    "B208": HARNESS + "the tolerances were larger than the gradients",
    "B209": HARNESS + "y_bar = 1, where the gradient of batch norm is 0: noise was compared",
}
