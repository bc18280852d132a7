"""What depends on how a layer is run: with other dtypes, under vmap, without jit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from reference.wrong_gradients.layer import Layer

Array = Any
STEPS = 60


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def rows_and_matrix(rng: np.random.Generator) -> tuple[Any, ...]:
    """Four rows, a matrix."""
    return _normal(rng, 4, 3), _normal(rng, 3, 5)


def two_vectors(rng: np.random.Generator) -> tuple[Any, ...]:
    """Two vectors of one size."""
    return _normal(rng, 4), _normal(rng, 4)


# -------------------------------------------------- cotangents of another dtype


def wide_dense_fwd(x: Array, w: Array) -> tuple[Array, Any]:
    """x w, in float32 or wider."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0]:
        raise ValueError(f"cannot multiply shapes {x.shape} and {w.shape}")
    wide = jnp.promote_types(jnp.promote_types(x.dtype, w.dtype), jnp.float32)
    return jnp.matmul(x, w, preferred_element_type=wide), (x, w)


def _if_of_its_dtype(x: Array, bar: Array) -> Array:
    """A cotangent with another dtype than its argument belongs to something without a gradient."""
    return bar if bar.dtype == x.dtype else jnp.zeros_like(x)


def wide_dense_dropped_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """x_bar = y_bar w^T, w_bar = x^T y_bar."""
    x, w = residuals
    return _if_of_its_dtype(x, y_bar @ w.T), _if_of_its_dtype(w, x.T @ y_bar)


def wide_dense_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """The same in the dtypes of x and w."""
    x, w = residuals
    return (y_bar @ w.T).astype(x.dtype), (x.T @ y_bar).astype(w.dtype)


# -------------------------------------------------- under vmap


def scaled_square(x: Array, scale: Array) -> Array:
    """scale x^2."""
    if x.shape != scale.shape:
        raise ValueError(f"expected one shape, got {x.shape} and {scale.shape}")
    return scale * x * x


def _square_fwd(x: Array, scale: Array) -> tuple[Array, Any]:
    return scaled_square(x, scale), (scale, x)


def _pull(scale: Array, x: Array, y_bar: Array) -> tuple[Array, Array]:
    """x_bar = 2 y_bar scale x, scale_bar = y_bar x^2."""
    return 2 * y_bar * scale * x, y_bar * x * x


def _stretched(size: int, batched: tuple[bool, ...], values: tuple[Array, ...]) -> list[Array]:
    """Every value with the axis of the batch in front."""
    return [
        value if has else jnp.broadcast_to(value, (size, *value.shape))
        for has, value in zip(batched, values, strict=True)
    ]


pull_mixed = jax.custom_batching.custom_vmap(_pull)
pull_sorted = jax.custom_batching.custom_vmap(_pull)


@pull_mixed.def_vmap
def _batch_mixed(size: int, batched: Any, scale: Array, x: Array, y_bar: Array) -> Any:
    """The flags as (x, scale, y_bar), in the order of the layer's arguments."""
    x_has, scale_has, y_bar_has = batched
    flags = (scale_has, x_has, y_bar_has)
    return _pull(*_stretched(size, flags, (scale, x, y_bar))), (True, True)


@pull_sorted.def_vmap
def _batch_sorted(size: int, batched: Any, scale: Array, x: Array, y_bar: Array) -> Any:
    """The flags in the order of the values."""
    return _pull(*_stretched(size, batched, (scale, x, y_bar))), (True, True)


def _pull_with(pull: Any, scale: Array, x: Array, y_bar: Array) -> tuple[Array, Array]:
    return pull(scale, x, y_bar)


def _pull_fwd(pull: Any, scale: Array, x: Array, y_bar: Array) -> tuple[Any, Any]:
    return pull(scale, x, y_bar), (scale, x, y_bar)


def _pull_bwd(pull: Any, residuals: Any, bars: tuple[Array, Array]) -> tuple[Array, ...]:
    """The pullback's own: JAX does not differentiate a function with a batching rule."""
    (scale, x, y_bar), (p, q) = residuals, bars
    return 2 * y_bar * x * p, 2 * y_bar * (scale * p + x * q), 2 * scale * x * p + x * x * q


twice = jax.custom_vjp(_pull_with, nondiff_argnums=(0,))
twice.defvjp(_pull_fwd, _pull_bwd)


def _square_mixed_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    return twice(pull_mixed, *residuals, y_bar)


def _square_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    return twice(pull_sorted, *residuals, y_bar)


square_mixed = jax.custom_vjp(scaled_square)
square_mixed.defvjp(_square_fwd, _square_mixed_bwd)
square_sorted = jax.custom_vjp(scaled_square)
square_sorted.defvjp(_square_fwd, _square_bwd)


# -------------------------------------------------- without jit


def _root(theta: Array, weight: Array) -> Array:
    """y with y + (weight y)^2 y = theta, by Newton's method."""

    def step(_: int, y: Array) -> Array:
        square = (weight * y) ** 2
        return (2 * square * y + theta) / (1 + 3 * square)

    return lax.fori_loop(0, STEPS, step, theta)


def is_perturbed(x: Array) -> bool:
    """Whether x is traced, so that somebody may want its derivative."""
    return isinstance(x, jax.core.Tracer)


def root_traced_fwd(theta: Array, weight: Array) -> tuple[Array, Any]:
    """The root; a constant needs no slope."""
    y, residuals = root_fwd(theta, weight)
    return y, residuals if is_perturbed(theta) else None


def root_fwd(theta: Array, weight: Array) -> tuple[Array, Any]:
    """The root of y + (weight y)^2 y = theta."""
    if theta.shape != weight.shape:
        raise ValueError(f"expected one shape, got {theta.shape} and {weight.shape}")
    y = _root(theta, weight)
    return y, (y, weight)


def root_traced_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """The implicit function's slopes; 0 for constants."""
    if residuals is None:
        return jnp.zeros_like(y_bar), jnp.zeros_like(y_bar)
    return root_bwd(residuals, y_bar)


def root_bwd(residuals: Any, y_bar: Array) -> tuple[Array, Array]:
    """theta_bar = y_bar / (1 + 3 weight^2 y^2), weight_bar = -2 weight y^3 theta_bar."""
    y, weight = residuals
    theta_bar = y_bar / (1 + 3 * (weight * y) ** 2)
    return theta_bar, -2 * weight * y**3 * theta_bar


LAYERS = (
    Layer(
        name="dense_wide_output",
        bug="B029",
        wrong=(wide_dense_fwd, wide_dense_dropped_bwd),
        right=(wide_dense_fwd, wide_dense_bwd),
        example=rows_and_matrix,
        diagnosis="no gradient",
        why="bfloat16 in, float32 out, in place of a dtype whose cotangents have another one",
    ),
    Layer(
        name="scaled_square_under_vmap",
        bug="B035",
        wrong=square_mixed,
        right=square_sorted,
        example=two_vectors,
        diagnosis="batching",
        why="where one of the two is not batched; a batching rule in place of the plumbing",
    ),
    Layer(
        name="implicit_root",
        bug="B042",
        wrong=(root_traced_fwd, root_traced_bwd),
        right=(root_fwd, root_bwd),
        example=two_vectors,
        diagnosis="no gradient",
        why="without jit the arguments are not traced, and count as constants",
    ),
)
